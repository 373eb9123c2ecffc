"""What the whole controller does about shadows: surges between cycles, failures, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from controller.act.fabric import FabricDriver
from controller.config import parse
from controller.daemon import Controller
from harness.simdriver import SimDriver
from harness.simulated import SimFabric, SimRouter

START_S = 1_000_000.0
CALM_PER_S, SURGE_PER_S, SURGE_S = 20.0, 120.0, 70
WEB = 16  # slot set of service 1
FAILOVER_OFF = "failover: {enabled: false}"


class World:
    """One edge, four routers; the service's only primary is r1, and it surges after 70 s."""

    def __init__(self, directory: Path, more: str = "") -> None:
        routers = "".join(
            f"  - {{name: r{n}, stage: router, device_id: 2{n}, address: '127.0.0.1:5002{n}', "
            f"label: 30{n}, mac: '02:00:00:00:03:0{n}', capacity: 800, threshold_available: 100}}\n"
            for n in (1, 2, 3, 4)
        )
        links = "".join(f"  - {{a: 'r{n}:1', b: 's1:1{n}'}}\n" for n in (1, 2, 3, 4))
        self.config = parse(f"""\
umbra: 1
store: {{path: {directory}/umbra.db}}
audit: {{path: {directory}/audit.jsonl}}
switches:
  - {{name: e1, stage: edge, device_id: 1, address: '127.0.0.1:50001', label: 101,
     mac: '02:00:00:00:01:01', subnet: 10.1.1.0/24}}
  - {{name: s1, stage: spine, device_id: 11, address: '127.0.0.1:50011', label: 201,
     mac: '02:00:00:00:02:01', subnet: 10.2.1.0/24}}
{routers}links:
  - {{a: 'e1:1', b: 's1:1'}}
{links}clients: []
backends:
  - {{name: b1, port: 's1:9', ip: 10.2.1.10, mac: '02:00:00:00:05:01', label: 401}}
services:
  - {{id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}}
{more}
""")
        queues = {f"r{n}": SimRouter(300 + n, 800, 700.0) for n in (1, 2, 3, 4)}
        self.sim = SimFabric(queues, {1: self.rate}, seed=5)
        self.sim.time_s = START_S
        self.driver = SimDriver(self.config.fabric(), self.sim)
        self.controller = self.fresh()

    def rate(self, time_s: float) -> float:
        return CALM_PER_S if time_s < START_S + SURGE_S else SURGE_PER_S

    def fresh(self) -> Controller:
        self.driver.on_up, self.driver.on_down, self.driver.on_probe = [], [], []
        driver = cast(FabricDriver, self.driver)
        return Controller(self.config, clock=lambda: self.sim.time_s, driver=driver)

    async def seconds(self, number: int) -> None:
        for _ in range(number):
            await self.controller.turn()
            await self.controller.shadowing.surges.poll()

    def shadows(self, router: str = "r1") -> list[str]:
        row = next(one for one in self.controller.shadows() if one["router"] == router)
        return [one["name"] for one in row["shadows"]]


def play(directory: Path, story: Callable[[World], Awaitable[None]], more: str = "") -> None:
    async def main() -> None:
        world = World(directory, more)
        await world.controller.start()
        try:
            await story(world)
        finally:
            await world.controller._finish()

    asyncio.run(main())


def test_a_surge_moves_new_connections_between_two_cycles(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.seconds(SURGE_S)
        cycle = world.controller.cycle
        before = cycle.state.cycle
        assert world.driver.tables["e1", WEB] == (301,) * 100
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        assert cycle.state.cycle == before
        assert world.driver.tables["e1", WEB].count(301) <= 90
        [decision] = world.controller.decisions(kind="shift")
        assert decision["trigger"] == "anomaly"
        assert decision["time_s"] < START_S + SURGE_S + 1.0
        assert list(decision["written"]) == ["e1"]
        await world.seconds(3)
        assert world.driver.tables["e1", WEB].count(301) <= 60, "and the cycle goes on from there"

    play(tmp_path, story, FAILOVER_OFF)


def test_with_surges_off_nothing_happens_between_cycles(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.seconds(SURGE_S)
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        assert world.controller.decisions() == []

    play(tmp_path, story, "cycle: {surge: false}\n" + FAILOVER_OFF)


def test_a_dry_run_writes_nothing_about_a_surge_either(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.seconds(SURGE_S)
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        [decision] = world.controller.decisions(kind="shift")
        assert decision["dry_run"]
        assert world.driver.tables["e1", WEB] == (301,) * 100

    play(tmp_path, story, "cycle: {dry_run: true}\n" + FAILOVER_OFF)


def test_a_shadow_that_is_not_connected_for_long_is_replaced_and_programmed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.seconds(2)
        assert world.shadows() == ["r2", "r3"]
        world.driver.down.add("r2")
        await world.seconds(12)
        assert world.shadows() == ["r3", "r4"]
        assert world.controller.resilience.desired.shadows["r1"] == ("r3", "r4")

    play(tmp_path, story, FAILOVER_OFF)


def test_a_restart_goes_on_with_the_shadows_that_hold_the_replicas(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.seconds(2)
        world.driver.down.add("r2")
        await world.seconds(12)
        world.driver.down.clear()
        await world.seconds(2)
        assert world.shadows() == ["r3", "r4"]
        await world.controller._finish()
        world.controller = world.fresh()
        await world.controller.start()
        assert world.shadows() == ["r3", "r4"]
        assert world.controller.resilience.desired.shadows["r1"] == ("r3", "r4")

    play(tmp_path, story, FAILOVER_OFF)
