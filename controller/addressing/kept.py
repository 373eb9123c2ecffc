"""Texts by name that outlive the controller, in tables of the instance history's file.

Two are kept: which host has which address (for hosts whose agents do not answer when a controller starts; those that
answer are believed instead), and what the manager has learned and was allowed (`memory.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path


class KeptError(RuntimeError):
    """The file cannot be used; the message names it and the remedy."""


class Kept:
    """One table. Thread-safe. Raises KeptError.

    durable: a change survives a loss of power when `keep` returns, not only a crash of the controller.
    """

    def __init__(
        self, path: str | Path, table: str, name: str, text: str, *, durable: bool = False
    ) -> None:
        self.path = Path(path)
        self._table, self._name = table, name
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                self.path, check_same_thread=False, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                f"({name} TEXT PRIMARY KEY, {text} TEXT NOT NULL)"
            )
            found = self._connection.execute(f"SELECT {name}, {text} FROM {table}")
            self._kept: dict[str, str] = dict(found)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def all(self) -> dict[str, str]:
        """Name → text, as it is on the disk."""
        with self._lock:
            return dict(self._kept)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Make the file say this, and nothing else; only what changed is written."""
        with self._lock:
            gone = [(name,) for name in self._kept.keys() - texts.keys()]
            new = [pair for pair in texts.items() if self._kept.get(pair[0]) != pair[1]]
            if not gone and not new:
                return
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(
                        f"DELETE FROM {self._table} WHERE {self._name} = ?", gone
                    )
                    self._connection.executemany(
                        f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", new
                    )
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error
            self._kept = dict(texts)

    def close(self) -> None:
        """End the use of the file."""
        with self._lock:
            self._connection.close()

    def _error(self, error: Exception) -> KeptError:
        return KeptError(
            f"{self.path}: {error}; make the folder writable with room on its disk, or move the file away when it "
            "is damaged (umbra begins a new one)"
        )
