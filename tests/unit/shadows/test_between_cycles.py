"""What the whole controller does about shadows: surges between cycles, failures, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness.simworld import START_S, WEB, World

CALM_PER_S, SURGE_PER_S, SURGE_S = 20.0, 120.0, 70
FAILOVER_OFF = "failover: {enabled: false}"


def rate(time_s: float) -> float:
    """The service surges after 70 s."""
    return CALM_PER_S if time_s < START_S + SURGE_S else SURGE_PER_S


async def seconds(world: World, number: int) -> None:
    for _ in range(number):
        await world.turns(1)
        await world.controller.shadowing.surges.poll()


def shadows(world: World) -> list[str]:
    """Those of r1, as they are shown."""
    row = next(one for one in world.controller.shadows() if one["router"] == "r1")
    return [one["name"] for one in row["shadows"]]


def play(directory: Path, story: Callable[[World], Awaitable[None]], more: str = "") -> None:
    async def main() -> None:
        world = World(directory, rate, more, routers=4, capacity=800)
        await world.controller.start()
        try:
            await story(world)
        finally:
            await world.close()

    asyncio.run(main())


def test_a_surge_moves_new_connections_between_two_cycles(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seconds(world, SURGE_S)
        cycle = world.controller.cycle
        before = cycle.state.cycle
        assert world.driver.tables["e1", WEB] == (301,) * 100
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        assert cycle.state.cycle == before
        assert world.share() <= 90
        [decision] = world.controller.decisions(kind="shift")
        assert decision["trigger"] == "anomaly"
        assert decision["time_s"] < START_S + SURGE_S + 1.0
        assert list(decision["written"]) == ["e1", "e2"]
        await seconds(world, 3)
        assert world.share() <= 60, "and the cycle goes on from there"

    play(tmp_path, story, FAILOVER_OFF)


def test_with_surges_off_nothing_happens_between_cycles(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seconds(world, SURGE_S)
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        assert world.controller.decisions() == []

    play(tmp_path, story, "cycle: {surge: false}\n" + FAILOVER_OFF)


def test_a_dry_run_writes_nothing_about_a_surge_either(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seconds(world, SURGE_S)
        world.sim.turn(0.4)
        await world.controller.shadowing.surges.poll()
        [decision] = world.controller.decisions(kind="shift")
        assert decision["dry_run"]
        assert world.driver.tables["e1", WEB] == (301,) * 100

    play(tmp_path, story, "cycle: {dry_run: true}\n" + FAILOVER_OFF)


def test_a_shadow_that_is_not_connected_for_long_is_replaced_and_programmed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seconds(world, 2)
        assert shadows(world) == ["r2", "r3"]
        world.driver.down.add("r2")
        await seconds(world, 12)
        assert shadows(world) == ["r3", "r4"]
        assert world.controller.resilience.desired.shadows["r1"] == ("r3", "r4")

    play(tmp_path, story, FAILOVER_OFF)


def test_a_restart_goes_on_with_the_shadows_that_hold_the_replicas(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await seconds(world, 2)
        world.driver.down.add("r2")
        await seconds(world, 12)
        world.driver.down.clear()
        await seconds(world, 2)
        assert shadows(world) == ["r3", "r4"]
        await world.restart()
        assert shadows(world) == ["r3", "r4"]
        assert world.controller.resilience.desired.shadows["r1"] == ("r3", "r4")

    play(tmp_path, story, FAILOVER_OFF)
