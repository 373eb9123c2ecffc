"""What the telemetry store keeps, forgets and survives."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from controller.model import Decision, Kind, NodeCounters, Outcome, RouterSample, ServiceCounters
from controller.observe.demand import Demand
from controller.observe.store import TROUBLE, Store
from controller.trouble import Troubles
from harness import disk


def sample(time_s: float, live: int = 10, router: str = "r1") -> RouterSample:
    return RouterSample(router, time_s, live, 2.0, 1.0, 0.0, 5.0, 100.0)


def add(store: Store, time_s: float, live: int = 10, router: str = "r1") -> None:
    demand = Demand(live + 5.0, 3.0, math.nan)
    store.add_sample(sample(time_s, live, router), demand, 10.0)


def decision(number: int, router: str = "r1", kind: Kind = Kind.SHIFT) -> Decision:
    return Decision(
        f"d{number}",
        float(number),
        kind,
        router,
        0,
        10,
        ("r2",),
        "prediction",
        "why",
        {"live": 3.0},
    )


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def store(tmp_path: Path, troubles: Troubles) -> Iterator[Store]:
    store = Store(tmp_path / "umbra.db", troubles)
    yield store
    store.close()


def test_a_series_is_the_demand_in_order_with_unknowns_as_nan(store: Store) -> None:
    for second in range(5):
        add(store, 100.0 + second, live=second)
        add(store, 100.0 + second, live=70, router="r2")
    assert store.flush()
    add(store, 105.0, live=5)  # still in memory
    series = store.series("r1", 102.0)
    assert series.target == "r1"
    assert series.times_s.tolist() == [102, 103, 104, 105]
    assert series.values.tolist() == [7, 8, 9, 10]
    assert series.channel("new_per_s").tolist() == [3, 3, 3, 3]
    assert np.isnan(series.channel("mean_duration_s")).all()
    assert len(store.series("nobody", 0.0)) == 0


def test_decisions_come_back_newest_first_with_what_came_of_them(store: Store) -> None:
    for number in range(4):
        store.add_decision(decision(number, kind=Kind.HOLD if number == 2 else Kind.SHIFT))
    store.add_outcome(Outcome("d3", ("e1",), (("e2", "gone"),), 4.5), 3.0)
    store.flush()
    found = store.decisions(limit=2)
    assert [one["id"] for one in found] == ["d3", "d2"]
    assert found[0]["written"] == ["e1"]
    assert found[0]["failed"] == [["e2", "gone"]]
    assert found[0]["decide_to_written_ms"] == 4.5
    assert found[0]["inputs"] == {"live": 3.0}
    assert found[1]["written"] == []
    assert [one["id"] for one in store.decisions(kind="hold")] == ["d2"]
    assert [one["id"] for one in store.decisions(since_s=2.0)] == ["d3", "d2"]
    assert store.decisions(router="r9") == []


def test_what_is_older_than_the_retention_goes_in_small_batches(
    tmp_path: Path, troubles: Troubles
) -> None:
    store = Store(tmp_path / "umbra.db", troubles, retention_s=100.0)
    for second in range(3000):
        add(store, float(second))
        store.add_counters(NodeCounters("r1", float(second), {1: ServiceCounters(opened=second)}))
    store.add_decision(decision(5))
    store.add_outcome(Outcome("d5", (), (), None), 5.0)
    store.flush()
    assert 0 < store.prune(3000.0) <= 2000 * 3
    while store.prune(3000.0):
        pass
    assert store.series("r1", 0.0).times_s[0] == 2900.0
    assert store.decisions() == []
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "umbra.db")) as found:
        assert found.execute("SELECT count(*) FROM services").fetchone() == (100,)
        assert found.execute("SELECT count(*) FROM outcomes").fetchone() == (0,)


def test_a_measurement_can_be_kept_longer_or_shorter_than_the_rest(
    tmp_path: Path, troubles: Troubles
) -> None:
    own_s = {"services": 10.0, "decisions": 1e6}
    store = Store(tmp_path / "umbra.db", troubles, retention_s=100.0, own_s=own_s)
    for second in range(1000):
        add(store, float(second))
        store.add_counters(NodeCounters("r1", float(second), {1: ServiceCounters(opened=second)}))
    store.add_decision(decision(5))
    store.flush()
    while store.prune(1000.0):
        pass
    assert store.series("r1", 0.0).times_s[0] == 900.0
    assert len(store.decisions()) == 1
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "umbra.db")) as found:
        assert found.execute("SELECT count(*) FROM services").fetchone() == (10,)


def test_what_was_remembered_is_there_after_a_restart(tmp_path: Path, troubles: Troubles) -> None:
    first = Store(tmp_path / "umbra.db", troubles)
    first.set_meta("routes", "a")
    first.set_meta("routes", "b")
    add(first, 1.0)
    first.close()
    second = Store(tmp_path / "umbra.db", troubles)
    assert second.meta("routes") == "b"
    assert second.meta("nothing") is None
    assert len(second.series("r1", 0.0)) == 1
    second.close()


def fill(directory: Path) -> Path:
    """A file that takes all the room there is."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"\0" * 4096)
    return filler


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path, "1m") as directory:
        yield directory


