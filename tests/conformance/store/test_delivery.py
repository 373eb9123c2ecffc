"""What a server's troubles do to telemetry: nothing is lost, nothing is there twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.model import RouterSample
from controller.observe.demand import Demand
from controller.observe.store import TROUBLE, Store
from controller.store.delivery import MEANS_TROUBLE, pack
from controller.store.delivery import TROUBLE as SERVER_TROUBLE
from controller.store.influx_http import Server
from controller.store.interface import Aggregate, Query, Retention
from controller.store.opening import connect
from controller.store.spool import Spool
from controller.trouble import Troubles
from harness import disk
from harness.influx import Influx, until
from topologies.servers.faulty import FaultyProxy, Mode

WEEK_S = 604_800.0


class World:
    """A controller's store, writing to one database of its own through the proxy."""

    def __init__(self, influx: Influx, proxy: FaultyProxy, directory: Path, name: str) -> None:
        self.troubles = Troubles()
        self.directory = directory
        self.direct = Server(
            influx.url, name, influx.server.org, influx.server.login, timeout_s=20.0
        )
        self.through = Server(
            proxy.url, name, influx.server.org, influx.server.login, timeout_s=1.0
        )
        with connect(self.direct) as adapter:
            adapter.prepare(Retention(WEEK_S, 10 * WEEK_S))
        self.start_s = time.time() - 3600
        self.told = 0
        self.store = self.open()

    def open(self, most_bytes: int = 1 << 24) -> Store:
        return Store(
            self.directory / "umbra.db",
            self.troubles,
            spool=Spool(self.directory / "spool", most_bytes),
            connect=lambda: connect(self.through),
            prove_s=0.5,
            keep_s=0.0,
        )

    def add(self, number: int, router: str = "r1") -> None:
        for _ in range(number):
            at_s = self.start_s + self.told
            sample = RouterSample(router, at_s, self.told, 2.0, 1.0, 0.0, 5.0)
            self.store.add_sample(sample, Demand(float(self.told), 3.0, 1.0), 0.0)
            self.told += 1
        assert self.store.flush()

    def pour(self, number: int) -> None:
        """Ten a second, whether the server takes them or not."""
        for _ in range(number // 1000):
            for _ in range(1000):
                at_s = self.start_s + 0.1 * self.told
                sample = RouterSample("r1", at_s, self.told, 2.0, 1.0, 0.0, 5.0)
                self.store.add_sample(sample, Demand(1.0, 3.0, 1.0), 0.0)
                self.told += 1
            self.store.flush()

    def there(self) -> list[float]:
        """Serial numbers of the samples on the server, in order of time."""
        with connect(self.direct) as adapter:
            found = adapter.query(Query("samples", fields=("live",)))
        return [value for frame in found for value in frame.columns["live"].tolist()]

    def arrived(self) -> bool:
        return not self.store.delivery.behind if self.store.delivery else True

    def all_there(self) -> None:
        until(self.arrived, f"delivered; {self.store.delivery_state()} {self.troubles.open}")
        assert self.there() == [float(number) for number in range(self.told)]


@pytest.fixture
def world(
    influx: Influx, proxy: FaultyProxy, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    name = "db" + str(abs(hash(request.node.nodeid)) % 10**9)
    world = World(influx, proxy, tmp_path, name)
    yield world
    world.store.close()


def test_samples_reach_the_server_and_leave_the_spool(world: World) -> None:
    world.add(100)
    world.add(100)
    world.all_there()
    assert world.store.spool is not None
    until(lambda: world.store.spool.samples == 0, "the spool is empty")
    state = world.store.delivery_state()
    assert state is not None
    assert state.available
    assert state.delivered == 200
    assert world.troubles.open == {}


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.PASS])
def test_while_a_server_is_in_trouble_samples_wait_and_then_arrive_in_order(
    world: World, proxy: FaultyProxy, mode: Mode
) -> None:
    world.add(10)
    until(world.arrived, "delivered")
    proxy.mode = mode
    world.add(50)
    until(lambda: SERVER_TROUBLE in world.troubles.open, f"the trouble is told ({mode})")
    world.add(50)
    state = world.store.delivery_state()
    assert state is not None
    assert not state.available
    assert state.waiting == 100
    proxy.mode = Mode.PASS
    world.all_there()
    assert state.rejected == 0
    until(lambda: SERVER_TROUBLE not in world.troubles.open, "the trouble ends")


def test_a_server_that_is_killed_and_started_again_has_everything(
    world: World, influx: Influx
) -> None:
    world.add(100)
    influx.kill()
    world.add(100)
    until(lambda: SERVER_TROUBLE in world.troubles.open, "the trouble is told")
    influx.start()
    world.add(100)
    world.all_there()


def test_what_waits_outlives_the_controller(world: World, proxy: FaultyProxy) -> None:
    proxy.mode = Mode.CUT
    world.add(300)
    world.store.close()
    proxy.mode = Mode.PASS
    world.store = world.open()
    world.add(10)
    world.all_there()


