"""Shards by BGP to real routers: how soon 1,000 prefixes are forwarded, and what the end of a controller costs.

FRR and BIRD run in namespaces, with the configuration files that umbra renders for them. "Settled" is what the kernel
of the router forwards by, not what its BGP table says. Two other namespaces ping each other through the router.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.act.bgp import BgpSpeaker
from controller.act.router_files import Kind, RouterSettings, Umbra, render, write
from controller.model import Fabric, Shard, ShardState, Subdivision
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings
from controller.plan.shard_advertisements import shard_advertisements
from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.network_space import NetworkSpace, cable
from topologies.servers.real_routers import (
    BirdRouter,
    FrrRouter,
    RealRouterError,
    missing,
)

PREFIXES = 1000
RUNS = 5
RESTARTS = 3
POOL = "10.48.0.0/12"
OURS, THEIRS = "10.9.0.1", "10.9.0.2"
NEXT_HOP, ON_LINK = "10.1.1.1", "10.1.1.10"
INSTANCE, CLIENT, CLIENT_SIDE = "10.48.0.5", "192.0.2.10", "192.0.2.1"
LOCAL_AS, REMOTE_AS = 65000, 65001
TIMEOUT_S = 60.0
POLL_S = 0.005
PROTOCOL = {Kind.FRR: "bgp", Kind.BIRD: "bird"}  # what the kernel says brought a route

CONTROLLER = """
import asyncio, sys
from pathlib import Path
from controller.act.bgp import BgpSpeaker
from topologies.bench.addresses import bgp

async def main():
    speaker = BgpSpeaker(Path(sys.argv[1]))
    change = await speaker.sync(bgp.settings(), bgp.routes(int(sys.argv[2])))
    print(change.announced + change.withdrawn, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def settings() -> BgpSettings:
    """umbra, and one router on the same link."""
    peer = BgpPeer("router", THEIRS, REMOTE_AS, next_hop=NEXT_HOP, local_address=OURS)
    return BgpSettings(LOCAL_AS, OURS, (peer,), connect_retry_s=0.5)


def routes(count: int) -> Mapping[str, tuple[Advertisement, ...]]:
    """What the peer is told of `count` prefetched shards, no two of which can be joined."""
    pod = Subdivision("pod1", (POOL,), "main")
    first = int.from_bytes(bytes(map(int, POOL.split("/")[0].split("."))), "big")
    shards = [
        Shard(f"{_dotted(first + 128 * n)}/26", "pod1", ShardState.PREFETCHED, 1, 0.0)
        for n in range(count)
    ]
    return shard_advertisements(Fabric((), (), (), (), ()), [pod], shards, settings())


def _dotted(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4, "big")))


@dataclass(slots=True)
class Found:
    """Measurements with one kind of router; times in milliseconds."""

    announce: list[float] = field(default_factory=list)
    withdraw: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)
    speaker_back: list[float] = field(default_factory=list)
    restart_written: int = 0  # routes that restarted controllers wrote
    restart_missing: int = 0  # prefixes that were not forwarded at some look meanwhile
    speaker_missing: int = 0  # the same while a killed speaker was replaced
    looks: int = 0
    pings_sent: int = 0
    pings_lost: int = 0


