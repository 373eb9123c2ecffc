"""Names of UNIX sockets: the kernel takes 107 bytes (sun_path, unix(7)), folders may be deeper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_BYTES = 107


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name for the path that fits, to bind or connect to within the block. Raises OSError without its folder."""
    if len(os.fsencode(path)) <= LONGEST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
