"""`umbra bench addresses`, the hand-over: how soon a new instance answers with a warm address and with a cold one, and
what a client that pings the address all the while sees of it.

The client is outside, the address external: its packets go through the NAT of the edge, the fabric, the host's bridge.
The request is a call of the pool that takes an address, followed by the start of an instance with it. Warm, the table
rows and the namespace are there; cold, they are made now, both at once. Instances are the same: a process with a TCP
server in a namespace. `own_namespace`: a warm address for an instance that gets a namespace of its own, made now.

A gap is the time between two answers to pings that are sent every millisecond, the longest of each hand-over;
`gap_without_handover` is that of a held address that stays where it is, watched for as long in turn with the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from controller.model import Subdivision
from topologies.bench.addresses.client import INTERVAL_S
from topologies.bench.addresses.fabric import AddressFabric, address_fabric
from topologies.bench.addresses.watch import Said, Watch
from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.load.analysis import percentile
from topologies.switches import choose

RUNS = 30  # of each way
HELD = 200  # shadow instances whose cost is measured
WARM = Subdivision("warm", ("10.64.0.0/24",), "main", "s1", external="198.51.100.0/24")
OWN = Subdivision("own_namespace", ("10.64.1.0/24",), "main", "s1", external="203.0.113.0/24")
COLD = Subdivision("cold", ("10.64.2.0/24",), "main", "s1", external="192.0.2.0/24")
CROWD = Subdivision("crowd", ("10.64.4.0/22",), "main", "s1")
UNDISTURBED = "undisturbed"
SETTLE_S = 0.1  # a client has begun, and things are quiet again
AFTER_S = 0.1  # how long an address is watched after its instance serves
FLIGHT_NS = 50_000_000  # what was sent so shortly before a request may be met by it
INTERVAL_NS = int(INTERVAL_S * 1e9)
IDLE_S = 5.0  # over which heartbeats are measured


@dataclass(slots=True)
class Found:
    """What was measured, by way; times in milliseconds."""

    first_packet_ms: dict[str, list[float]] = field(default_factory=dict)
    first_request_ms: dict[str, list[float]] = field(default_factory=dict)
    gap_ms: dict[str, list[float]] = field(default_factory=dict)  # the longest of each hand-over
    pings: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    wrong: int = 0  # answers of another instance
    hold_ms: float = 0.0
    heartbeat_cpu_pct: float = 0.0
    memory_kib: float = 0.0


def run(
    switch: str, run_dir: Path, progress: Progress, *, runs: int = RUNS, held: int = HELD
) -> dict[str, Figure]:
    """Measure; figures by name. Call it in a private network (`topologies.namespace.enter`)."""
    found = asyncio.run(measure(choose(switch), run_dir, progress, runs=runs, held=held))
    return figures(found, held)


def figures(found: Found, held: int) -> dict[str, Figure]:
    """What is reported of it."""
    result: dict[str, Figure] = {}

    def add(name: str, values: Sequence[float], percent: float) -> None:
        result[name] = Figure(round(percentile(values, percent), 3), "ms", len(values), "lower")

    for way in (WARM.name, OWN.name, COLD.name):
        add(f"first_packet_{way}_p50_ms", found.first_packet_ms[way], 50)
        add(f"first_packet_{way}_p99_ms", found.first_packet_ms[way], 99)
        add(f"first_request_{way}_p50_ms", found.first_request_ms[way], 50)
        add(f"first_request_{way}_p99_ms", found.first_request_ms[way], 99)
    for way, name in (
        (WARM.name, "handover_gap"),
        (OWN.name, "handover_gap_own_namespace"),
        (UNDISTURBED, "gap_without_handover"),
    ):
        add(f"{name}_p50_ms", found.gap_ms[way], 50)
        add(f"{name}_ms", found.gap_ms[way], 100)
        result[f"{name}_lost"] = Figure(found.lost[way], "packets", found.pings[way], "lower")
    asked = sum(map(len, found.first_request_ms.values()))
    result["wrong_answers"] = Figure(found.wrong, "answers", asked, "lower")
    result["hold_ms"] = Figure(round(found.hold_ms, 2), "ms/address", held, "lower")
    result["heartbeat_cpu_pct"] = Figure(round(found.heartbeat_cpu_pct, 3), "%", held, "lower")
    result["held_kib"] = Figure(round(found.memory_kib, 1), "KiB/address", held, "lower")
    return result


async def measure(kind: str, run_dir: Path, progress: Progress, *, runs: int, held: int) -> Found:
    """Everything, the ways in turn: what the machine does besides meets all of them."""
    found = Found()
    progress("building the fabric")
    async with address_fabric(kind, run_dir, (WARM, OWN, COLD, CROWD)) as fabric:
        for subdivision in (WARM, OWN):
            await fabric.hold(subdivision, 2 * runs + 1)  # one stays: it is watched undisturbed
        for number in range(runs):
            progress(f"instances: {number + 1} of {runs}")
            for subdivision in (WARM, OWN, COLD):
                await _first_packet(fabric, subdivision, f"{subdivision.name}-{number}", found)
        for number in range(runs):
            progress(f"hand-over: {number + 1} of {runs}")
            for subdivision in (WARM, OWN):
                await _gap(fabric, subdivision, f"{subdivision.name}-ping-{number}", found)
            await _undisturbed(fabric, found)
        progress(f"what {held} shadow instances cost")
        await _cost(fabric, held, found)
    return found


async def _first_packet(
    fabric: AddressFabric, subdivision: Subdivision, name: str, found: Found
) -> None:
    external = fabric.next_external(subdivision)
    with Watch(fabric.network, "connect", external) as watch:
        await asyncio.sleep(SETTLE_S)
        served = await fabric.request(subdivision, name, separate=subdivision is OWN)
        said = await asyncio.to_thread(watch.said)
    served.expect(external)
    found.wrong += said["name"] != name
    for times, key in (
        (found.first_packet_ms, "accepted_ns"),
        (found.first_request_ms, "answered_ns"),
    ):
        times.setdefault(subdivision.name, []).append((said[key] - served.asked_ns) / 1e6)
    await fabric.end(served)


async def _gap(fabric: AddressFabric, subdivision: Subdivision, name: str, found: Found) -> None:
    external = fabric.next_external(subdivision)
    with Watch(fabric.network, "ping", external) as watch:
        await asyncio.sleep(SETTLE_S)
        served = await fabric.request(subdivision, name, separate=subdivision is OWN)
        await asyncio.sleep(AFTER_S)
        said = await asyncio.to_thread(watch.said, True)
    served.expect(external)
    _note(subdivision.name, said, served.asked_ns, found)
    await fabric.end(served)


async def _undisturbed(fabric: AddressFabric, found: Found) -> None:
    """The same watch of an address that stays where it is: what the machine and the switches do by themselves."""
    with Watch(fabric.network, "ping", fabric.next_external(WARM, -1)) as watch:
        await asyncio.sleep(SETTLE_S)
        since_ns = fabric.now_ns()
        await asyncio.sleep(AFTER_S)
        said = await asyncio.to_thread(watch.said, True)
    _note(UNDISTURBED, said, since_ns, found)


def _note(way: str, said: Said, since_ns: int, found: Found) -> None:
    gaps_ms = gaps(said, since_ns)
    if not gaps_ms:
        raise RuntimeError(f"no ping was answered ({way}): the address cannot be reached")
    last_ns = max(sent for sent, _ in said["answers"])
    lost = [at for at in said["unanswered"] if since_ns - FLIGHT_NS <= at < last_ns]
    found.gap_ms.setdefault(way, []).append(max(gaps_ms))
    found.lost[way] = found.lost.get(way, 0) + len(lost)
    found.pings[way] = found.pings.get(way, 0) + len(gaps_ms)


def gaps(said: Said, since_ns: int) -> list[float]:
    """Milliseconds between each two successive answers, the later of which came after `since_ns`.

    Less the time by which the client itself was late to ask in between: that is the machine's, not the address's.
    """
    sent = sorted([*(at for at, _ in said["answers"]), *said["unanswered"]])
    late_ns = {sent[0]: 0}  # by which the client was late in all, up to each ping
    for one, following in pairwise(sent):
        late_ns[following] = late_ns[one] + max(0, following - one - INTERVAL_NS)
    answers = sorted(said["answers"], key=lambda answer: answer[1])
    return [
        max(0, b[1] - a[1] - max(0, late_ns[b[0]] - late_ns[a[0]])) / 1e6
        for a, b in pairwise(answers)
        if b[1] >= since_ns
    ]


async def _cost(fabric: AddressFabric, held: int, found: Found) -> None:
    """Time to hold an address; processor time of the agent and memory of the kernel while so many are held."""
    before_kib = _kernel_kib()
    found.hold_ms = await fabric.hold(CROWD, held) / held
    await asyncio.sleep(AFTER_S)
    found.memory_kib = (_kernel_kib() - before_kib) / held
    pid = fabric.agent.process.pid
    busy_ns, since_ns = _cpu_ns(pid), fabric.now_ns()
    await asyncio.sleep(IDLE_S)
    elapsed_ns = fabric.now_ns() - since_ns
    found.heartbeat_cpu_pct = 100 * (_cpu_ns(pid) - busy_ns) / elapsed_ns


def _cpu_ns(pid: int) -> int:
    """Processor time of a process with one thread (the kernel's scheduler statistics)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _kernel_kib() -> int:
    """What the kernel has taken for itself: of the whole machine, so others show in it."""
    kept = ("SUnreclaim:", "SReclaimable:", "Percpu:", "VmallocUsed:")
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(kept))
