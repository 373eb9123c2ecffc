"""What others wrote of devices' use is where forecasts begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config.resource_devices import PastConfig
from controller.model.resources import Amounts, DeviceUse, Resource
from controller.observe.device_history import schema
from controller.observe.device_rows import DeviceRows
from controller.observe.recall import from_s
from controller.resources import past
from controller.store.interface import StoreError
from controller.store.point import Point
from controller.store.sqlite import SqliteAdapter

START_S = 1_700_000_000.0
SECTION = PastConfig.model_validate(
    {
        "influxdb": {"url": "http://127.0.0.1:1"},
        "cpu": {
            "measurement": "cpu",
            "field": "usage_active",
            "tag": "host",
            "where": {"cpu": "cpu-total"},
            "factor": 0.01,
        },
        "network": {
            "measurement": "net",
            "field": "bytes_sent",
            "tag": "host",
            "factor": 8.0,
            "total": True,
        },
    }
)


@pytest.fixture
def store(tmp_path: Path) -> SqliteAdapter:
    """As an agent writes: percent of a core every 10 s, a counter of bytes 3 s later."""
    adapter = SqliteAdapter(tmp_path / "others.db", schema=schema(past.metrics(SECTION)))
    rows = []
    for n in range(5):
        at_s = START_S + 10 * n
        rows.append(Point("cpu", from_s(at_s), ("r1", "cpu-total"), (50.0 + n,)))
        rows.append(Point("cpu", from_s(at_s), ("r1", "cpu0"), (99.0,)))
        rows.append(Point("net", from_s(at_s + 3), ("r1",), (1000.0 * n,)))
    assert adapter.write(rows) == []
    return adapter


def test_use_is_read_in_cores_bytes_and_bits_per_second(store: SqliteAdapter) -> None:
    found = past.read(SECTION, ["r1", "r2"], START_S, store)
    assert found["r2"] == []
    assert [time_s - START_S for time_s, _ in found["r1"]] == [0, 10, 20, 30, 40]
    assert found["r1"][4][1] == Amounts(0.54, 0.0, 800.0)


def test_what_umbra_saw_itself_goes_before_what_others_wrote() -> None:
    before = [(1.0, Amounts(1.0)), (2.0, Amounts(1.0)), (3.0, Amounts(1.0))]
    own = [(2.5, Amounts(2.0)), (3.5, Amounts(2.0))]
    assert [time_s for time_s, _ in past.joined(before, own)] == [1.0, 2.0, 2.5, 3.5]
    assert past.joined(before, []) == before


def test_a_resource_that_nobody_wrote_is_left_out() -> None:
    assert set(past.metrics(SECTION)) == {Resource.CPU, Resource.NETWORK}


def test_umbras_own_record_comes_back_as_means_over_steps(tmp_path: Path) -> None:
    file = tmp_path / "umbra.db"
    uses = [DeviceUse("r1", START_S + n, Amounts(0.1 * n, 1e6, 1e3)) for n in range(35)]
    with SqliteAdapter(file) as adapter:
        rows = DeviceRows().rows(uses)
        points = [Point(one.measurement, from_s(one.time_s), one.tags, one.values) for one in rows]
        assert adapter.write(points) == []
    found = past.own(file, ["r1", "r2"], START_S, 10.0)
    assert set(found) == {"r1"}
    assert [time_s - START_S for time_s, _ in found["r1"]] == [10, 20, 30]
    assert [use.cpu_cores for _, use in found["r1"]] == pytest.approx([0.45, 1.45, 2.45])


def test_before_the_first_run_there_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        past.own(tmp_path / "umbra.db", ["r1"], START_S, 10.0)
