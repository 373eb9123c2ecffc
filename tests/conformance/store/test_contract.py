"""What every telemetry store does: one suite, on SQLite and on real InfluxDB servers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.store.downsample import downsample
from controller.store.forgetting import Forgetting
from controller.store.influx import InfluxAdapter
from controller.store.influx3 import Influx3Adapter
from controller.store.influx_http import Server
from controller.store.interface import Adapter, Aggregate, Query, Retention, UnsupportedError
from controller.store.opening import connect
from controller.store.parquet import export, read_into
from controller.store.point import Point, Value
from controller.store.schema import SCHEMA, Bucket, FieldType
from controller.store.sqlite import SqliteAdapter
from controller.store.transfer import copy
from harness.influx import need, running, until

NS = 1_000_000_000
DAY_S = 86_400.0
START_NS = (int(time.time()) - 7200) // 3600 * 3600 * NS


@pytest.fixture(scope="module", params=["sqlite", "influxdb1", "influxdb2", "influxdb3"])
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server | None]:
    if request.param == "sqlite":
        yield None
        return
    major = int(request.param[-1])
    need(major)
    with running(major, tmp_path_factory.mktemp("influx")) as influx:
        yield influx.server


def made(kind: Server | None, directory: Path, name: str) -> Adapter:
    if kind is None:
        return SqliteAdapter(directory / f"{name}.db")
    return connect(Server(kind.url, name, kind.org, kind.login, timeout_s=30.0))


@pytest.fixture
def store(kind: Server | None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Adapter]:
    with made(kind, tmp_path, f"db{abs(hash(request.node.nodeid)) % 10**9}") as adapter:
        adapter.prepare(Retention(7 * DAY_S, 90 * DAY_S))
        yield adapter


def sample(second: float, router: str = "r1", live: float | None = 1.0, **named: float) -> Point:
    values: list[Value] = [None] * len(SCHEMA["samples"].fields)
    values[0] = live
    for name, value in named.items():
        values[SCHEMA["samples"].field_names.index(name)] = value
    return Point("samples", START_NS + round(second * NS), (router,), tuple(values))


def decision(second: int, reason: str, router: str = "r1", kind: str = "shift") -> Point:
    values = (f"d{second}", "prediction", 0.0, 10.0, '["r2"]', reason, "{}", second % 2 == 0)
    return Point("decisions", START_NS + second * NS, (router, kind), values)


def test_points_come_back_as_they_were_written_in_order_of_time(store: Adapter) -> None:
    points = [sample(n, live=float(n), demand=n + 0.25, shift_pct=0.0) for n in (3, 1, 2)]
    assert store.write(points) == []
    (frame,) = store.query(Query("samples"))
    assert frame.times_ns.tolist() == [START_NS + n * NS for n in (1, 2, 3)]
    assert frame.columns["live"].tolist() == [1.0, 2.0, 3.0]
    assert frame.columns["demand"].tolist() == [1.25, 2.25, 3.25]
    assert frame.columns["router"].tolist() == ["r1"] * 3
    assert all(math.isnan(value) for value in frame.columns["new_per_s"])


def test_nanoseconds_are_kept(store: Adapter) -> None:
    points = [Point("samples", START_NS + n, ("r1",), (float(n), *[None] * 8)) for n in range(3)]
    store.write(points)
    assert store.query(Query("samples"))[0].times_ns.tolist() == [START_NS + n for n in range(3)]


def test_the_same_series_and_time_is_overwritten_not_doubled(store: Adapter) -> None:
    for live in (1.0, 2.0, 3.0):
        store.write([sample(1, live=live), sample(2, live=live)])
    (frame,) = store.query(Query("samples", fields=("live",)))
    assert frame.columns["live"].tolist() == [3.0, 3.0]


def test_a_range_has_its_start_and_not_its_end(store: Adapter) -> None:
    store.write([sample(n, live=float(n)) for n in range(10)])
    (frame,) = store.query(Query("samples", START_NS + 2 * NS, START_NS + 5 * NS))
    assert frame.columns["live"].tolist() == [2.0, 3.0, 4.0]


def test_tags_select_and_group(store: Adapter) -> None:
    store.write([sample(n, f"r{r}", float(10 * r + n)) for n in range(3) for r in range(4)])
    query = Query("samples", fields=("live",), where={"router": ("r1", "r3")}, group_by=("router",))
    frames = store.query(query)
    assert [frame.tags for frame in frames] == [{"router": "r1"}, {"router": "r3"}]
    assert [f.columns["live"].tolist() for f in frames] == [[10.0, 11.0, 12.0], [30.0, 31.0, 32.0]]
    (one,) = store.query(Query("samples", fields=("live",), where={"router": ("r1", "r3")}))
    assert sorted(one.columns["live"].tolist()) == [10.0, 11.0, 12.0, 30.0, 31.0, 32.0]


def test_the_newest_come_first_and_no_more_than_asked_for(store: Adapter) -> None:
    store.write([decision(n, "why", f"r{n % 3}") for n in range(9)])
    (frame,) = store.query(Query("decisions", limit=4, newest_first=True))
    assert frame.columns["id"].tolist() == ["d8", "d7", "d6", "d5"]
    frames = store.query(Query("decisions", limit=1, newest_first=True, group_by=("router",)))
    assert [frame.columns["id"].tolist() for frame in frames] == [["d6"], ["d7"], ["d8"]]


def test_an_offset_leaves_out_the_newest_of_a_series(store: Adapter) -> None:
    store.write([sample(n, live=float(n)) for n in range(5)])
    where = {"router": ("r1",)}
    (frame,) = store.query(Query("samples", where=where, limit=1, newest_first=True, offset=3))
    assert frame.columns["live"].tolist() == [1.0]
    with pytest.raises(ValueError, match="one series"):
        store.query(Query("samples", limit=1, offset=3))


@pytest.mark.parametrize(
    ("aggregate", "wanted"),
    [
        (Aggregate.MEAN, [29.5, 89.5]), (Aggregate.MIN, [0, 60]), (Aggregate.MAX, [59, 119]),
        (Aggregate.SUM, [1770, 5370]), (Aggregate.COUNT, [60, 60]),
    ],
)  # fmt: skip
def test_windows_begin_at_whole_multiples(
    store: Adapter, aggregate: Aggregate, wanted: list[float]
) -> None:
    store.write([sample(n, live=float(n)) for n in range(120)])
    (frame,) = store.query(
        Query("samples", START_NS, fields=("live",), aggregate=aggregate, window_ns=60 * NS)
    )
    assert frame.times_ns.tolist() == [START_NS, START_NS + 60 * NS]
    assert frame.columns["live"].tolist() == wanted


def test_a_window_spans_the_series_that_are_not_grouped_by(store: Adapter) -> None:
    store.write([sample(n, f"r{r}", float(r)) for n in range(0, 180, 60) for r in (1, 2, 3)])
    query = Query("samples", START_NS, fields=("live",), aggregate=Aggregate.MEAN)
    assert store.query(query)[0].columns["live"].tolist() == [2.0]
    assert store.query(query)[0].times_ns.tolist() == [START_NS]
    grouped = store.query(
        Query(
            "samples", START_NS, fields=("live",), aggregate=Aggregate.MEAN,
            window_ns=60 * NS, group_by=("router",),
        )
    )  # fmt: skip
    assert [frame.columns["live"].tolist() for frame in grouped] == [
        [r] * 3 for r in (1.0, 2.0, 3.0)
    ]


def test_empty_windows_and_absent_values_count_for_nothing(store: Adapter) -> None:
    store.write([sample(0, demand=4.0), sample(1), sample(200, demand=6.0)])
    (frame,) = store.query(
        Query("samples", START_NS, fields=("demand",), aggregate=Aggregate.MEAN, window_ns=60 * NS)
    )
    assert frame.times_ns.tolist() == [START_NS, START_NS + 180 * NS]
    assert frame.columns["demand"].tolist() == [4.0, 6.0]


def test_the_last_point_of_each_series(store: Adapter) -> None:
    points = [decision(n, "why", f"r{n % 2}", ("shift", "hold")[n // 4]) for n in range(8)]
    store.write(points)
    assert store.last("decisions") == [points[6], points[2], points[7], points[3]]
    assert store.last("decisions", {"router": ("r1",), "kind": ("shift",)}) == [points[3]]
    assert store.last("samples") == []


def test_span_is_the_oldest_and_the_newest(store: Adapter) -> None:
    assert store.span("samples") is None
    store.write([sample(5), sample(1), sample(3)])
    assert store.span("samples") == (START_NS + NS, START_NS + 5 * NS)


def test_what_was_never_written_is_empty_not_an_error(store: Adapter) -> None:
    assert store.query(Query("forecasts")) == []
    assert store.query(Query("samples_1m", aggregate=Aggregate.MAX)) == []


def test_a_point_at_fault_is_handed_back_and_the_others_are_kept(store: Adapter) -> None:
    bad = [
        sample(1, live=math.inf), sample(2, ""), sample(3, live=None), sample(4, 'a"b'),
        Point("nothing", START_NS, (), ()), Point("samples", -1, ("r1",), (1.0, *[None] * 8)),
        Point("services", START_NS, ("n", "1"), (2**63, *[None] * 6)),
    ]  # fmt: skip
    rejected = store.write([sample(0), *bad, sample(9)])
    assert len(rejected) == len(bad)
    assert all(one.reason for one in rejected)
    assert len(store.query(Query("samples"))[0]) == 2


texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=50
)
tags = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters='"\\'),
               min_size=1, max_size=20)  # fmt: skip
_VALUES = {
    FieldType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.STRING: texts,
    FieldType.BOOLEAN: st.booleans(),
}


@st.composite
def anything(draw: st.DrawFn) -> Point:
    own = SCHEMA[draw(st.sampled_from(["samples", "services", "decisions"]))]
    values = [draw(st.none() | _VALUES[field.type]) for field in own.fields]
    if all(value is None for value in values):
        values[0] = draw(_VALUES[own.fields[0].type])
    tag_values = tuple(draw(tags) for _ in own.tags)
    return Point(own.name, START_NS + draw(st.integers(0, 10**9)), tag_values, tuple(values))


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(points=st.lists(anything(), min_size=1, max_size=20, unique_by=lambda p: (p[0], p[2])))
def test_any_sound_point_comes_back_exactly(store: Adapter, points: list[Point]) -> None:
    assert store.write(points) == []
    for point in points:
        where = dict(
            zip(SCHEMA[point.measurement].tags, ((one,) for one in point.tags), strict=True)
        )
        found = store.query(Query(point.measurement, point.time_ns, point.time_ns + 1, where=where))
        assert len(found) == 1
        for name, value in zip(SCHEMA[point.measurement].field_names, point.values, strict=True):
            if value is not None:
                assert found[0].columns[name].tolist() == [value]


def test_the_listing_says_what_is_there(store: Adapter) -> None:
    assert store.listing() == []
    store.write([sample(1, f"r{n}", demand=1.0) for n in range(3)])
    store.write([decision(1, "why")])
    found = {one.measurement: one for one in store.listing()}
    assert set(found) == {"samples", "decisions"}
    assert found["samples"].tags == ("router",)
    assert found["samples"].fields["demand"] == "float"
    assert found["decisions"].fields["dry_run"] == "boolean"
    assert found["samples"].series in (3, None)
    if "count series" not in store.capabilities.cannot:
        assert found["samples"].series == 3


def test_retention_is_made_once_and_can_be_changed(store: Adapter) -> None:
    assert store.prepare(Retention(7 * DAY_S, 90 * DAY_S)) == []
    if "tell or change the retention of a database that exists" in store.capabilities.cannot:
        return
    assert store.retention() == {Bucket.RAW: 7 * DAY_S, Bucket.LONG: 90 * DAY_S}
    assert store.prepare(Retention(2 * DAY_S, 90 * DAY_S))
    assert store.retention()[Bucket.RAW] == 2 * DAY_S


def test_a_server_makes_the_means_that_this_version_asks_for(kind: Server | None) -> None:
    if kind is None:
        return  # the controller makes them
    server = Server(kind.url, "older", kind.org, kind.login, timeout_s=30.0)
    minutes = SCHEMA["samples_1m"]
    older = {**SCHEMA, "samples_1m": replace(minutes, fields=minutes.fields[:-1])}
    retention = Retention(7 * DAY_S, 90 * DAY_S)
    with connect(server, older) as store:
        if not store.capabilities.own_downsampling:
            return
        store.prepare(retention)
        assert store.prepare(retention) == []
    with connect(server) as store:
        (done,) = store.prepare(retention)
        assert "was changed" in done
        assert store.prepare(retention) == []


def test_one_measurement_can_be_forgotten_sooner_than_the_others(store: Adapter) -> None:
    store.write([sample(n) for n in range(10)] + [decision(n, "why") for n in range(10)])
    if not isinstance(store, InfluxAdapter):
        store.prepare(Retention(7 * DAY_S, 90 * DAY_S, {"samples": 5.0}))
        assert store.prune(START_NS + 10 * NS) == 5
    elif isinstance(store, Influx3Adapter):
        with pytest.raises(UnsupportedError, match="retention_of_s"):
            store.forget("samples", START_NS + 5 * NS)
        return
    else:
        Forgetting({"samples": 5.0}).step(store, START_NS / NS + 10.0)
    until(
        lambda: [len(frame) for frame in store.query(Query("samples", fields=("live",)))] == [5],
        "the older half is gone",
    )
    (frame,) = store.query(Query("samples", fields=("live",)))
    assert frame.times_ns.tolist() == [START_NS + n * NS for n in range(5, 10)]
    assert sum(len(frame) for frame in store.query(Query("decisions", fields=("reason",)))) == 10


def test_what_is_older_than_the_retention_is_forgotten_or_refused(store: Adapter) -> None:
    old = Point("samples", START_NS - 30 * 86_400 * NS, ("r1",), (1.0, *[None] * 8))
    rejected = store.write([old, sample(1)])
    if store.capabilities.own_retention:
        assert [one.what.split(",")[0] for one in rejected] == ["samples"]
    else:
        assert store.prune(START_NS) == 1
    (frame,) = store.query(Query("samples", fields=("live",)))
    assert frame.times_ns.tolist() == [START_NS + NS]


def test_minutes_are_made_of_samples_and_made_anew(store: Adapter) -> None:
    store.write([sample(n, live=float(n), demand=float(n)) for n in range(150)])
    for _ in range(2):
        assert downsample(store, START_NS, START_NS + 150 * NS) == 3
    (frame,) = store.query(Query("samples_1m"))
    assert frame.times_ns.tolist() == [START_NS + n * 60 * NS for n in range(3)]
    assert frame.columns["demand"].tolist() == [29.5, 89.5, 134.5]
    assert frame.columns["demand_max"].tolist() == [59.0, 119.0, 149.0]


def test_a_server_makes_the_minutes_by_itself_where_it_says_so(store: Adapter) -> None:
    if not store.capabilities.own_downsampling:
        return
    now_s = int(time.time())
    points = [
        Point(
            "samples", (now_s - 600 + n) * NS, ("r1",), (float(n), *[None] * 5, float(n), None, 0.0)
        )
        for n in range(540)
    ]
    store.write(points)
    until(lambda: store.query(Query("samples_1m", fields=("demand_max",))) != [], "minutes", 150)
    (made_there,) = store.query(Query("samples_1m"))
    downsample(store, points[0].time_ns, points[-1].time_ns)
    (made_here,) = store.query(Query("samples_1m"))
    assert made_there.times_ns.tolist() == made_here.times_ns.tolist()
    for name in ("live", "demand", "demand_max"):
        assert made_there.columns[name].tolist() == made_here.columns[name].tolist()


def test_a_query_that_makes_no_sense_is_refused_with_the_reason(store: Adapter) -> None:
    for query, said in (
        (Query("nothing"), "no measurement 'nothing'"),
        (Query("samples", fields=("lives",)), "no field 'lives'"),
        (Query("samples", where={"site": ("a",)}), "no tag 'site'"),
        (Query("decisions", fields=("reason",), aggregate=Aggregate.MEAN), "is no number"),
    ):
        with pytest.raises(ValueError, match=said):
            store.query(query)


def test_names_that_look_like_statements_are_only_names(store: Adapter) -> None:
    name = "r1' OR 'a'='a; DROP MEASUREMENT samples --"
    store.write([sample(1, name, 7.0), sample(1, "r2", 8.0)])
    (frame,) = store.query(Query("samples", fields=("live",), where={"router": (name,)}))
    assert frame.columns["live"].tolist() == [7.0]
    assert len(store.query(Query("samples", group_by=("router",)))) == 2


def test_a_copy_has_everything_and_a_second_one_adds_nothing(
    store: Adapter, kind: Server | None, tmp_path: Path
) -> None:
    points = [sample(n * 7, f"r{n % 3}", float(n)) for n in range(500)]
    points += [decision(n, f"because {n}") for n in range(20)]
    store.write(points)
    with SqliteAdapter(tmp_path / "copy.db") as other:
        for _ in range(2):
            done = copy(store, other)
            assert done.points == {"samples": 500, "decisions": 20}
            assert done.rejected == 0
        assert other.last("samples") == store.last("samples")
    with SqliteAdapter(tmp_path / "copy.db") as other, made(kind, tmp_path, "back") as back:
        back.prepare(Retention(7 * DAY_S, 90 * DAY_S))
        assert copy(other, back).points == {"samples": 500, "decisions": 20}
        assert back.last("decisions") == store.last("decisions")


def test_parquet_brings_back_what_it_took(store: Adapter, tmp_path: Path) -> None:
    points = [sample(n, f"r{n % 3}", float(n)) for n in range(100)]
    points += [decision(n, f'"quoted" {n}\n') for n in range(5)]
    points += [Point("services", START_NS, ("r1", "1"), (2**62, None, 1, 2, 3, 4, 5))]
    store.write(points)
    assert export(store, tmp_path / "files").points == {
        "samples": 100, "services": 1, "decisions": 5,
    }  # fmt: skip
    with SqliteAdapter(tmp_path / "other.db") as other:
        done = read_into(other, tmp_path / "files")
        assert done.points == {"samples": 100, "services": 1, "decisions": 5}
        for name in done.points:
            assert other.last(name) == store.last(name)
        assert len(other.query(Query("samples"))[0]) == 100


def test_the_server_says_what_it_is(store: Adapter, kind: Server | None) -> None:
    able = store.capabilities
    assert able.version
    if kind is not None:
        assert isinstance(store, InfluxAdapter)
        assert able.own_retention
        assert able.cannot
