"""`umbra bench switch`: packets and control-plane writes through umbra.p4, embedded switch and BMv2 side by side.

Packets are those of established connections at an edge, its most expensive role: `pps` is the highest steady rate at
which at most one in a thousand is lost, `overload_pps` what comes through when 150,000 a second are offered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import finsy as fy
from finsy.proto import p4r

from controller.act.entries import entries, node_entry, slot_set_entry
from controller.act.finsy_log import FINSY_LOG
from controller.act.program import Files, default_files
from controller.model import SLOTS, Idle, NodePlan, SlotSet
from controller.plan.fabric import fabric_plan
from topologies.bench.fixture import frame, one_edge
from topologies.bench.progress import Progress
from topologies.bench.result import Better, Figure, Result
from topologies.bench.traffic import (
    Blaster,
    delivered_ratio,
    highest_rate_pps,
    plain_socket,
    round_trips_us,
)
from topologies.load.analysis import percentile
from topologies.single import SingleSwitch, unavailable
from topologies.switches import BMV2, EMBEDDED, choose

CLIENT_PORT = 3
CONNECTIONS = 50  # packets of so many established connections take turns
LATENCY_PACKETS = 2000
SINGLE_INSERTS = 2000
BATCHED_INSERTS = 10_000
BATCH = 500
MODIFIES = 300
OVERLOAD_PPS = 150_000.0
OVERLOAD_S = 2.0

UNITS: dict[str, tuple[str, Better]] = {
    "pps_64B": ("packets/s", "higher"),
    "pps_1400B": ("packets/s", "higher"),
    "overload_pps_64B": ("packets/s", "higher"),  # delivered while far too many are offered
    "overload_pps_1400B": ("packets/s", "higher"),
    "latency_p50_us": ("us", "lower"),
    "latency_p99_us": ("us", "lower"),
    "insert_per_s": ("1/s", "higher"),
    "batch_insert_per_s": ("1/s", "higher"),
    "oneshot_modify_p50_ms": ("ms", "lower"),
    "oneshot_modify_p99_ms": ("ms", "lower"),
}


def bench(switch: str, run_dir: Path, progress: Progress) -> Result:
    """Measure the chosen switch, and BMv2 beside it where it is installed."""
    kind = choose(switch)
    logging.getLogger("finsy").addFilter(FINSY_LOG)  # no warnings about gNMI
    figures = {
        name: Figure(value, *_unit(name, n))
        for name, (value, n) in _measure(kind, run_dir, progress).items()
    }
    versus: dict[str, dict[str, float | str]] = {}
    for peer in (BMV2, EMBEDDED):
        if peer == kind:
            continue
        reason = unavailable(peer)
        if reason:
            versus[peer] = {"absent": reason}
        else:
            versus[peer] = {n: value for n, (value, _) in _measure(peer, run_dir, progress).items()}
    return Result("switch", figures, versus)


def _unit(name: str, n: int) -> tuple[str, int, Better]:
    unit, better = UNITS[name]
    return unit, n, better


def _measure(kind: str, run_dir: Path, progress: Progress) -> dict[str, tuple[float, int]]:
    with SingleSwitch(kind, 3, run_dir) as device:
        fabric = one_edge(device.address, device.device_id)
        plan = fabric_plan(fabric, idle=Idle(), sample_one_in=1 << 20).node("e1")
        found = asyncio.run(_control_plane(device, plan, default_files(), progress))
        for size in (64, 1400):
            progress(f"{kind}: packets of {size} bytes")
            _open_connections(device, size)
            packets = [frame(sport, "A", size) for sport in range(1000, 1000 + CONNECTIONS)]
            blaster = Blaster(plain_socket(device.peer(CLIENT_PORT)), packets)
            rate, tried = highest_rate_pps(device, blaster, [1, 2])
            found[f"pps_{size}B"] = (rate, tried)
            _, delivered = delivered_ratio(device, blaster, [1, 2], OVERLOAD_PPS, OVERLOAD_S)
            found[f"overload_pps_{size}B"] = (delivered, 1)
        progress(f"{kind}: latency")
        times_us = round_trips_us(device, CLIENT_PORT, frame(1000, "A", 64), LATENCY_PACKETS)
        found["latency_p50_us"] = (percentile(times_us, 50), len(times_us))
        found["latency_p99_us"] = (percentile(times_us, 99), len(times_us))
    return {name: found[name] for name in UNITS}


def _open_connections(device: SingleSwitch, size: int) -> None:
    for sport in range(1000, 1000 + CONNECTIONS):
        device.send(CLIENT_PORT, frame(sport, "S", 64))
        device.send(CLIENT_PORT, frame(sport, "A", size))
    device.receive(2 * CONNECTIONS)


async def _control_plane(
    device: SingleSwitch, plan: NodePlan, files: Files, progress: Progress
) -> dict[str, tuple[float, int]]:
    options = fy.SwitchOptions(p4info=files.p4info, p4blob=files.json, device_id=device.device_id)
    async with fy.Switch("bench", device.address, options) as p4:
        await p4.modify([node_entry(plan)])
        await p4.insert(list(entries(plan)))
        progress(f"{device.kind}: table writes")
        single = _arp_updates(p4, 0x0B010000, SINGLE_INSERTS)
        start_s = time.perf_counter()
        for update in single:
            await p4.write([update])
        single_s = time.perf_counter() - start_s
        many = _arp_updates(p4, 0x0B020000, BATCHED_INSERTS)
        start_s = time.perf_counter()
        for first in range(0, len(many), BATCH):
            await p4.write(many[first : first + BATCH])
        batch_s = time.perf_counter() - start_s
        progress(f"{device.kind}: changes of weights")
        times_ms = []
        labels = [target.binding for target in plan.targets]
        for step in range(MODIFIES):
            share = step % (SLOTS + 1)
            slots = (labels[0],) * share + (labels[1],) * (SLOTS - share)
            start_s = time.perf_counter()
            await p4.modify([slot_set_entry(SlotSet(plan.slot_sets[0].id, slots))])
            times_ms.append((time.perf_counter() - start_s) * 1000)
        return {
            "insert_per_s": (SINGLE_INSERTS / single_s, SINGLE_INSERTS),
            "batch_insert_per_s": (BATCHED_INSERTS / batch_s, BATCHED_INSERTS),
            "oneshot_modify_p50_ms": (percentile(times_ms, 50), MODIFIES),
            "oneshot_modify_p99_ms": (percentile(times_ms, 99), MODIFIES),
        }


def _arp_updates(p4: fy.Switch, first: int, count: int) -> list[p4r.Update]:
    """Inserts of exact entries, encoded beforehand: what is measured is the switch."""
    return [
        p4r.Update(
            type=p4r.Update.INSERT,
            entity=fy.P4TableEntry(
                "arp",
                match=fy.Match(operation=1, address=first + index),
                action=fy.Action("arp_reply", mac=index),
            ).encode(p4.p4info),
        )
        for index in range(count)
    ]
