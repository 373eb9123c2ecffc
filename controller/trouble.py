"""Something that goes wrong for a while: reported when it begins and ends, not in between."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Troubles:
    """Open troubles by name, and how often each kind has happened."""

    open: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, name: str, what: str) -> None:
        """Note a trouble; logged when it is new or says something else."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.open.get(name) != what:
            LOG.warning("%s: %s", name, what)
        self.open[name] = what

    def end(self, name: str) -> None:
        """It is over."""
        if self.open.pop(name, None) is not None:
            LOG.info("%s: all right again", name)

    def count(self, name: str, what: str) -> None:
        """Something that happened once and is over: counted and logged."""
        self.counts[name] = self.counts.get(name, 0) + 1
        LOG.warning("%s: %s", name, what)

    def fail(self, name: str, error: Exception) -> None:
        """A part of the loop failed with `error`; the traceback is logged when it is a new one."""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if self.open.get(name) != what and not isinstance(error, TimeoutError | OSError):
            LOG.error("%s failed", name, exc_info=error)
        self.begin(name, what)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """A part of the loop. Its failure is this trouble, and the loop goes on; without one the trouble is over."""
        try:
            yield
        except Exception as error:
            self.fail(name, error)
        else:
            self.end(name)
