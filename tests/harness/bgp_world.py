"""A real router between a client and a P4 edge: client — router — e1 — the host that a shard lives on.

The router learns by BGP, on a link of its own, from the speaker that runs where the tests run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from controller.act.bgp import BgpSpeaker, Change
from controller.act.router_files import Kind, RouterSettings, Umbra, render, write
from controller.model import FabricPlan, Shard, ShardState, Subdivision
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings
from controller.plan.shard_advertisements import shard_advertisements
from controller.plan.shard_routes import Attachment, shard_rows, with_shards
from harness.programmed import Make, Programmed, programmed
from harness.small import CLIENT_IP, CLIENT_MAC, small_fabric, small_plan
from topologies.network_space import NetworkSpace, cable
from topologies.servers.real_routers import BirdRouter, FrrRouter, missing
from topologies.switches import EMBEDDED

POOL, POOL_IPV6 = "10.50.0.0/16", "2001:db8:50::/44"
SHARD, OTHER, SHARD_IPV6 = "10.50.1.0/26", "10.50.2.0/26", "2001:db8:50:1::/64"
INSTANCE, INSTANCE_MAC = "10.50.1.5", "02:00:00:50:00:05"
OUTSIDE, OUTSIDE_CLIENT, OUTSIDE_ROUTER = "192.0.2.0/24", "192.0.2.10", "192.0.2.1"
OURS, THEIRS = "10.9.0.1", "10.9.0.2"
NEXT_HOP, NEXT_HOP_IPV6 = "10.1.1.1", "2001:db8:1::1"
LOCAL_AS, REMOTE_AS = 65000, 65001
PASSWORD = "between-us"
PATIENCE_S = 30.0

PODS = (Subdivision("pod1", (POOL, POOL_IPV6), "main", switch="e1"),)

# What a controller does of BGP, in a process that can be killed like one.
CONTROLLER = """
import asyncio, sys
from pathlib import Path
from controller.act.bgp import BgpSpeaker
from harness import bgp_world

