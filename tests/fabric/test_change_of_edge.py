"""A client with a way into the fabric by either edge changes from one to the other, while its connections talk."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from controller.resilience.resync import OWNED
from topologies.load.conversation import Conversation
from topologies.load.interruption import Interruption
from topologies.net import Network
from topologies.world import World, fabric_config

CONNECTIONS = 200
ROUTERS = ("r1", "r2", "r3", "r4")  # an edge that does not know a connection has to guess
SERVICES = "10.100.0.0/24"
WAYS = {"e1": ("um-c1-0", "10.1.1.1"), "e2": ("um-c2-0", "10.1.2.1")}  # interface, gateway
TALK_S = 3.0  # by then every connection has asked


def talking(kind: str, directory: Path, *, replicate: bool = True) -> World:
    """All connections are those of c1, and spread over all routers."""
    world = World(
        kind,
        directory,
        seed=1,
        connections=CONNECTIONS,
        primaries=ROUTERS,
        replicate=replicate,
    )
    config = fabric_config(directory, primaries=ROUTERS)
    config["clients"] = [one for one in config["clients"] if one["name"] == "c1"]
    world.talk = Conversation(
        world.network, config, directory / "load", service=1, connections=CONNECTIONS, seed=1
    )
    return world


def plug_into_both_edges(network: Network) -> None:
    """c1 gets the cable of c2 as well."""
    inside = network.run("c1", ["sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
    assert inside.stdout is not None
    inside.stdout.readline()
    cable, _ = WAYS["e2"]
    network.output("c2", ["ip", "link", "set", cable, "netns", str(inside.pid)])
    network.output("c1", ["ip", "link", "set", cable, "up"])
    for scope in ("all", *(interface for interface, _ in WAYS.values())):
        # Answers come by e1, where c1's address is, whichever way the questions go.
        network.output("c1", ["sysctl", "-qw", f"net.ipv4.conf.{scope}.rp_filter=0"])


async def change(world: World, edge: str) -> Interruption:
    """c1 sends by this edge from now on, with the same source address: what came of it."""
    interface, gateway = WAYS[edge]
    source = world.network.wiring.host("c1").ip
    route = f"ip route replace {SERVICES} via {gateway} dev {interface} onlink src {source}"
    at_s = time.monotonic()
    world.network.output("c1", route.split())
    return await world.aftermath(at_s, TALK_S)


async def owned(world: World, edge: str) -> dict[int, int | None]:
    """Connections that an edge owns, by signature, and the router of each."""
    entries = await world.controller.driver.dump(edge, origins=OWNED)
    return {entry.signature: entry.binding for entry in entries}


def test_a_client_that_arrives_by_another_edge_keeps_its_connections(
    kind: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with talking(kind, tmp_path) as world:
            plug_into_both_edges(world.network)
            await world.settled()
            before = await owned(world, "e1")
            assert len(before) == CONNECTIONS
            assert len({*before.values()}) == len(ROUTERS)
            for edge, other in (("e2", "e1"), ("e1", "e2")):
                found = await change(world, edge)
                assert found.connections == CONNECTIONS
                assert found.broken_total == 0
                assert await owned(world, edge) == before, "and they stay where they were"
                assert await owned(world, other) == {}
            world.talk.stop()
            assert not world.talk.ends()
            assert not world.talk.served_twice()

    asyncio.run(play())


def test_without_replication_most_connections_break_at_another_edge(
    kind: str, tmp_path: Path
) -> None:
    async def play() -> Interruption:
        async with talking(kind, tmp_path, replicate=False) as world:
            plug_into_both_edges(world.network)
            await world.settled()
            return await change(world, "e2")

    found = asyncio.run(play())
    assert found.connections == CONNECTIONS
    assert found.broken_total > CONNECTIONS / 3  # guesses: of the router, then of the backend
