"""What the controller does for connections that talk all the time when something goes wrong with a router,
with its own connection to it, or with itself.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from controller.act.records import State
from controller.model import Kind
from controller.plan.liveness import Status
from controller.resilience.resync import OWNED
from harness.shared import Shared
from topologies.world import World

CONNECTIONS = 60
Story = Callable[[World], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def fabric(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared[World]]:
    """Under load. Every story finds it in order, and leaves it so."""

    @asynccontextmanager
    async def settled() -> AsyncIterator[World]:
        directory = tmp_path_factory.mktemp("world")
        async with World(kind, directory, seed=3, connections=CONNECTIONS) as world:
            await world.settled()
            yield world

    with closing(Shared(settled)) as shared:
        yield shared


def play(fabric: Shared[World], story: Story) -> None:
    async def run(world: World) -> None:
        await story(world)
        found = await world.aftermath(time.monotonic() - 1.0, 1.5)
        assert found.broken_total == 0
        assert not [life for life in world.talk.lives().values() if life.broken]
        assert world.talk.live() == CONNECTIONS

    fabric.run(run)


def status(world: World, name: str) -> Status:
    health = world.controller.resilience.health
    assert health is not None
    return health.status(name)


def tc(order: str, interface: str, *words: str) -> None:
    subprocess.run(["tc", "qdisc", order, "dev", interface, *words], check=True)


def kinds(world: World, name: str, since_s: float) -> list[str]:
    """What was decided about a router, in order."""
    decisions = reversed(world.controller.decisions(router=name))
    return [d["kind"] for d in decisions if d["time_s"] >= since_s]


async def failed_over(world: World, name: str, since_s: float) -> None:
    """Wait until others stand in for a router, and that is told."""
    told = Kind.FAILOVER.value
    await world.until(lambda: told in kinds(world, name, since_s), f"{name} is failed over")


def test_a_router_with_a_cut_link_is_relieved_until_the_link_is_back(
    fabric: Shared[World],
) -> None:
    async def story(world: World) -> None:
        begun_s, at_s = time.time(), time.monotonic()
        for end in ("um-r1-1", "um-s1-3"):  # a bucket too small for any packet
            tc("add", end, "root", "tbf", "rate", "8bit", "burst", "10", "limit", "10")
        await failed_over(world, "r1", begun_s)
        assert "its link to s1 is cut" in world.controller.decisions(router="r1")[0]["reason"]
        found = await world.aftermath(at_s, 3.0)
        assert found.broken_total == 0
        assert found.struck > 0  # or nothing was tried
        for end in ("um-r1-1", "um-s1-3"):
            tc("del", end, "root")
        await world.settled()  # the connections are home again
        assert kinds(world, "r1", begun_s)[-1] == Kind.FAILBACK.value

    play(fabric, story)


def test_nothing_moves_when_only_the_connection_to_a_router_is_lost(
    fabric: Shared[World],
) -> None:
    async def story(world: World) -> None:
        begun_s = time.time()
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
        await world.until(lambda: status(world, "r1") is Status.ALIVE, "nobody suspects r1")
        assert world.controller.resilience.desired.targets == {}
        assert kinds(world, "r1", begun_s) == []
        for edge, updates in before.items():
            assert world.controller.driver.status()[edge].updates == updates

    play(fabric, story)


def test_a_router_that_hangs_is_found_dead_and_brought_up_to_date(
    fabric: Shared[World],
) -> None:
    async def story(world: World) -> None:
        begun_s = time.time()
        world.pause("r1", stop=True)
        await failed_over(world, "r1", begun_s)
        await world.rest(1.0)
        world.pause("r1", stop=False)
        await world.settled()

    play(fabric, story)


def test_a_restarted_controller_keeps_a_failover_in_force_and_ends_it(
    fabric: Shared[World],
) -> None:
    async def story(world: World) -> None:
        begun_s = time.time()
        world.crash("r1")
        await failed_over(world, "r1", begun_s)
        targets = dict(world.controller.resilience.desired.targets)
        await world.rest(1.5)
        await world.restart_controller()
        await world.until(lambda: world.controller.cycle.number >= 2, "the controller turns")
        assert world.controller.resilience.desired.targets == targets
        updates = {name: own.updates for name, own in world.controller.driver.status().items()}
        assert updates == dict.fromkeys(updates, 0)
        await world.restart("r1")
        await world.settled()

    play(fabric, story)


def test_draining_and_undraining_disturb_nobody(fabric: Shared[World]) -> None:
    async def story(world: World) -> None:
        at_s = await world.drain("r1")
        await world.rest(2.0)
        await world.counted()
        assert world.live_on()["r1"] == 0
        await world.undrain("r1")
        found = await world.aftermath(at_s, 2.0)
        assert found.broken_total == 0
        await world.settled()

    play(fabric, story)


def test_an_edge_that_was_restarted_knows_its_clients_connections_again(
    fabric: Shared[World],
) -> None:
    async def story(world: World) -> None:
        driver = world.controller.driver

        async def known() -> set[int]:
            entries = await driver.dump("e1", origins=OWNED)
            return {entry.signature for entry in entries if entry.state is not State.CLOSING}

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

    play(fabric, story)