async def main():
    speaker = BgpSpeaker(Path(sys.argv[1]))
    change = await speaker.sync(bgp_world.settings(), bgp_world.advertised(sys.argv[2:]))
    print(change.announced, change.withdrawn, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def shard(prefix: str, state: ShardState = ShardState.PREFETCHED) -> Shard:
    """A shard of pod1."""
    return Shard(prefix, "pod1", state, 1, 0.0)


def settings() -> BgpSettings:
    """umbra, with one router for a peer."""
    peer = BgpPeer(
        "border",
        THEIRS,
        REMOTE_AS,
        next_hop=NEXT_HOP,
        next_hop_ipv6=NEXT_HOP_IPV6,
        switch="e1",
        local_address=OURS,
        password=PASSWORD,
        hold_s=10,
    )
    return BgpSettings(LOCAL_AS, OURS, (peer,), connect_retry_s=0.5)


def advertised(prefixes: list[str]) -> dict[str, list[Advertisement]]:
    """What the router is told when these shards are prefetched."""
    routes = shard_advertisements(small_fabric(), PODS, map(shard, prefixes), settings())
    return {address: list(own) for address, own in routes.items()}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it; fails by name when the patience is over."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.02)


class Router:
    """FRR or BIRD with the configuration file that umbra renders for it."""

    def __init__(self, kind: Kind, space: NetworkSpace, directory: Path) -> None:
        self.kind = kind
        self.space = space
        self.file = directory / f"{kind}.conf"
        self.frr: FrrRouter | None = None
        self.bird: BirdRouter | None = None
        self._directory = directory

    def start(self, settings: RouterSettings) -> None:
        """Run with these settings."""
        write(self.kind, render(self.kind, settings), self.file)
        if self.kind is Kind.FRR:
            self.frr = FrrRouter(self.space)
            self.frr.__enter__().load(self.file)
        else:
            self.bird = BirdRouter(self.space, self._directory / "bird")
            self.bird.start(self.file)

    def stop(self) -> None:
        """End it; its routes go with it."""
        for program in (self.frr, self.bird):
            if program is not None:
                program.__exit__()
        self.frr = self.bird = None

    def prefixes(self, version: int = 4) -> set[str]:
        """Shards that it learnt from umbra."""
        if self.frr is not None:
            return set(self.frr.routes(version))
        assert self.bird is not None
        return {p for p in self.bird.routes("umbra") if (":" in p) == (version == 6)}

    def history(self) -> object:
        """Changes with every route that comes, goes or changes, and with every new session."""
        if self.frr is not None:
            table = self.frr.show_json("show bgp ipv4 unicast")
            return table["tableVersion"], self.frr.neighbour(OURS)["connectionsEstablished"]
        assert self.bird is not None
        told = self.bird.show("show protocols all umbra")
        since = re.search(r"umbra\s+BGP\s+\S+\s+\S+\s+(\S+)", told)
        return since and since.group(1), re.findall(r"(?:Import) (?:updates|withdraws):.*", told)

    def ask_again(self) -> None:
        """Have it send a ROUTE-REFRESH request."""
        if self.frr is not None:
            self.frr.show(f"clear bgp ipv4 unicast {OURS} soft in")
        if self.bird is not None:
            self.bird.show("reload in umbra")

    def updates(self) -> int:
        """How much it has heard of routes, the same ones too."""
        if self.frr is not None:
            return int(self.frr.neighbour(OURS)["messageStats"]["updatesRecv"])
        assert self.bird is not None
        told = re.search(r"Import updates:\s+(\d+)", self.bird.show("show protocols all umbra"))
        return int(told.group(1)) if told else 0

    def attributes(self, prefix: str) -> tuple[int, int, str, str]:
        """LOCAL_PREF that its policy gave, MED, communities, next hop."""
        if self.frr is not None:
            path = self.frr.route(prefix)
            hop = path["nexthops"][0]["ip"]
            return path["locPrf"], path["metric"], path["community"]["string"], hop
        assert self.bird is not None
        told = self.bird.routes("umbra")[prefix]

        def field(name: str) -> str:
            found = re.search(rf"BGP\.{name}: (.*)", told)
            return found.group(1).strip() if found else ""

        communities = " ".join(
            f"{a}:{b}" for a, b in re.findall(r"\((\d+),(\d+)\)", field("community"))
        )
        return int(field("local_pref")), int(field("med")), communities, field("next_hop")


def router_settings(**changes: object) -> RouterSettings:
    """The real router's settings."""
    values: dict[str, object] = {
        "name": "border",
        "router_id": THEIRS,
        "local_as": REMOTE_AS,
        "pools": (POOL, POOL_IPV6),
        "community_as": LOCAL_AS,
        "umbra": Umbra(OURS, LOCAL_AS, password=PASSWORD),
    }
    return RouterSettings(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class World:
    """All of it, running."""

    router: Router
    edge: Programmed
    client: NetworkSpace
    instance: NetworkSpace
    directory: Path

    def route_shards(self, *prefixes: str) -> None:
        """Write the shards' routes to the P4 edge."""
        attached = [Attachment(one, "e1", 4, INSTANCE_MAC) for one in prefixes]
        attached.append(Attachment(OUTSIDE, "e1", 3, CLIENT_MAC))
        rows = shard_rows(small_fabric(), PODS, [shard(one) for one in prefixes], attached)
        plan = with_shards(FabricPlan((small_plan("e1"),)), rows)
        self.edge.replan(plan.node("e1"))

    @contextlib.contextmanager
    def controller(self, *prefixes: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A controller process that wants these shards advertised, and what it had to write; killed at the end."""
        process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, str(self.directory), *prefixes],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(
                    process.pid, signal.SIGKILL
                )  # all that belongs to it, as a service manager would
            process.wait()

    def speaker_pid(self) -> int:
        """Process id of the BGP speaker; 0 if there was none."""
        lock = self.directory / "bgp.lock"
        return int(lock.read_text() or 0) if lock.exists() else 0

    def reaches(self, address: str) -> bool:
        """Does a ping from the client come back?"""
        ping = self.client.command("ping", "-c", "1", "-W", "1", address)
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    @contextlib.contextmanager
    def pinging(self, address: str) -> Iterator[list[str]]:
        """Ping it 50 times a second throughout; afterwards the list holds sent and received."""
        result: list[str] = []
        ping = subprocess.Popen(
            self.client.command("ping", "-i", "0.02", address), stdout=subprocess.PIPE, text=True
        )
        try:
            yield result
        finally:
            ping.send_signal(signal.SIGINT)
            out, _ = ping.communicate(timeout=10)
            found = re.search(r"(\d+) packets transmitted, (\d+) received", out)
            result.extend(found.groups() if found else [])


@contextlib.contextmanager
def bgp_world(
    kind: Kind, make: Make, directory: Path, router: RouterSettings | None = None
) -> Iterator[World]:
    """Client, router, P4 edge and instance; the router's links and its program are up."""
    reason = missing()
    assert reason is None, reason
    with contextlib.ExitStack() as stack:
        edge = stack.enter_context(make("e1"))
        between, client, instance = (stack.enter_context(NetworkSpace()) for _ in range(3))
        between.ipv6()
        between.forwarding()
        cable("umbra-bgp0", "umbra-bgp1")
        stack.callback(_ip, "link", "del", "umbra-bgp0")
        _ip("address", "add", f"{OURS}/24", "dev", "umbra-bgp0")
        between.take("umbra-bgp1", f"{THEIRS}/24")
        cable("umbra-out0", "umbra-out1")
        between.take("umbra-out0", f"{OUTSIDE_ROUTER}/24")
        client.take("umbra-out1", f"{OUTSIDE_CLIENT}/24")
        client.run("ip", "route", "add", "default", "via", OUTSIDE_ROUTER)
        between.take(edge.device.peer(3), f"{CLIENT_IP}/24", "2001:db8:1::10/64", mac=CLIENT_MAC)
        instance.take(edge.device.peer(4), f"{INSTANCE}/32", mac=INSTANCE_MAC)
        gateway = ("dev", edge.device.peer(4))
        instance.run("ip", "route", "add", f"{NEXT_HOP}/32", *gateway)
        instance.run("ip", "route", "add", "default", "via", NEXT_HOP, *gateway)
        real = Router(kind, between, directory)
        stack.callback(real.stop)
        real.start(router or router_settings())
        world = World(real, edge, client, instance, directory)
        stack.callback(_end_speaker, world)
        yield world


def _end_speaker(world: World) -> None:
    with contextlib.suppress(ProcessLookupError):
        if pid := world.speaker_pid():
            os.kill(pid, signal.SIGKILL)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=False, capture_output=True)


def embedded(directory: Path) -> Make:
    """Makes embedded switches: where only the router is under test."""
    return lambda node: programmed(EMBEDDED, node, directory)


def sync(world: World, prefixes: list[str], **changes: object) -> Change:
    """Have these shards advertised, as a controller does; the changes are of the peer's settings."""

    async def once() -> Change:
        speaker = BgpSpeaker(world.directory)
        try:
            peer = replace(settings().peers[0], **changes)  # type: ignore[arg-type]
            return await speaker.sync(replace(settings(), peers=(peer,)), advertised(prefixes))
        finally:
            await speaker.close()

    return asyncio.run(once())


def assert_nothing_learnt(world: World) -> None:
    """An attempt at a session ends, and the router has learnt nothing by it."""

    async def attempts() -> None:
        speaker = BgpSpeaker(world.directory)
        try:
            for _ in range(600):
                (state,) = await speaker.states()
                assert world.router.prefixes() == set()
                if state.last_error is not None:
                    return
                await asyncio.sleep(0.05)
        finally:
            await speaker.close()
        raise AssertionError("the session goes on")

    asyncio.run(attempts())
