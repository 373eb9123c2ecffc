"""What the controller keeps of what it sees and does: the way into the telemetry store, and back.

Adding never touches the disk: rows wait in memory until `flush`, in another thread, makes them durable: in
the embedded store itself, or in the spool from where they are delivered to a server. When
the disk is full, read-only or broken, they go on waiting, the trouble is reported once with
the file and the remedy, and they are written when it is over; beyond `buffer_rows` the oldest
measurements are discarded (decisions and outcomes last) and counted. The loop never waits for a disk.

Thread-safe: `add_*` and `flush` may run in different threads.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from controller.model import Decision, NodeCounters, Outcome, RouterSample, SampledConnection
from controller.observe import points
from controller.observe.demand import Demand
from controller.observe.points import Row
from controller.observe.recall import Recall
from controller.observe.upkeep import Upkeep
from controller.store.cardinality import OTHER, BoundedSeries, Key
from controller.store.delivery import KEEP_S, Delivery, DeliveryState, pack
from controller.store.influx import InfluxAdapter
from controller.store.interface import Retention, StoreError
from controller.store.line_protocol import Encoder
from controller.store.point import Point
from controller.store.schema import SCHEMA
from controller.store.spool import Spool, SpoolFullError
from controller.store.sqlite import SqliteAdapter
from controller.store.stamps import Stamps
from controller.trouble import Troubles
from ml.breaches.breach import Breach
from ml.forecasting.forecast import Forecast
from ml.series import Series

TROUBLE = "store"
PRECIOUS = frozenset({"decisions", "outcomes"})
FLUSH_ROWS = 5_000  # at once
MOST_ARRIVED = 1_000  # tellings that wait
ERA = "era"
ARRIVALS = "arrivals"
LONG_S = 7_776_000.0


class Store:
    """path: the local file. Without `spool` it is the store; with it, it holds only what the controller
    remembers (`set_meta`), and `connect` makes the adapter of the server. Neither need be usable when
    the store is made; see `flush`.
    """

    def __init__(
        self,
        path: str | Path,
        troubles: Troubles,
        *,
        retention_s: float = 604800.0,
        long_s: float = LONG_S,
        own_s: Mapping[str, float] | None = None,
        buffer_rows: int = 100_000,
        most_arrivals: int = 1000,
        spool: Spool | None = None,
        connect: Callable[[], InfluxAdapter] | None = None,
        writer: str = "umbra",
        prove_s: float = 5.0,
        keep_s: float = KEEP_S,
    ) -> None:
        self.local = SqliteAdapter(path)
        self.retention_s = retention_s
        self.buffer_rows = buffer_rows
        self.discarded = 0  # rows lost because the buffer was full, or unfit for any store
        self.written = 0  # rows made durable in this run
        self.spool = spool
        self.delivery: Delivery | None = None
        if spool is not None and connect is not None:
            self.delivery = Delivery(
                spool, connect, troubles, writer, prove_s=prove_s, keep_s=keep_s, own_s=own_s
            )
            self.delivery.start()
        self._troubles = troubles
        self._lock = threading.Lock()  # for what waits
        self._disk = threading.Lock()  # one flush at a time
        self._precious: deque[Row] = deque()
        self._measured: deque[Row] = deque()
        self._arrived: deque[tuple[float, Mapping[Key, int]]] = deque()
        self.arrivals_by_digest = True  # somebody who knows better tells `add_arrivals`
        self._batch: list[Point] = []  # stamped, on its way to the disk
        self._meta: dict[str, str] = {}
        self._stamps: Stamps | None = None
        self._bound = BoundedSeries(most_arrivals, retention_s)
        self._encoder = Encoder(SCHEMA)
        self._recall = Recall(self.local, spool, self.delivery, connect, self._report)
        self._upkeep = Upkeep(self.local, Retention(retention_s, long_s, own_s or {}))

    @property
    def path(self) -> Path:
        """The local file."""
        return self.local.path

    @property
    def waiting(self) -> int:
        """Rows not yet durable."""
        waiting = len(self._precious) + len(self._measured) + len(self._batch)
        return waiting + len(self._meta)

    def delivery_state(self) -> DeliveryState | None:
        """How it goes with the server; None without one."""
        return self.delivery.state() if self.delivery is not None else None

    def add_sample(self, sample: RouterSample, demand: Demand, shift_pct: float) -> None:
        """One router in one cycle."""
        self._put([points.sample(sample, demand, shift_pct)])

    def add_counters(self, counters: NodeCounters) -> None:
        """A switch's service counters."""
        self._put(points.services(counters))

    def add_connections(self, connections: Iterable[SampledConnection]) -> None:
        """Digests."""
        rows, arrived = [], Counter[Key]()
        for one in connections:
            rows.append(points.connection(one))
            arrived[one.address, points.location(one.client)] += 1
        if rows:
            self._put(rows)
            if self.arrivals_by_digest:
                self.add_arrivals(rows[-1].time_s, arrived)

    def add_arrivals(self, time_s: float, counts: Mapping[Key, int]) -> None:
        """New connections by (destination, location) until then, since the time told before."""
        with self._lock:
            self._arrived.append((time_s, dict(counts)))
            while len(self._arrived) > MOST_ARRIVED:
                self._arrived.popleft()
                self.discarded += 1

    def add_forecast(self, forecast: Forecast, threat: Breach | None) -> None:
        """A forecast, to be compared with what comes."""
        self._put(points.forecast(forecast, threat))

    def add_decision(self, decision: Decision) -> None:
        """A decision."""
        self._put([points.decision(decision)])

    def add_outcome(self, outcome: Outcome, time_s: float) -> None:
        """What came of a decision."""
        self._put([points.outcome(outcome, time_s)])

    def add_rows(self, rows: list[Row]) -> None:
        """Rows of a measurement of the schema."""
        self._put(rows)

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value for the next run."""
        with self._lock:
            self._meta[key] = value

    def flush(self) -> bool:
        """Make durable what waits; False while the disk does not take it. Never raises for the disk's sake."""
        with self._disk:
            try:
                stamps = self._ready()
                while self._fill(stamps):
                    self._write()
            except SpoolFullError as error:
                full = f"{error}: start the server that it is for, or raise store.influxdb.spool_mb"
                self._report(f"{full}; up to {self.buffer_rows} rows wait in memory")
                return False
            except (StoreError, OSError) as error:
                self._report(f"{error}; up to {self.buffer_rows} rows wait in memory")
                return False
        self._troubles.end(TROUBLE)
        return True

    def prune(self, now_s: float) -> int:
        """Forget a small batch of what is older than the retention; returns the rows deleted. A server does so
        by itself.
        """
        if self.delivery is not None:
            return 0
        try:
            return self._upkeep.prune(now_s)
        except StoreError as error:
            self._report(str(error))
            return 0

    def downsample(self, now_s: float) -> int:
        """Make the minutes that are over; returns how many. For a server the delivery does so."""
        if self.delivery is not None:
            return 0
        try:
            return self._upkeep.downsample(now_s)
        except StoreError as error:
            self._report(str(error))
            return 0

    def series(self, router: str, since_s: float) -> Series:
        """A router's demand since then, what waits in memory included; empty when there is none."""
        with self._lock:
            late = [row for row in self._measured if row.tags == (router,)]
            batch = [one for one in self._batch if one.tags == (router,)]
        return self._recall.series(router, since_s, late, batch)

    def arrivals(self, since_s: float) -> list[tuple[float, str, str, int]]:
        """Stored arrivals since then, by time: (time, destination, location, connections)."""
        return self._recall.arrivals(since_s)

    def extent(self, routers: Iterable[str], since_s: float, after_s: float) -> tuple[float, int]:
        """Of these routers' stored samples since then: the longest span in seconds, and how many came
        after `after_s`.
        """
        return self._recall.extent(tuple(routers), since_s, after_s)

    def decisions(
        self,
        *,
        limit: int = 100,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> list[dict[str, Any]]:
        """Stored decisions with their outcomes, the newest first."""
        return self._recall.decisions(limit, router, kind, since_s)

    def meta(self, key: str) -> str | None:
        """A remembered value."""
        with self._lock:
            if key in self._meta:
                return self._meta[key]
        try:
            return self.local.meta(key)
        except StoreError as error:
            self._report(str(error))
            return None

    def close(self) -> None:
        """Make durable what waits, and let go of files and server."""
        self.flush()
        if self.delivery is not None:
            self.delivery.stop()
        if self.spool is not None:
            self.spool.close()
        self._recall.close()
        self.local.close()

    def _put(self, rows: list[Row]) -> None:
        with self._lock:
            for row in rows:
                (self._precious if row.measurement in PRECIOUS else self._measured).append(row)
            while len(self._precious) + len(self._measured) + len(self._batch) > self.buffer_rows:
                waiting = self._measured or self._precious
                if not waiting:
                    break
                waiting.popleft()
                self.discarded += 1

    def _ready(self) -> Stamps:
        """The stamps, after reading what this run must know of those before."""
        if self._stamps is None:
            if self.delivery is None:
                self._upkeep.prepare()
            era = self.local.meta(ERA)
            self._bound.take_over(self.local.meta(ARRIVALS) or "")
            self._stamps = Stamps(int(era) + 1 if era is not None and era.isdigit() else 0)
        return self._stamps

    def _fill(self, stamps: Stamps) -> bool:
        """Take a batch from what waits, unless one is under way; False when there is nothing to write."""
        with self._lock:
            if not self._batch:
                self._count_arrivals()
                most = max(1, min(FLUSH_ROWS, self.buffer_rows // 2))
                rows: list[Row] = []
                for waiting in (self._precious, self._measured):
                    while waiting and len(rows) < most:
                        rows.append(waiting.popleft())
                era = stamps.era
                for row in rows:
                    series = (row.measurement, row.tags)
                    stamp = stamps.stamp(series, row.time_s)
                    self._batch.append(Point(row.measurement, stamp, row.tags, row.values))
                if rows and (era != stamps.era or not self.written):
                    self._meta[ERA] = str(stamps.era)
            return bool(self._batch or self._meta)

    def _count_arrivals(self) -> None:
        if not self._arrived:
            return
        known = len(self._bound.written_s)
        while self._arrived:
            time_s, counts = self._arrived.popleft()
            own, rest = self._bound.fold(counts, time_s)
            for (destination, place), count in own.items():
                self._measured.append(points.arrivals(time_s, destination, place, count))
            for (destination,), count in rest.items():
                self._measured.append(points.arrivals(time_s, destination, OTHER, count))
        if len(self._bound.written_s) != known:
            self._meta[ARRIVALS] = self._bound.to_json()

    def _write(self) -> None:
        with self._lock:
            meta = dict(self._meta)
        sound, rejected = self.local.sifted(self._batch)
        # Those at fault themselves would keep all behind them waiting for ever.
        for one in rejected:
            self.discarded += 1
            self._troubles.count(f"{TROUBLE} row", f"{one.what} was discarded: {one.reason}")
        self._batch = sound
        if self.spool is None:
            self.local.keep(sound, meta)
        else:
            if meta:
                self.local.keep([], meta)
            if sound:
                lines = [self._encoder.line(point) for point in sound]
                self.spool.append(pack(lines), len(lines))
                if self.spool.damaged:
                    self._troubles.begin("spool", _damaged(self.spool))
            if self.delivery is not None:
                self.delivery.wake()
        with self._lock:
            for key, value in meta.items():
                if self._meta.get(key) == value:
                    del self._meta[key]
            self.written += len(sound)
            self._batch = []

    def _report(self, what: str) -> None:
        self._troubles.begin(TROUBLE, what)


def _damaged(spool: Spool) -> str:
    return (
        f"{spool.damaged} parts of {spool.directory} could not be read and were put aside as "
        "*.damaged: check the disk"
    )
