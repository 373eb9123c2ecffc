"""What devices used goes into the telemetry store and comes back, and is read where others wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.model.resources import Amounts, DeviceUse, RequestClass, Resource
from controller.observe.device_history import OWN, Metric, schema, series
from controller.observe.device_rows import DeviceRows
from controller.observe.recall import from_s
from controller.store.interface import Query
from controller.store.point import Checks, Point
from controller.store.schema import SCHEMA
from controller.store.sqlite import SqliteAdapter

START_S = 1_700_000_000.0
WEB = RequestClass("web", "<4KiB", "10.1.1.0/24", "b1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteAdapter]:
    """umbra's own."""
    with SqliteAdapter(tmp_path / "umbra.db") as adapter:
        yield adapter


def points(uses: list[DeviceUse], rows: DeviceRows | None = None) -> list[Point]:
    """As the controller stores them."""
    return [
        Point(one.measurement, from_s(one.time_s), one.tags, one.values)
        for one in (rows or DeviceRows()).rows(uses)
    ]


def use(second: float, cores: float, device: str = "r1", **classes: float) -> DeviceUse:
    """Of one device; classes: source → requests per second."""
    by_class = {RequestClass("web", "", source): rate for source, rate in classes.items()}
    amounts = Amounts(cores, 1e6 * cores, 1e3)
    return DeviceUse(device, START_S + second, amounts, by_class, 0.25, 2e3)


def test_every_row_fits_its_measurement() -> None:
    checks = Checks(SCHEMA)
    told = points([use(0, 0.5, a=1.0), DeviceUse("r2", START_S, Amounts(), {WEB: 2.0})])
    assert {one.measurement for one in told} == {"devices", "device_requests"}
    assert [checks.fault(one) for one in told] == [None] * len(told)


def test_use_comes_back_as_series(store: SqliteAdapter) -> None:
    uses = [use(n, 0.1 * n) for n in range(5)] + [use(n, 9.0, "r2") for n in range(5)]
    assert store.write(points(uses)) == []
    found = series(store, ["r1", "r3"], START_S + 1)
    np.testing.assert_allclose(found[Resource.CPU]["r1"].times_s, START_S + np.arange(1, 5))
    np.testing.assert_allclose(found[Resource.CPU]["r1"].values, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(found[Resource.MEMORY]["r1"].values, [1e5, 2e5, 3e5, 4e5])
    np.testing.assert_allclose(found[Resource.NETWORK]["r1"].values, [1e3] * 4)
    assert len(found[Resource.CPU]["r3"]) == 0


def test_requests_keep_their_tags(store: SqliteAdapter) -> None:
    store.write(points([DeviceUse("r1", START_S, Amounts(), {WEB: 2.5})]))
    (frame,) = store.query(Query("device_requests", group_by=SCHEMA["device_requests"].tags))
    assert dict(frame.tags) == {
        "device": "r1",
        "service": "web",
        "size": "<4KiB",
        "source": "10.1.1.0/24",
        "destination": "b1",
    }
    assert frame.columns["per_s"].tolist() == [2.5]


def test_series_of_requests_are_bounded_and_none_is_lost() -> None:
    rows = DeviceRows(most_classes=4)
    sources = {f"s{n}": 1.0 + n for n in range(20)}
    told = [one for one in points([use(0, 0.1, **sources)], rows) if one.values == one.values]
    requests = [one for one in told if one.measurement == "device_requests"]
    assert len(requests) <= 5
    assert sum(float(str(one.values[0])) for one in requests) == pytest.approx(210.0)
    assert any(one.tags == ("r1", "other", "other", "other", "other") for one in requests)


TELEGRAF = {
    Resource.CPU: Metric("docker_cpu", "usage_percent", "name", {"cpu": "total"}, factor=0.01),
    Resource.NETWORK: Metric("net", "bytes_sent", "host", factor=8.0, total=True),
}


def test_a_store_that_others_write_is_read(tmp_path: Path) -> None:
    with SqliteAdapter(tmp_path / "theirs.db", schema(TELEGRAF)) as theirs:
        theirs.write(
            [Point("docker_cpu", from_s(START_S + n), ("r1", "total"), (50.0,)) for n in range(3)]
            + [Point("docker_cpu", from_s(START_S + n), ("r1", "cpu0"), (99.0,)) for n in range(3)]
            + [
                Point("net", from_s(START_S + n), ("r1",), (value,))
                for n, value in enumerate([1000.0, 3500.0, 500.0])
            ]
        )
        found = series(theirs, ["r1"], START_S, TELEGRAF)
    assert found[Resource.CPU]["r1"].values.tolist() == [0.5] * 3
    assert found[Resource.NETWORK]["r1"].values.tolist() == [20_000.0, 4_000.0]  # it started anew
    assert Resource.MEMORY not in found


def test_interfaces_of_a_device_are_added_up(tmp_path: Path) -> None:
    metric = {Resource.NETWORK: Metric("net", "bps", "host", {})}
    with_interfaces = {"net": schema(metric)["net"]}
    own = with_interfaces["net"]
    with_interfaces["net"] = replace(own, tags=("host", "interface"))
    with SqliteAdapter(tmp_path / "theirs.db", with_interfaces) as theirs:
        theirs.write(
            [
                Point("net", from_s(START_S + n), ("r1", name), (value,))
                for n in range(2)
                for name, value in (("eth0", 10.0), ("eth1", 5.0))
            ]
        )
        found = series(theirs, ["r1"], START_S, metric)
    assert found[Resource.NETWORK]["r1"].values.tolist() == [15.0, 15.0]


def test_a_metric_that_the_store_was_not_told_of_is_refused(store: SqliteAdapter) -> None:
    with pytest.raises(ValueError, match="no measurement 'net'"):
        series(store, ["r1"], START_S, {Resource.NETWORK: TELEGRAF[Resource.NETWORK]})


def test_umbras_own_metrics_are_in_its_schema() -> None:
    for metric in OWN.values():
        own = SCHEMA[metric.measurement]
        assert metric.value in own.field_names
        assert metric.tag in own.tags
