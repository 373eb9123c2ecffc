"""Moves what was committed from the log into the file, beside the commits: a grant does not wait for it.

A passive checkpoint lets writers go on, and so never ends while they write without a pause; when the log has
grown beyond LOG_PAGES, the rest of it is moved while writers wait a moment, and the log begins anew. Its file stays as
long as it is: to write over it is faster than to make it grow.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

from controller.pool.file import open_file

PERIOD_S = 0.25
LOG_PAGES = 16_384  # of 4 KiB
BUSY_MS = 50


class Checkpoints:
    """A thread with a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._connection = open_file(path)
        self._connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self._wanted = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pool checkpoints", daemon=True)
        self._thread.start()

    def committed(self) -> None:
        """There is something to move."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread; what is left in the log stays there, and is part of the file."""
        self._ending.set()
        self._wanted.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()  # before the look at `_ending`: `close` sets that one first
            if self._ending.wait(PERIOD_S):
                return
            # A checkpoint that fails has moved nothing: the log still has it, and the next one tries again.
            with contextlib.suppress(sqlite3.Error, OSError):
                _, pages, _ = self._checkpoint("PASSIVE")
                if pages > LOG_PAGES:
                    self._checkpoint(
                        "PASSIVE"
                    )  # what came meanwhile, so that little is left to wait for
                    self._checkpoint("RESTART")

    def _checkpoint(self, mode: str) -> tuple[int, int, int]:
        """(whether it was hindered, pages in the log, pages moved)."""
        found: tuple[int, int, int] = self._connection.execute(
            f"PRAGMA wal_checkpoint({mode})"
        ).fetchone()
        return found
