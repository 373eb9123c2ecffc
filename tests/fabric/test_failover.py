"""What the controller does for connections that talk all the time when something goes wrong with a router,
with its own connection to it, or with itself.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from controller.daemon import Controller
from controller.model import Kind
from controller.plan.liveness import Status
from topologies.world import World

CONNECTIONS = 60
OWNED = 1  # bit 0 of a scan's origins
Story = Callable[[World], Awaitable[None]]


def play(kind: str, directory: Path, story: Story) -> None:
    async def run() -> None:
        async with World(kind, directory, seed=3, connections=CONNECTIONS) as world:
            await world.settled()
            await story(world)
            found = await world.aftermath(time.monotonic() - 1.0, 1.5)
            assert found.broken_total == 0
            assert not [life for life in world.talk.lives().values() if life.broken]
            assert world.talk.live() == CONNECTIONS

    asyncio.run(run())


def status(world: World, name: str) -> Status:
    health = world.controller.resilience.health
    assert health is not None
    return health.status(name)


def tc(order: str, interface: str, *words: str) -> None:
    subprocess.run(["tc", "qdisc", order, "dev", interface, *words], check=True)


def kinds(world: World, name: str) -> list[str]:
    return [d["kind"] for d in reversed(world.controller.decisions(router=name))]


def test_a_dead_routers_connections_go_on_and_come_home_with_it(kind: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        at_s = world.crash("r1")
        await world.until(lambda: Kind.FAILOVER.value in kinds(world, "r1"), "r1 is failed over")
        found = await world.aftermath(at_s, 3.0)
        assert found.connections == CONNECTIONS
        assert found.broken_total == 0
        assert found.struck > 0  # or nothing was tried
        targets = world.controller.resilience.desired.targets
        assert {*targets["r1"]} <= {"r2", "r3", "r4"}
        await world.restart("r1")
        await world.settled()  # the connections are home again
        assert kinds(world, "r1")[-1] == Kind.FAILBACK.value

    play(kind, tmp_path, story)


def test_a_router_with_a_cut_link_is_relieved_until_the_link_is_back(
    kind: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        at_s = time.monotonic()
        for end in ("um-r1-1", "um-s1-3"):  # a bucket too small for any packet
            tc("add", end, "root", "tbf", "rate", "8bit", "burst", "10", "limit", "10")
        await world.until(lambda: "r1" in world.controller.resilience.desired.targets, "r1 is away")
        assert "its link to s1 is cut" in world.controller.decisions(router="r1")[0]["reason"]
        found = await world.aftermath(at_s, 3.0)
        assert found.broken_total == 0
        assert found.struck > 0  # or nothing was tried
        for end in ("um-r1-1", "um-s1-3"):
            tc("del", end, "root")
        await world.settled()  # the connections are home again
        assert kinds(world, "r1")[-1] == Kind.FAILBACK.value

    play(kind, tmp_path, story)


def test_nothing_moves_when_only_the_connection_to_a_router_is_lost(
    kind: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        lost: list[str] = []
        world.controller.driver.on_down.append(lost.append)
        before = {edge: world.controller.driver.status()[edge].updates for edge in ("e1", "e2")}
        since_s = world.controller.driver.status()["r1"].since_s
        address = world.controller.fabric.switch("r1").address
        cut = await asyncio.create_subprocess_exec(
            "ss", "--kill", "--no-header", "dst", address, stdout=asyncio.subprocess.DEVNULL
        )
        assert await cut.wait() == 0
        await world.until(lambda: lost == ["r1"], "the connection is lost")
        await world.until(
            lambda: world.controller.driver.status()["r1"].reconciled, "it is there again"
        )
        assert world.controller.driver.status()["r1"].since_s > since_s
        await world.rest(1.0)
        assert status(world, "r1") is Status.ALIVE
        assert world.controller.resilience.desired.targets == {}
        assert kinds(world, "r1") == []
        for edge, updates in before.items():
            assert world.controller.driver.status()[edge].updates == updates

    play(kind, tmp_path, story)


def test_a_router_that_hangs_is_found_dead_and_brought_up_to_date(
    kind: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        world.pause("r1", stop=True)
        await world.until(lambda: "r1" in world.controller.resilience.desired.targets, "r1 is away")
        await world.rest(1.0)
        world.pause("r1", stop=False)
        await world.settled()

    play(kind, tmp_path, story)


def test_a_restarted_controller_keeps_a_failover_in_force_and_ends_it(
    kind: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        world.crash("r1")
        await world.until(lambda: Kind.FAILOVER.value in kinds(world, "r1"), "r1 is failed over")
        targets = dict(world.controller.resilience.desired.targets)
        await world.rest(1.5)
        await world.controller.stop()
        assert world._running is not None
        await world._running
        world.controller = Controller(world.controller.config)
        world._running = asyncio.create_task(world.controller.run())
        await world.until(lambda: world.controller.cycle.number >= 2, "the controller turns")
        assert world.controller.resilience.desired.targets == targets
        updates = {name: own.updates for name, own in world.controller.driver.status().items()}
        assert updates == dict.fromkeys(updates, 0)
        await world.restart("r1")
        await world.settled()

    play(kind, tmp_path, story)


def test_draining_and_undraining_disturb_nobody(kind: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        at_s = await world.drain("r1")
        await world.rest(2.0)
        assert world.live_on()["r1"] <= CONNECTIONS
        await world.undrain("r1")
        found = await world.aftermath(at_s, 2.0)
        assert found.broken_total == 0
        await world.settled()

    play(kind, tmp_path, story)


def test_an_edge_that_was_restarted_knows_its_clients_connections_again(
    kind: str, tmp_path: Path
) -> None:
    async def story(world: World) -> None:
        driver = world.controller.driver

        async def known() -> set[int]:
            return {record.signature for record in await driver.dump("e1", origins=OWNED)}

        before = await known()
        assert len(before) == CONNECTIONS / 2
        updates = driver.status()["e1"].updates
        world.hush(True)  # so that nothing but its peer can tell it
        try:
            world.crash("e1")
            await world.until(lambda: not driver.status()["e1"].up, "e1 is missed")
            await world.restart("e1")
            await world.until(lambda: driver.status()["e1"].reconciled, "e1 is programmed")
            assert driver.status()["e1"].updates > updates
            async with asyncio.timeout(20):
                while await known() != before:
                    await asyncio.sleep(0.2)
        finally:
            world.hush(False)
        await world.settled()

    play(kind, tmp_path, story)
