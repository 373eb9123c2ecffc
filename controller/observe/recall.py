"""Reading back what was stored, with what is still on its way: in memory, and in the spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from controller.observe import points
from controller.observe.points import Row
from controller.store.delivery import Delivery, unpack
from controller.store.influx import InfluxAdapter
from controller.store.interface import (
    Adapter,
    Aggregate,
    Frame,
    Query,
    StoreError,
    points_of,
)
from controller.store.line_protocol import decode
from controller.store.point import Point
from controller.store.schema import SCHEMA
from controller.store.spool import Spool
from controller.store.sqlite import SqliteAdapter
from ml.series import Series, connections_series

AGAIN_S = 5.0  # after a failed read: a server that is away must not be waited for again and again
MOST_RECORDS = 3_600  # of the spool that are looked through: an hour of cycles
SERIES_FIELDS = ("demand", "demand_new_per_s", "mean_duration_s")
NS = 1_000_000_000
_SAMPLE = SCHEMA["samples"].field_names
_PLACES = [_SAMPLE.index(name) for name in SERIES_FIELDS]
Rows = list[tuple[float, ...]]


def to_s(times_ns: Any) -> Any:
    """Nanoseconds → seconds, exact to the microsecond (the last three digits are no time)."""
    return times_ns // 1000 / 1e6


def from_s(time_s: float) -> int:
    """The least time of a point that was told at `time_s` or later, ns."""
    return round(time_s * 1e6) * 1000 if time_s > 0 else 0


class Recall:
    """report: says why something could not be read."""

    def __init__(
        self,
        local: SqliteAdapter,
        spool: Spool | None,
        delivery: Delivery | None,
        connect: Callable[[], InfluxAdapter] | None,
        report: Callable[[str], None],
    ) -> None:
        self._local = local
        self._spool = spool
        self._delivery = delivery
        self._connect = connect
        self._report = report
        self._server: InfluxAdapter | None = None
        self._failed_s = float("-inf")
        self._looked: tuple[object, int] | None = None
        self._held: dict[str, list[Point]] = {}

    def series(
        self, router: str, since_s: float, late: Sequence[Row], batch: Sequence[Point]
    ) -> Series:
        """See Store."""
        start_ns = from_s(since_s)
        rows: dict[float, tuple[float, ...]] = {}
        for frame in self._query(
            Query("samples", start_ns, fields=SERIES_FIELDS, where={"router": (router,)})
        ):
            columns = [frame.columns[name].tolist() for name in SERIES_FIELDS]
            for row in zip(to_s(frame.times_ns).tolist(), *columns, strict=True):
                rows[row[0]] = row
        held = [one for one in self._pending("samples") if one.tags == (router,)]
        for point in (*held, *batch):
            if point.measurement == "samples" and point.time_ns >= start_ns:
                self._take(rows, to_s(point.time_ns), point.values)
        for told in late:
            if told.measurement == "samples" and told.time_s >= since_s:
                self._take(rows, told.time_s, told.values)
        ordered = [rows[at] for at in sorted(rows)]
        found = np.array(ordered, dtype=np.float64).reshape(-1, 4).T
        return connections_series(router, found[0], found[1], found[2], found[3])

    def arrivals(self, since_s: float) -> list[tuple[float, str, str, int]]:
        """See Store."""
        start_ns = from_s(since_s)
        found: dict[tuple[float, str, str], int] = {}
        query = Query("arrivals", start_ns, group_by=("destination", "location"))
        for frame in self._query(query):
            tags = frame.tags["destination"], frame.tags["location"]
            counts = frame.columns["connections"].tolist()
            for time_s, count in zip(to_s(frame.times_ns).tolist(), counts, strict=True):
                found[(time_s, *tags)] = int(count)
        for point in self._pending("arrivals"):
            if point.time_ns >= start_ns:
                key = float(to_s(point.time_ns)), point.tags[0], point.tags[1]
                found[key] = int(point.values[0] or 0)
        return [(*key, count) for key, count in sorted(found.items())]

    def extent(self, routers: tuple[str, ...], since_s: float, after_s: float) -> tuple[float, int]:
        """See Store."""
        if not routers:
            return 0.0, 0
        where, since_ns = {"router": routers}, from_s(since_s)
        ends = [
            {frame.tags["router"]: int(frame.times_ns[0]) for frame in self._query(query)}
            for newest in (False, True)
            for query in (
                Query(
                    "samples", since_ns, fields=("demand",), where=where, group_by=("router",),
                    limit=1, newest_first=newest,
                ),
            )
        ]  # fmt: skip
        span_ns = max((ends[1].get(name, at) - at for name, at in ends[0].items()), default=0)
        after_ns = since_ns if after_s < since_s else from_s(after_s) + 1000
        counted = self._query(
            Query("samples", after_ns, fields=("demand",), where=where, aggregate=Aggregate.COUNT)
        )
        new = sum(int(frame.columns["demand"][0]) for frame in counted)
        return span_ns / NS, new

    def decisions(
        self, limit: int, router: str | None, kind: str | None, since_s: float | None
    ) -> list[dict[str, Any]]:
        """See Store."""
        where: dict[str, tuple[str, ...]] = {}
        if router is not None:
            where["router"] = (router,)
        if kind is not None:
            where["kind"] = (kind,)
        start_ns = from_s(since_s) if since_s is not None else None
        query = Query("decisions", start_ns, where=where, limit=limit, newest_first=True)
        found = {(*point.series, point.time_ns): point for point in self._points(query)}
        for point in self._pending("decisions"):
            if (
                (router is None or point.tags[0] == router)
                and (kind is None or point.tags[1] == kind)
                and point.time_ns >= (start_ns or 0)
            ):
                found[(*point.series, point.time_ns)] = point
        newest = sorted(found.values(), key=lambda one: one.time_ns, reverse=True)[:limit]
        if not newest:
            return []
        after = self._points(Query("outcomes", newest[-1].time_ns // NS * NS))
        came = {str(one.values[0]): one for one in (*after, *self._pending("outcomes"))}
        return points.decisions(newest, came)

    def close(self) -> None:
        """Let go of the server."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _take(self, rows: dict[float, tuple[float, ...]], at_s: float, values: Any) -> None:
        own = (values[place] for place in _PLACES)
        rows[at_s] = (at_s, *(np.nan if one is None else float(one) for one in own))

    def _points(self, query: Query) -> list[Point]:
        own = SCHEMA[query.measurement]
        return [point for frame in self._query(query) for point in points_of(own, frame)]

    def _query(self, query: Query) -> list[Frame]:
        if time.monotonic() < self._failed_s + AGAIN_S and self._connect is not None:
            return []
        try:
            return self._adapter().query(query)
        except StoreError as error:
            self._failed_s = time.monotonic()
            self.close()
            self._report(str(error))
            return []

    def _adapter(self) -> Adapter:
        if self._connect is None:
            return self._local
        if self._server is None:
            self._server = self._connect()
        return self._server

    def _pending(self, measurement: str) -> list[Point]:
        """What is in the spool, delivered and not yet proven included."""
        if self._spool is None or self._delivery is None:
            return []
        after = self._delivery.proven
        state = (after, self._spool.samples)
        if state != self._looked:  # the same for every router of one look
            self._looked = state
            self._held.clear()
        if measurement not in self._held:
            try:
                self._held[measurement] = [
                    decode(line, SCHEMA)
                    for record in self._spool.newest(after, MOST_RECORDS)
                    for line in unpack(record.payload)
                    if line.startswith(measurement + ",")
                ]
            except FileNotFoundError:  # delivered and released meanwhile
                return []
            except OSError as error:
                self._report(f"the spool {self._spool.directory} cannot be read ({error})")
                return []
        return self._held[measurement]