def test_on_a_full_disk_rows_wait_and_nothing_is_lost(small_disk: Path, troubles: Troubles) -> None:
    store = Store(small_disk / "umbra.db", troubles)
    add(store, 0.0)
    assert store.flush()
    filler = fill(small_disk)
    for second in range(1, 3000):
        add(store, float(second))
        if second % 500 == 0:
            store.flush()
    store.add_decision(decision(1))
    assert not store.flush()
    said = troubles.open[TROUBLE]
    assert str(small_disk / "umbra.db") in said
    assert "make room" in said
    assert store.waiting > 0
    assert len(store.series("r1", 0.0)) == 3000  # what waits is part of the series
    filler.unlink()
    assert store.flush()
    assert TROUBLE not in troubles.open
    assert (store.waiting, store.discarded) == (0, 0)
    assert store.series("r1", 0.0).times_s.tolist() == list(range(3000))
    assert [one["id"] for one in store.decisions()] == ["d1"]
    store.close()


def test_a_disk_that_is_full_from_the_start_is_used_when_there_is_room(
    small_disk: Path, troubles: Troubles
) -> None:
    filler = fill(small_disk)
    store = Store(small_disk / "umbra.db", troubles)
    add(store, 1.0)
    assert not store.flush()
    assert "umbra.db" in troubles.open[TROUBLE]
    filler.unlink()
    assert store.flush()
    assert len(store.series("r1", 0.0)) == 1
    store.close()


def test_a_database_at_its_page_limit_keeps_rows_in_memory(
    tmp_path: Path, troubles: Troubles
) -> None:
    store = Store(tmp_path / "umbra.db", troubles)
    assert store.flush()
    connection = store.local._open()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for second in range(2000):
        add(store, float(second))
    assert not store.flush()
    assert "make room" in troubles.open[TROUBLE]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.flush()
    assert len(store.series("r1", 0.0)) == 2000
    store.close()


def test_beyond_the_buffer_old_measurements_go_first_and_are_counted(
    tmp_path: Path, troubles: Troubles
) -> None:
    store = Store(tmp_path / "missing" / "umbra.db", troubles, buffer_rows=100)
    store.add_decision(decision(1))
    for second in range(150):
        add(store, float(second))
    assert not store.flush()
    assert store.discarded == 51
    assert "directory exists" in troubles.open[TROUBLE]
    (tmp_path / "missing").mkdir()
    assert store.flush()
    assert [one["id"] for one in store.decisions()] == ["d1"]
    assert store.series("r1", 0.0).times_s[0] == 51.0
    store.close()


def test_trouble_is_reported_once_not_in_every_cycle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = Troubles()
    store = Store(tmp_path / "missing" / "umbra.db", troubles)
    for second in range(10):
        add(store, float(second))
        store.flush()
    assert len(caplog.records) == 1
    assert troubles.counts[TROUBLE] == 10


def test_a_file_that_is_no_database_is_named_and_left_alone(
    tmp_path: Path, troubles: Troubles
) -> None:
    file = tmp_path / "umbra.db"
    file.write_text("precious notes, not a database\n" * 50)
    store = Store(file, troubles)
    add(store, 1.0)
    assert not store.flush()
    assert "move the file away" in troubles.open[TROUBLE]
    assert file.read_text().startswith("precious notes")


def test_on_a_disk_gone_read_only_rows_wait(small_disk: Path, troubles: Troubles) -> None:
    store = Store(small_disk / "umbra.db", troubles)
    assert store.flush()
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    add(store, 1.0)
    assert not store.flush()
    assert str(small_disk / "umbra.db") in troubles.open[TROUBLE]
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert store.flush()
    assert len(store.series("r1", 0.0)) == 1
    store.close()


def test_a_file_of_another_version_is_left_alone_and_the_remedy_named(
    tmp_path: Path, troubles: Troubles
) -> None:
    file = tmp_path / "umbra.db"
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA user_version = 99")
    store = Store(file, troubles)
    assert not store.flush()
    assert "another version" in troubles.open[TROUBLE]
    assert "move the file away" in troubles.open[TROUBLE]
    with contextlib.closing(sqlite3.connect(file)) as found:
        assert found.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_row_that_no_table_takes_keeps_no_other_waiting(
    tmp_path: Path, troubles: Troubles
) -> None:
    store = Store(tmp_path / "umbra.db", troubles)
    store.add_counters(NodeCounters("r1", 1.0, {1: ServiceCounters(bytes=2**64)}))
    store.add_counters(NodeCounters("r2", 1.0, {1: ServiceCounters(bytes=5)}))
    assert store.flush()
    assert store.waiting == 0
    assert store.discarded == 1
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "umbra.db")) as found:
        assert found.execute("SELECT node FROM services").fetchall() == [("r2",)]
