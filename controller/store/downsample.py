"""Minutes of samples: what is kept long. Done by the store where it can, and else, or for samples that
came late, by the controller with this, through any adapter.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.store.interface import Adapter, Aggregate, Frame, Query
from controller.store.point import Point, Value
from controller.store.schema import Measurement

SOURCE = "samples"
TARGET = "samples_1m"
EVERY_NS = 60_000_000_000
AT_ONCE_NS = 360 * EVERY_NS  # of the past, in one query


def measures(schema: Mapping[str, Measurement]) -> list[tuple[str, str, str]]:
    """(field of the target, aggregate, field of the source)."""
    source = schema[SOURCE].field_names
    return [
        (name, "mean", name) if name in source else (name, "max", name.removesuffix("_max"))
        for name in schema[TARGET].field_names
    ]


def downsample(store: Adapter, start_ns: int, end_ns: int) -> int:
    """Make the minutes that begin in the range, anew where they are there; returns how many."""
    made = 0
    at_ns = start_ns // EVERY_NS * EVERY_NS
    while at_ns < end_ns:
        until_ns = min(at_ns + AT_ONCE_NS, -(-end_ns // EVERY_NS) * EVERY_NS)
        means = _windows(store, at_ns, until_ns, Aggregate.MEAN)
        greatest = _windows(store, at_ns, until_ns, Aggregate.MAX)
        points = [
            point
            for router, frame in means.items()
            for point in _points(store.schema, router, frame, greatest[router])
        ]
        store.write(points)
        made += len(points)
        at_ns = until_ns
    return made


def _windows(store: Adapter, start_ns: int, end_ns: int, how: Aggregate) -> dict[str, Frame]:
    found = store.query(
        Query(SOURCE, start_ns, end_ns, group_by=("router",), aggregate=how, window_ns=EVERY_NS)
    )
    return {frame.tags["router"]: frame for frame in found}


def _points(
    schema: Mapping[str, Measurement], router: str, means: Frame, greatest: Frame
) -> list[Point]:
    columns = [
        (means if how == "mean" else greatest).columns[field].tolist()
        for _, how, field in measures(schema)
    ]
    rows: list[tuple[Value, ...]] = [
        tuple(None if value != value else value for value in row)
        for row in zip(*columns, strict=True)
    ]
    return [
        Point(TARGET, time_ns, (router,), row)
        for time_ns, row in zip(means.times_ns.tolist(), rows, strict=True)
    ]
