"""The embedded store: one SQLite file in WAL mode. Thread-safe.

The file need not be usable when the adapter is made: it is opened at the first call, and again after
trouble. What goes wrong with the disk or the file is raised as UnavailableError with the remedy.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.store import frames, sqlite_upgrade
from controller.store import sqlite_tables as tables
from controller.store.interface import (
    Adapter,
    Capabilities,
    Frame,
    Listed,
    Query,
    Rejected,
    Retention,
    UnavailableError,
    checked,
)
from controller.store.point import Point
from controller.store.schema import SCHEMA, Bucket, Measurement

PRUNE_ROWS = 2_000  # per series and call
FETCH_ROWS = 50_000  # a list of tuples takes ten times an array's room
BUSY_S = 1.0


class OtherVersionError(sqlite3.DatabaseError):
    """The file has tables of another version."""


class SqliteAdapter(Adapter):
    """read_only: another process writes; the write-ahead log lets this one read meanwhile."""

    def __init__(
        self,
        path: str | Path,
        schema: Mapping[str, Measurement] = SCHEMA,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(schema)
        self.path = Path(path)
        self.read_only = read_only
        self._own_s: Mapping[str, float] = {}
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Retention and downsampling are the controller's work here."""
        return Capabilities("SQLite", sqlite3.sqlite_version, False, False)

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """See Adapter. In one transaction."""
        sound, rejected = self.sifted(points)
        self.keep(sound)
        return rejected

    def keep(self, points: Sequence[Point], meta: Mapping[str, str] | None = None) -> None:
        """Points that are known to be sound and what is to be remembered under a key, in one transaction."""
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for name, time_ns, tags, values in points:
            rows.setdefault(name, []).append((*tags, time_ns, *values))
        with self._disk() as connection, connection:
            for name, own_rows in rows.items():
                connection.executemany(tables.insert(self.schema[name]), own_rows)
            if meta:
                connection.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", meta.items())

    def meta(self, key: str) -> str | None:
        """What is remembered under this key."""
        with self._disk() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def query(self, query: Query) -> list[Frame]:
        """See Adapter."""
        own, fields = checked(query, self.schema)
        groups: dict[tuple[str, ...], list[Frame]] = {}
        rows_of: dict[tuple[str, ...], list[Any]] = {}
        with self._disk() as connection:
            for tags in self._series(connection, own, query.where):
                named = dict(zip(own.tags, tags, strict=True))
                key = tuple(named[name] for name in query.group_by)
                statement, arguments = tables.select(query, own, fields, tags)
                cursor = connection.execute(statement, arguments)
                if query.aggregate is not None:
                    rows_of.setdefault(key, []).extend(cursor.fetchall())
                    continue
                parts = []
                while rows := cursor.fetchmany(FETCH_ROWS):
                    parts.append(frames.raw(own, fields, named, query.group_by, rows))
                if parts:
                    groups.setdefault(key, []).append(frames.chained(parts))
        if query.aggregate is not None:
            made = [
                frames.windows(
                    query.aggregate, fields, dict(zip(query.group_by, key, strict=True)), rows
                )
                for key, rows in sorted(rows_of.items())
            ]
            return [frame for frame in made if len(frame)]
        return [
            frames.merged(parts, newest_first=query.newest_first, limit=query.limit)
            for _, parts in sorted(groups.items())
        ]

    def listing(self) -> list[Listed]:
        """See Adapter."""
        found = []
        with self._disk() as connection:
            for name, own in sorted(self.schema.items()):
                number = sum(1 for _ in self._series(connection, own, {}))
                if number:
                    types = {field.name: field.type.value for field in own.fields}
                    found.append(Listed(name, own.tags, types, number))
        return found

    def prepare(self, retention: Retention) -> list[str]:
        """Writes the retention down; `prune` keeps to it, and while this adapter lives to that of measurements."""
        self._own_s = dict(retention.own_s)
        before = self.retention()
        done = []
        with self._disk() as connection, connection:
            for bucket in Bucket:
                wanted_s = retention.of(bucket)
                if before.get(bucket) != wanted_s:
                    connection.execute(
                        "INSERT OR REPLACE INTO kept VALUES (?,?)", (bucket.value, wanted_s)
                    )
                    done.append(f"{bucket.value} data is kept for {wanted_s:g} s")
        return done

    def retention(self) -> Mapping[Bucket, float]:
        """See Adapter."""
        with self._disk() as connection:
            rows = connection.execute("SELECT bucket, seconds FROM kept").fetchall()
        return {Bucket(bucket): float(seconds) for bucket, seconds in rows}

    def prune(self, now_ns: int) -> int:
        """See Adapter."""
        kept, deleted = self.retention(), 0
        with self._disk() as connection, connection:
            for own in self.schema.values():
                kept_s = self._own_s.get(own.name, kept.get(own.bucket, 0.0))
                if not kept_s:
                    continue
                before_ns = now_ns - round(kept_s * frames.NS)
                for tags in list(self._series(connection, own, {})):
                    arguments = (*tags, before_ns, PRUNE_ROWS)
                    deleted += connection.execute(tables.prune(own), arguments).rowcount
        return deleted

    def close(self) -> None:
        """See Adapter. A later call opens the file again."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def _series(
        self,
        connection: sqlite3.Connection,
        own: Measurement,
        where: Mapping[str, Sequence[str]],
    ) -> Iterator[tuple[str, ...]]:
        if len(own.tags) == 1 and own.tags[0] in where:
            yield from ((value,) for value in sorted(set(where[own.tags[0]])))
            return
        allowed = [frozenset(where[name]) if name in where else None for name in own.tags]
        for tags in connection.execute(tables.series(own)).fetchall():
            if all(some is None or tag in some for some, tag in zip(allowed, tags, strict=True)):
                yield tags

    @contextmanager
    def _disk(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                if _code(error) != sqlite3.SQLITE_FULL:
                    self.close()  # another try opens it anew
                message = f"{self.path} cannot be used ({error}): {_remedy(error)}"
                raise UnavailableError(message) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        if self.read_only:
            uri = f"{self.path.resolve().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=5.0)
        else:
            connection = sqlite3.connect(self.path, check_same_thread=False, timeout=BUSY_S)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, 1, tables.VERSION) or (self.read_only and version == 0):
                raise OtherVersionError(f"another version of umbra wrote it ({version})")
            if not self.read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                self._make(connection, version)
            elif version == 1:
                raise OtherVersionError("an older umbra wrote it; run this one on it first")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _make(self, connection: sqlite3.Connection, version: int) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if version == 1:
                sqlite_upgrade.set_aside(connection)
            for statement in (tables.META, tables.KEPT):
                connection.execute(statement)
            for own in self.schema.values():
                connection.execute(tables.create(own))
            if version == 1:
                sqlite_upgrade.take_over(connection, self.schema)
            connection.execute(f"PRAGMA user_version = {tables.VERSION}")


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _remedy(error: Exception) -> str:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return "make room on its disk or lower store.retention_s"
    if code == sqlite3.SQLITE_READONLY:
        return "let umbra write the file and its directory"
    if code == sqlite3.SQLITE_CANTOPEN:
        return "see that its directory exists, may be written, and has room"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or isinstance(
        error, OtherVersionError
    ):
        return "move the file away: umbra then makes a new one"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "stop the other program that writes it"
    return "make room on its disk and check it"
