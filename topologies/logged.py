"""What controller and finsy log goes to a file, not to the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOGGERS = ("controller", "finsy")


@contextmanager
def logged(path: Path, level: int = logging.INFO) -> Iterator[None]:
    """While the block runs."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one.propagate, one.level) for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
        one.setLevel(level)
    try:
        yield
    finally:
        for one, (propagate, own) in zip(loggers, before, strict=True):
            one.removeHandler(handler)
            one.propagate = propagate
            one.setLevel(own)
        handler.close()
