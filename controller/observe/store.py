"""The telemetry store: SQLite in WAL mode, one writer, everything by time, the oldest forgotten.

Adding never touches the disk: rows wait in memory until `flush` writes them in one transaction. When
the disk is full, read-only or broken, they go on waiting, the trouble is reported once with
the file and the remedy, and they are written when it is over; beyond `buffer_rows` the oldest
measurements are discarded (decisions and outcomes last) and counted. The loop never waits for a disk.

Thread-safe: `add_*` and `flush` may run in different threads.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from controller.model import Decision, NodeCounters, Outcome, RouterSample, SampledConnection
from controller.observe import schema
from controller.observe.demand import Demand
from controller.trouble import Troubles
from ml.breach import Breach
from ml.forecast import Forecast
from ml.series import Series

TROUBLE = "store"
PRECIOUS = frozenset({"decisions", "outcomes"})
FLUSH_ROWS = 5_000  # in one transaction
PRUNE_ROWS = 2_000  # per table and call
_DECISIONS = (
    "SELECT d.*, o.written, o.failed, o.decide_to_written_ms FROM decisions d "
    "LEFT JOIN outcomes o USING (id) WHERE d.time_s >= ? {} ORDER BY d.time_s DESC LIMIT ?"
)


class OtherVersion(sqlite3.DatabaseError):
    """The file has tables of another version."""


class Store:
    """One file. It need not be usable when the store is made; see `flush`."""

    def __init__(
        self,
        path: str | Path,
        troubles: Troubles,
        *,
        retention_s: float = 604800.0,
        buffer_rows: int = 100_000,
    ) -> None:
        self.path = Path(path)
        self.retention_s = retention_s
        self.buffer_rows = buffer_rows
        self.discarded = 0  # rows lost because the buffer was full
        self.written = 0  # rows in this run
        self._troubles = troubles
        self._lock = threading.Lock()  # for what waits
        self._disk = threading.Lock()  # for the connection
        self._precious: deque[tuple[str, schema.Row]] = deque()
        self._measured: deque[tuple[str, schema.Row]] = deque()
        self._meta: dict[str, str] = {}
        self._connection: sqlite3.Connection | None = None

    @property
    def waiting(self) -> int:
        """Rows not yet on disk."""
        return len(self._precious) + len(self._measured) + len(self._meta)

    def add_sample(self, sample: RouterSample, demand: Demand, shift_pct: float) -> None:
        """One router in one cycle."""
        self._put("samples", [schema.sample_row(sample, demand, shift_pct)])

    def add_counters(self, counters: NodeCounters) -> None:
        """A switch's service counters."""
        self._put("services", schema.service_rows(counters))

    def add_connections(self, connections: Iterable[SampledConnection]) -> None:
        """Digests."""
        self._put("connections", [schema.connection_row(one) for one in connections])

    def add_forecast(self, forecast: Forecast, threat: Breach | None) -> None:
        """A forecast, to be compared with what comes."""
        self._put("forecasts", [schema.forecast_row(forecast, threat)])

    def add_decision(self, decision: Decision) -> None:
        """A decision."""
        self._put("decisions", [schema.decision_row(decision)])

    def add_outcome(self, outcome: Outcome, time_s: float) -> None:
        """What came of a decision."""
        self._put("outcomes", [schema.outcome_row(outcome, time_s)])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value for the next run."""
        with self._lock:
            self._meta[key] = value

    def flush(self) -> bool:
        """Write what waits; False while the disk does not take it. Never raises for the disk's sake."""
        with self._disk:
            try:
                connection = self._open()
                while batch := self._take():
                    try:
                        with connection:
                            for table, row in batch:
                                self._insert(connection, table, row)
                    except BaseException:
                        self._give_back(batch)
                        raise
                    self.written += len(batch)
            except (sqlite3.Error, OSError) as error:
                self._report(error)
                return False
        self._troubles.end(TROUBLE)
        return True

    def _insert(self, connection: sqlite3.Connection, table: str, row: schema.Row) -> None:
        try:
            connection.execute(schema.INSERTS[table], row)
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError) as error:
            # The row is at fault, not the disk: it would keep all that wait behind it for ever.
            self.discarded += 1
            self._troubles.count(f"{TROUBLE} row", f"{table} {row} was discarded: {error}")

    def prune(self, now_s: float) -> int:
        """Forget a small batch of what is older than the retention; returns the rows deleted."""
        before_s, deleted = now_s - self.retention_s, 0
        with self._disk:
            try:
                connection = self._open()
                with connection:
                    for table, statement in schema.PRUNES.items():
                        if table == "samples":
                            found = connection.execute(schema.ROUTERS)
                            for (router,) in found.fetchall():
                                arguments: schema.Row = (router, before_s, PRUNE_ROWS)
                                deleted += connection.execute(statement, arguments).rowcount
                        else:
                            arguments = (before_s, PRUNE_ROWS)
                            deleted += connection.execute(statement, arguments).rowcount
            except (sqlite3.Error, OSError) as error:
                self._report(error)
        return deleted

    def series(self, router: str, since_s: float) -> Series:
        """A router's demand since then, what waits in memory included; empty when there is none."""
        rows = self._read(
            "SELECT time_s, demand, demand_new_per_s, mean_duration_s FROM samples "
            "WHERE router = ? AND time_s >= ? ORDER BY time_s",
            (router, since_s),
        )
        with self._lock:
            late = [
                (row[1], row[8], row[9], row[6])
                for table, row in self._measured
                if table == "samples" and row[0] == router and row[1] >= since_s
            ]
        last_s = rows[-1][0] if rows else float("-inf")
        rows += [row for row in late if row[0] > last_s]
        columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
        return Series(router, columns[0], columns[1], columns[2], columns[3])

    def decisions(
        self,
        *,
        limit: int = 100,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> list[dict[str, Any]]:
        """Decisions with their outcomes, the newest first."""
        where, arguments = "", [since_s if since_s is not None else float("-inf")]
        parameters: list[Any] = list(arguments)
        if router is not None:
            where += " AND d.router = ?"
            parameters.append(router)
        if kind is not None:
            where += " AND d.kind = ?"
            parameters.append(kind)
        rows = self._read(_DECISIONS.format(where), (*parameters, limit))
        return [schema.decision_of(row) for row in rows]

    def forecast_errors(self, router: str, since_s: float) -> Mapping[float, tuple[int, float]]:
        """How forecasts compare with what came: horizon in seconds → (number of
        forecasts, share of counts that came within the outermost quantiles).
        """
        actual = self.series(router, since_s)
        inside: dict[float, list[bool]] = {}
        rows = self._read(
            "SELECT time_s, horizons, quantiles, counts FROM forecasts "
            "WHERE router = ? AND time_s >= ?",
            (router, since_s),
        )
        for made_s, horizons, quantiles, counts in rows:
            values, width = schema.unpack(counts), len(schema.unpack(quantiles))
            for index, horizon_s in enumerate(schema.unpack(horizons)):
                at_s = made_s + horizon_s
                if not len(actual) or at_s > actual.times_s[-1]:
                    continue
                came = float(np.interp(at_s, actual.times_s, actual.count))
                row = values[index * width : (index + 1) * width]
                inside.setdefault(horizon_s, []).append(row[0] <= came <= row[-1])
        return {h: (len(hits), sum(hits) / len(hits)) for h, hits in inside.items()}

    def meta(self, key: str) -> str | None:
        """A remembered value."""
        with self._lock:
            if key in self._meta:
                return self._meta[key]
        rows = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        with self._disk:
            self._close()

    def _put(self, table: str, rows: list[schema.Row]) -> None:
        with self._lock:
            waiting = self._precious if table in PRECIOUS else self._measured
            waiting.extend((table, row) for row in rows)
            while len(self._precious) + len(self._measured) > self.buffer_rows:
                (self._measured or self._precious).popleft()
                self.discarded += 1

    def _take(self) -> list[tuple[str, schema.Row]]:
        with self._lock:
            batch: list[tuple[str, schema.Row]] = [("meta", row) for row in self._meta.items()]
            self._meta.clear()
            for waiting in (self._precious, self._measured):
                while waiting and len(batch) < FLUSH_ROWS:
                    batch.append(waiting.popleft())
            return batch

    def _give_back(self, batch: list[tuple[str, schema.Row]]) -> None:
        with self._lock:
            for table, row in reversed(batch):
                if table == "meta":
                    self._meta.setdefault(*row)
                else:
                    waiting = self._precious if table in PRECIOUS else self._measured
                    waiting.appendleft((table, row))

    def _read(self, statement: str, arguments: tuple[Any, ...]) -> list[Any]:
        with self._disk:
            try:
                return self._open().execute(statement, arguments).fetchall()
            except (sqlite3.Error, OSError) as error:
                self._report(error)
                return []

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=1.0)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, schema.VERSION):
                raise OtherVersion(f"another version of umbra wrote it ({version})")
            connection.executescript(schema.SCHEMA)
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _report(self, error: Exception) -> None:
        if self._connection is not None and not _only_full(error):
            self._close()  # another try opens it anew
        self._troubles.begin(
            TROUBLE,
            f"{self.path} cannot be used ({error}): {_remedy(error)}; up to {self.buffer_rows} "
            "rows wait in memory",
        )


def _only_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _remedy(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "make room on its disk or lower store.retention_s"
    if code == sqlite3.SQLITE_READONLY:
        return "let umbra write the file and its directory"
    if code == sqlite3.SQLITE_CANTOPEN:
        return "see that its directory exists, may be written, and has room"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or isinstance(error, OtherVersion):
        return "move the file away: umbra then makes a new one"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "stop the other program that writes it"
    return "make room on its disk and check it"