def test_a_line_that_the_server_refuses_is_kept_aside_with_the_reason(world: World) -> None:
    world.add(10)
    assert world.store.spool is not None
    assert world.store.delivery is not None
    bad = f'samples,router=r1 live="text" {round(world.start_s * 1e9) + 1}'
    good = f"samples,router=r1 live=10 {round((world.start_s + 10) * 1e6) * 1000}"
    until(world.arrived, "delivered")
    world.store.spool.append(pack([bad, good]), 2)
    world.told += 1
    world.store.delivery.wake()
    world.all_there()
    ((_, rejected),) = list(world.store.delivery.rejected.read())
    assert rejected.what == bad
    assert "type" in rejected.reason
    assert SERVER_TROUBLE not in world.troubles.open


def test_a_server_that_acknowledges_and_keeps_nothing_is_found_out(
    world: World, influx: Influx
) -> None:
    world.add(10)
    until(world.arrived, "delivered")
    assert world.store.delivery is not None
    canaries = world.store.delivery._canaries
    forget = canaries.missing
    canaries.missing = lambda adapter: 1  # type: ignore[method-assign]  # as when it reads nothing back
    world.add(10)
    until(lambda: "cannot be read" in world.troubles.open.get(SERVER_TROUBLE, ""), "it is told")
    assert world.store.spool is not None
    assert world.store.spool.samples >= 10
    canaries.missing = forget  # type: ignore[method-assign]
    world.all_there()


def test_while_the_server_is_away_the_controller_still_knows_its_samples(
    world: World, proxy: FaultyProxy
) -> None:
    proxy.mode = Mode.CUT
    world.add(20)
    series = world.store.series("r1", 0.0)
    assert series.values.tolist() == [float(number) for number in range(20)]
    proxy.mode = Mode.PASS


def test_a_full_spool_is_told_and_what_does_not_fit_waits_in_memory(
    world: World, proxy: FaultyProxy
) -> None:
    world.store.close()
    proxy.mode = Mode.BUSY
    world.store = world.open(most_bytes=1 << 17)
    world.pour(30_000)
    assert "is full" in world.troubles.open[TROUBLE]
    assert world.store.waiting > 0
    assert world.store.discarded == 0
    proxy.mode = Mode.PASS
    until(lambda: world.store.flush() and world.arrived(), "delivered")
    world.all_there()


def test_a_full_disk_loses_nothing(world: World, proxy: FaultyProxy, tmp_path: Path) -> None:
    world.store.close()
    (tmp_path / "small").mkdir()
    with disk.small_disk(tmp_path / "small", "512k") as small:
        world.directory = small
        world.store = world.open()
        proxy.mode = Mode.BUSY
        world.add(10)
        with (small / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"\0" * 4096)
            except OSError:
                pass
        world.pour(10_000)
        assert "make room" in world.troubles.open[TROUBLE] or "No space" in str(
            world.troubles.open[TROUBLE]
        )
        (small / "filler").unlink()
        proxy.mode = Mode.PASS
        until(lambda: world.store.flush() and world.arrived(), "delivered")
        assert sorted(world.there()) == [float(number) for number in range(world.told)]
        world.store.close()


def test_a_clock_that_is_set_back_overwrites_nothing(world: World) -> None:
    world.add(100)
    world.told = 0
    start_s, world.start_s = world.start_s, world.start_s - 50
    for number in range(100, 200):
        at_s = world.start_s + number - 100
        sample = RouterSample("r1", at_s, number, 2.0, 1.0, 0.0, 5.0)
        world.store.add_sample(sample, Demand(1.0, 3.0, 1.0), 0.0)
    assert world.store.flush()
    until(world.arrived, "delivered")
    assert sorted(world.there()) == [float(number) for number in range(200)]
    assert start_s > world.start_s


def test_what_came_late_is_downsampled(world: World) -> None:
    count: Callable[[], int] = lambda: sum(  # noqa: E731
        len(frame) for frame in _minutes(world)
    )
    world.start_s = (time.time() - 86_400) // 60 * 60
    world.add(600)
    until(lambda: world.arrived() and count() == 10, "ten minutes")
    means = [value for frame in _minutes(world) for value in frame.columns["demand"].tolist()]
    assert means == [30 - 0.5 + 60 * minute for minute in range(10)]
    greatest = [v for frame in _minutes(world) for v in frame.columns["demand_max"].tolist()]
    assert greatest == [59 + 60.0 * minute for minute in range(10)]


def test_means_that_take_too_long_hold_no_sample_up(world: World, proxy: FaultyProxy) -> None:
    world.start_s = (time.time() - 86_400) // 60 * 60
    proxy.silent_about = "mean"
    world.add(600)
    until(lambda: MEANS_TROUBLE in world.troubles.open, "the trouble is told")
    world.add(600)
    world.all_there()
    state = world.store.delivery_state()
    assert state is not None
    assert state.replays == 0
    proxy.silent_about = None
    until(lambda: sum(len(frame) for frame in _minutes(world)) == 20, "twenty minutes")
    until(lambda: MEANS_TROUBLE not in world.troubles.open, "the trouble ends")


def _minutes(world: World) -> list:  # type: ignore[type-arg]
    with connect(world.direct) as adapter:
        return adapter.query(Query("samples_1m"))


def test_counting_is_by_series_and_time(world: World) -> None:
    world.add(100)
    world.all_there()
    with connect(world.direct) as adapter:
        (frame,) = adapter.query(Query("samples", fields=("live",), aggregate=Aggregate.COUNT))
    assert frame.columns["live"].tolist() == [100.0]
