"""The log of creations and terminations on disk: SQLite in WAL mode, by time, the oldest forgotten.

What the address shadow manager learns from (seed 9923865, "data store"): when which instance came and went, in which
subdivision and shard, and what it used.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from controller.observe.instances import InstanceEvent

RETENTION_S = 15 * 86_400.0  # two weeks, and what a forecast looks back from their beginning
_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    time_s REAL NOT NULL, subdivision TEXT NOT NULL, owner TEXT NOT NULL, created INTEGER NOT NULL,
    profile TEXT NOT NULL, address TEXT NOT NULL, shard TEXT NOT NULL, lived_s REAL,
    cpu_cores REAL, memory_mib REAL, network_bps REAL);
CREATE INDEX IF NOT EXISTS instances_time ON instances (time_s);
"""
_COLUMNS = (
    "time_s, subdivision, owner, created, profile, address, shard, lived_s, cpu_cores, "
    "memory_mib, network_bps"
)


class InstanceLogError(RuntimeError):
    """The file cannot be used; the message names it and the remedy."""


class InstanceLog:
    """One file, made when it is not there. Thread-safe. Raises InstanceLogError."""

    def __init__(self, path: str | Path, *, retention_s: float = RETENTION_S) -> None:
        self.path = Path(path)
        self.retention_s = retention_s
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                self.path, check_same_thread=False, isolation_level=None
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def add(self, events: Iterable[InstanceEvent]) -> None:
        """Write these events in one transaction."""
        rows = [
            (
                one.time_s,
                one.subdivision,
                one.owner,
                int(one.created),
                one.profile,
                one.address,
                one.shard,
                one.lived_s,
                one.cpu_cores,
                one.memory_mib,
                one.network_bps,
            )
            for one in events
        ]
        marks = ", ".join("?" * 11)
        with self._lock:
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(f"INSERT INTO instances VALUES ({marks})", rows)
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error

    def events(self, since_s: float) -> Iterator[InstanceEvent]:
        """The events from then on, in order of time."""
        with self._lock:
            try:
                rows = self._connection.execute(
                    f"SELECT {_COLUMNS} FROM instances WHERE time_s >= ? ORDER BY time_s, rowid",
                    (since_s,),
                ).fetchall()
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error
        for row in rows:
            time_s, subdivision, owner, created, *rest = row
            yield InstanceEvent(time_s, subdivision, owner, bool(created), *rest)

    def forget(self, now_s: float) -> int:
        """Delete what is older than the retention; returns how many events."""
        with self._lock:
            try:
                found = self._connection.execute(
                    "DELETE FROM instances WHERE time_s < ?", (now_s - self.retention_s,)
                )
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error
            return found.rowcount

    def close(self) -> None:
        """End the use of the file."""
        with self._lock:
            self._connection.close()

    def _error(self, error: Exception) -> InstanceLogError:
        return InstanceLogError(
            f"{self.path}: {error}; make the folder writable with room on its disk, or move the file "
            "away when it is damaged (umbra begins a new one, and forecasts from what comes)"
        )