class Lab:
    """client — router — instance, and the router's session with umbra."""

    def __init__(self, kind: Kind, space: NetworkSpace, client: NetworkSpace, run_dir: Path):
        self.kind = kind
        self.space = space
        self.client = client
        self.run_dir = run_dir

    def forwarded(self) -> int:
        """How many prefixes the router's kernel has from BGP."""
        told = self.space.run("ip", "-j", "route", "show", "proto", PROTOCOL[self.kind])
        return sum(1 for one in json.loads(told or "[]") if one.get("gateway") == NEXT_HOP)

    async def until_forwarded(self, count: int) -> float:
        """Wait until it is so many; the moment, on the monotonic clock, in seconds."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while self.forwarded() != count:
            if time.monotonic() > deadline_s:
                raise RealRouterError(f"{self.kind} did not settle at {count} prefixes")
            await asyncio.sleep(POLL_S)
        return time.monotonic()


@contextlib.contextmanager
def lab(kind: Kind, run_dir: Path) -> Iterator[Lab]:
    """Everything up, on interfaces of its own in the private network of the benchmark."""
    with contextlib.ExitStack() as stack:
        space, client, instance = (stack.enter_context(NetworkSpace()) for _ in range(3))
        space.forwarding()
        for near, far in (
            ("bench-bgp0", "bench-bgp1"),
            ("bench-c0", "bench-c1"),
            ("bench-i0", "bench-i1"),
        ):
            cable(near, far)
        stack.callback(subprocess.run, ["ip", "link", "del", "bench-bgp0"], capture_output=True)
        subprocess.run(["ip", "address", "add", f"{OURS}/24", "dev", "bench-bgp0"], check=True)
        space.take("bench-bgp1", f"{THEIRS}/24")
        space.take("bench-c0", f"{CLIENT_SIDE}/24")
        space.take("bench-i0", f"{ON_LINK}/24")
        client.take("bench-c1", f"{CLIENT}/24")
        client.run("ip", "route", "add", "default", "via", CLIENT_SIDE)
        instance.take("bench-i1", f"{NEXT_HOP}/24", f"{INSTANCE}/32")
        instance.run("ip", "route", "add", "default", "via", ON_LINK)
        path = run_dir / f"{kind}.conf"
        router = RouterSettings(
            "bench", THEIRS, REMOTE_AS, (POOL,), LOCAL_AS, umbra=Umbra(OURS, LOCAL_AS)
        )
        write(kind, render(kind, router), path)
        if kind is Kind.FRR:
            stack.enter_context(FrrRouter(space)).load(path)
        else:
            stack.enter_context(BirdRouter(space, run_dir / "bird")).start(path)
        stack.callback(_end_speaker, run_dir)
        yield Lab(kind, space, client, run_dir)


def _end_speaker(run_dir: Path) -> None:
    lock = run_dir / "bgp.lock"
    with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
        os.kill(int(lock.read_text()), signal.SIGKILL)


async def measure(lab: Lab, prefixes: int, runs: int, progress: Progress) -> Found:
    """All measurements with one router."""
    found = Found()
    speaker = BgpSpeaker(lab.run_dir)
    all_routes = routes(prefixes)
    await speaker.sync(settings(), routes(1))
    await lab.until_forwarded(1)
    for number in range(runs):
        progress(f"{lab.kind}: {prefixes} prefixes, {number + 1} of {runs}")
        begin_s = time.monotonic()
        await speaker.sync(settings(), all_routes)
        found.announce.append((await lab.until_forwarded(prefixes) - begin_s) * 1000)
        begin_s = time.monotonic()
        await speaker.sync(settings(), all_routes)
        found.unchanged.append((time.monotonic() - begin_s) * 1000)
        begin_s = time.monotonic()
        await speaker.sync(settings(), routes(1))
        found.withdraw.append((await lab.until_forwarded(1) - begin_s) * 1000)
    await speaker.sync(settings(), all_routes)
    await lab.until_forwarded(prefixes)
    progress(f"{lab.kind}: the controller is killed and started, {RESTARTS} times")
    with _pinging(lab, found):
        for _ in range(RESTARTS):
            found.restart_written += await _restart_controller(lab, prefixes, found)
        progress(f"{lab.kind}: the speaker is killed, {RESTARTS} times")
        for _ in range(RESTARTS):
            os.kill((await speaker.read()).pid, signal.SIGKILL)
            begin_s = time.monotonic()
            found.speaker_missing += prefixes - lab.forwarded()
            await speaker.sync(settings(), all_routes)
            if not await speaker.settled(TIMEOUT_S):
                raise RealRouterError(f"no session with {lab.kind} after the speaker's death")
            found.speaker_back.append((time.monotonic() - begin_s) * 1000)
            found.speaker_missing += prefixes - lab.forwarded()
    await speaker.close()
    return found


async def _restart_controller(lab: Lab, prefixes: int, found: Found) -> int:
    """Start one that wants the same, kill it; how many routes it wrote. Looks at the router all the while."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(lab.run_dir), str(prefixes)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    first = asyncio.get_running_loop().run_in_executor(None, process.stdout.readline)
    while not first.done():
        found.looks += 1
        found.restart_missing += prefixes - lab.forwarded()
        await asyncio.sleep(POLL_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found.looks += 1
    found.restart_missing += prefixes - lab.forwarded()
    return int(await first)


@contextlib.contextmanager
def _pinging(lab: Lab, found: Found) -> Iterator[None]:
    ping = subprocess.Popen(
        lab.client.command("ping", "-i", "0.01", INSTANCE), stdout=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        ping.send_signal(signal.SIGINT)
        out, _ = ping.communicate(timeout=10)
        told = re.search(r"(\d+) packets transmitted, (\d+) received", out)
        if told:
            found.pings_sent = int(told.group(1))
            found.pings_lost = found.pings_sent - int(told.group(2))


def run(
    run_dir: Path, progress: Progress, *, prefixes: int = PREFIXES, runs: int = RUNS
) -> dict[str, Figure]:
    """Measure; figures by name. Call it in a private network (`topologies.namespace.enter`).

    RealRouterError, naming what to install, when FRR or BIRD is not there.
    """
    reason = missing()
    if reason is not None:
        raise RealRouterError(reason)
    figures: dict[str, Figure] = {}
    for kind in Kind:
        directory = run_dir / f"bgp-{kind}"
        directory.mkdir(parents=True, exist_ok=True)
        with lab(kind, directory) as made:
            found = asyncio.run(measure(made, prefixes, runs, progress))
        figures |= _figures(kind, found, prefixes)
    return figures


def _figures(kind: Kind, found: Found, prefixes: int) -> dict[str, Figure]:
    def times(values: list[float], value: Callable[[list[float]], float]) -> Figure:
        return Figure(round(value(values), 1), "ms", len(values), "lower")

    return {
        f"bgp_settle_{prefixes}_p50_ms_{kind}": times(found.announce, statistics.median),
        f"bgp_settle_{prefixes}_max_ms_{kind}": times(found.announce, max),
        f"bgp_withdraw_{prefixes}_p50_ms_{kind}": times(found.withdraw, statistics.median),
        f"bgp_unchanged_{prefixes}_p50_ms_{kind}": times(found.unchanged, statistics.median),
        f"bgp_speaker_back_max_ms_{kind}": times(found.speaker_back, max),
        f"bgp_restart_written_{kind}": Figure(found.restart_written, "routes", RESTARTS, "lower"),
        f"bgp_restart_missing_{kind}": Figure(
            found.restart_missing, "prefixes", found.looks, "lower"
        ),
        f"bgp_speaker_death_missing_{kind}": Figure(
            found.speaker_missing, "prefixes", 2 * RESTARTS, "lower"
        ),
        f"bgp_restart_pings_lost_{kind}": Figure(
            found.pings_lost, "pings", found.pings_sent, "lower"
        ),
    }
