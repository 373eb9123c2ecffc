"""Means of samples that came late, from a server that answers slowly: in ever smaller parts, until they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from controller.store.downsample import EVERY_NS, SOURCE, TARGET
from controller.store.influx import InfluxAdapter
from controller.store.influx_http import Server
from controller.store.interface import Capabilities, Frame, Query, Rejected, Retention, SlowError
from controller.store.late_means import LateMeans
from controller.store.point import Point
from controller.store.schema import Bucket
from controller.store.sqlite import SqliteAdapter

MINUTES = 200
FIRST_NS = 1_700_000_040 * 10**9
NOW_NS = FIRST_NS + 10_000 * EVERY_NS


class Slow(InfluxAdapter):
    """SQLite's answers, by a server that has no time for more than so many minutes at once."""

    def __init__(self, there: SqliteAdapter, minutes: int) -> None:
        super().__init__(Server("http://127.0.0.1:1", "db"), "1.8", there.schema)
        self.there = there
        self.minutes = minutes

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("slow", "1.8", own_retention=True, own_downsampling=True, cannot=())

    def query(self, query: Query) -> list[Frame]:
        assert query.start_ns is not None
        assert query.end_ns is not None
        if query.end_ns - query.start_ns > self.minutes * EVERY_NS:
            raise SlowError("it does not answer (timed out)")
        return self.there.query(query)

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        return self.there.write(points)

    def write_lines(self, bucket: Bucket, lines: Sequence[str]) -> None:
        raise AssertionError(f"{bucket}: {lines}")

    def prepare(self, retention: Retention) -> list[str]:
        raise AssertionError(retention)

    def forget(self, measurement: str, before_ns: int) -> None:
        raise AssertionError(f"{measurement} before {before_ns}")

    def retention(self) -> Mapping[Bucket, float]:
        raise AssertionError


@pytest.fixture
def there() -> Iterator[SqliteAdapter]:
    with SqliteAdapter(":memory:") as adapter:
        yield adapter


@pytest.mark.parametrize("minutes", [1, 7, 60, 1000])
def test_every_minute_is_made_however_slow_the_server_is(
    there: SqliteAdapter, minutes: int
) -> None:
    names = there.schema[SOURCE].field_names
    samples = [
        Point(SOURCE, FIRST_NS + second * 10**9, ("r1",), tuple(float(second) for _ in names))
        for second in range(0, MINUTES * 60, 10)
    ]
    there.write(samples)
    late = LateMeans()
    late.note([f"{SOURCE},router=r1 live=1 {point.time_ns}" for point in samples])
    slow, more = Slow(there, minutes), True
    tries = 0
    while more:
        tries += 1
        assert tries < 4 * MINUTES
        try:
            more = late.make(slow, NOW_NS)
        except SlowError:
            more = True
    (frame,) = there.query(Query(TARGET))
    assert frame.times_ns.tolist() == [FIRST_NS + n * EVERY_NS for n in range(MINUTES)]
    assert not late.make(slow, NOW_NS)
