"""Stories of one simulated fabric: what happens to it in turn, and what its connections see."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.act.packets import Scan, ScanResult
from controller.events import ReplicasSynced
from harness.simworld import World, calm

MORE = "failover: {return_after_s: 0.2, repair_period_s: 1}"
ALL = {301: "r1", 302: "r2", 303: "r3"}
HUNG_S = 60  # a controller that does not let its loop go round must not stop all tests
Story = Callable[[World], Awaitable[None]]
Before = Callable[[str, Scan], Awaitable[None]]


def play(directory: Path, story: Story, more: str = MORE) -> World:
    """Three routers, all heard, and what then happens to them."""

    async def heard(world: World) -> None:
        await until(lambda: all_heard(world))
        await story(world)

    with interrupted_after(HUNG_S):
        return asyncio.run(World(directory, calm, more).lived(heard))


@contextmanager
def interrupted_after(seconds: int) -> Iterator[None]:
    """Also what never yields to the event loop ends."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError("the event loop hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def all_heard(world: World) -> bool:
    health = world.controller.resilience.health
    return health is None or health.liveness.round_trip_s is not None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def before_walks(world: World, before: Before) -> None:
    """Let something happen before each walk over a table begins."""
    original = world.driver.walk

    async def walk(node: str, scan: Scan, **how: Any) -> ScanResult:
        await before(node, scan)
        return await original(node, scan, **how)

    world.driver.walk = walk  # type: ignore[method-assign]


def bindings(world: World, edge: str = "e1") -> dict[str, list[str]]:
    """Where every router's connections go."""
    return {
        name: [ALL[one] for one in world.driver.targets[edge, label]] for label, name in ALL.items()
    }


def home() -> dict[str, list[str]]:
    return {name: [name] for name in ALL.values()}


def opened(world: World, router: str, keys: range) -> None:
    """Connections of this router, replicated to its shadows."""
    driver = world.driver
    assert driver.applied is not None
    for key in keys:
        driver.replicas.open(driver.applied, router, key, driver.shadows(router))


def number(world: World, holder: str, primary: str) -> int:
    return world.controller.resilience.desired.number(holder, primary)


def kinds(world: World, router: str) -> list[str]:
    return [d["kind"] for d in reversed(world.controller.decisions(router=router))]


def health(world: World, router: str = "r1") -> str:
    return str(world.router(router)["health"])


def step(world: World, router: str = "r1") -> str | None:
    """How far the router is on its way."""
    move = world.router(router)["move"]
    return None if move is None else str(move["step"])


def synced(world: World, primary: str, shadow: str) -> int:
    """How often the pair was resynced."""
    return sum(
        (event.primary, event.shadow) == (primary, shadow)
        for event in world.events
        if isinstance(event, ReplicasSynced)
    )


async def resynced(world: World, primary: str, shadow: str) -> None:
    """The pair is resynced once more."""
    before = synced(world, primary, shadow)
    world.controller.resilience.resync.want(primary, shadow, "1 gap in the sequence of records")
    await until(lambda: synced(world, primary, shadow) > before)
