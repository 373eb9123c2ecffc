"""Files and directories that are there as a whole or not at all, whenever the power goes."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NEW = ".new-"
GONE = ".gone-"


def write(path: Path, data: bytes) -> None:
    """Replace a file's content."""
    draft = path.with_name(f"{NEW}{path.name}")
    _put(draft, data)
    os.replace(draft, path)
    sync(path.parent)


def make_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """A new directory with these files. FileExistsError when there is one of that name."""
    draft = path.with_name(f"{NEW}{path.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name, data in files.items():
        _put(draft / name, data)
    sync(draft)
    if path.exists():
        shutil.rmtree(draft)
        raise FileExistsError(f"{path} is there already")
    os.rename(draft, path)
    sync(path.parent)


def remove_directory(path: Path) -> None:
    """The directory disappears first and is deleted then."""
    gone = path.with_name(f"{GONE}{path.name}")
    shutil.rmtree(gone, ignore_errors=True)
    os.rename(path, gone)
    sync(path.parent)
    shutil.rmtree(gone, ignore_errors=True)


def sweep(directory: Path) -> None:
    """Delete what interrupted writes and removals have left. Only while holding the lock."""
    for pattern in (f"{NEW}*", f"{GONE}*"):
        for left in directory.glob(pattern):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Only one process (and thread) at a time; the lock ends with its holder, however that ends."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync(directory: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
