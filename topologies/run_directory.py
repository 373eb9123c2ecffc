"""The temporary directory of a run, and the removal of those that killed runs left behind.

A run holds a lock (flock(2)) on a file in its directory, and the kernel releases it when the process ends,
however it ends. A directory with a lock file that nobody holds is therefore one that a killed run left; one
without a lock file may be anybody's, and stays.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

LOCK_FILE = "running.lock"


class RunDirectory:
    """A new directory `path` in the system's temporary directory; leftovers of the same prefix are removed first."""

    def __init__(self, prefix: str) -> None:
        remove_abandoned(prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        # Locked before it has its name: nobody can take it for abandoned in between.
        unnamed = self.path / f"{LOCK_FILE}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / LOCK_FILE)

    def remove(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def leave(self) -> None:
        """Let it stay for someone to read: no later run removes it."""
        (self.path / LOCK_FILE).unlink(missing_ok=True)
        os.close(self._lock)


def remove_abandoned(prefix: str) -> None:
    """Remove this user's directories of that prefix whose process is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if _abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _abandoned(path: Path) -> bool:
    try:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False  # it vanished, or has no lock file: not provably ours
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # its run lives
    finally:
        os.close(lock)
    return True
