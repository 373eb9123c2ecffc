"""Routers die, return, and are taken out of service, under connections that talk all the time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.bench.chaos import chaos
from topologies.load.interruption import Interruption
from topologies.world import World

CONNECTIONS = 200
CHAOS_S = 35.0


def said(message: str) -> None:
    print(message)


async def crash(kind: str, directory: Path, *, replicate: bool) -> list[Interruption]:
    """A crash of r1, and its return, as often as there are elements in the answer."""
    found = []
    async with World(
        kind, directory, seed=1, connections=CONNECTIONS, replicate=replicate, say=said
    ) as world:
        for _ in range(2 if replicate else 1):
            await world.settled()
            at_s = world.crash("r1")
            found.append(await world.aftermath(at_s, 3.0))
            await world.restart("r1")
        world.talk.stop()
        assert not world.talk.served_twice()
    return found


def test_connections_survive_the_death_of_their_router_again_and_again(
    kind: str, tmp_path: Path
) -> None:
    for found in asyncio.run(crash(kind, tmp_path, replicate=True)):
        assert found.connections == CONNECTIONS
        assert found.broken_total == 0
        assert found.struck > 0  # or nothing was tried


def test_without_replicas_most_connections_die_with_their_router(kind: str, tmp_path: Path) -> None:
    (found,) = asyncio.run(crash(kind, tmp_path, replicate=False))
    assert found.connections == CONNECTIONS
    assert found.broken_total > CONNECTIONS / 2  # a guess is right for one in four


def test_a_drained_router_can_be_switched_off_and_nobody_notices(kind: str, tmp_path: Path) -> None:
    async def drain() -> Interruption:
        async with World(kind, tmp_path, seed=1, connections=CONNECTIONS, say=said) as world:
            await world.settled()
            at_s = await world.drain("r1")
            world.crash("r1")
            found = await world.aftermath(at_s, 3.0)
            await world.restart("r1")
            await world.undrain("r1")
            await world.settled()
            world.talk.stop()
            assert not world.talk.ends()
            return found

    found = asyncio.run(drain())
    assert found.connections == CONNECTIONS
    assert found.broken_total == 0


def test_no_order_of_kills_stops_and_restarts_corrupts_what_routers_know(
    kind: str, tmp_path: Path
) -> None:
    found = asyncio.run(chaos(kind, tmp_path, CHAOS_S, 1, said))
    print(found.to_json())
    assert len(found.blows) > 2
    assert found.answered_twice == 0
    assert found.least_live == 0
    assert found.comparison.entries > 0
    assert found.comparison.two_owners == ()
    assert found.comparison.two_bindings == ()
    assert found.comparison.unequal == ()
    assert found.miscounted == {}
    assert found.unexplained == 0
