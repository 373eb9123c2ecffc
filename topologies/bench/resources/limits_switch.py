"""A real shadow router that is offered far more than it may carry: what it uses, against its allocation."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import finsy as fy

from controller.act.entries import entries, node_entry
from controller.act.finsy_log import FINSY_LOG
from controller.act.program import default_files
from controller.act.resources import Allocator, GroupTree, Place
from controller.act.resources.network import SharedPorts, counters
from controller.model import Idle
from controller.model.resources import NOTHING, Amounts
from controller.plan.fabric import fabric_plan
from topologies.bench.fixture import frame, one_edge
from topologies.bench.resources.limits_groups import WEIGHT, Measured, used_cores
from topologies.bench.traffic import Blaster, plain_socket
from topologies.load.analysis import percentile
from topologies.single import SingleSwitch

DEVICE = "shadow"
CLIENT_PORT, OUT_PORTS = 3, (1, 2)
CONNECTIONS = 50
FRAME_BYTES = 1400
OFFERED_PPS = 20_000.0
TICK_S = 0.002
CORES = (0.1, 0.2, 0.3, 0.5)
BPS = (1e6, 5e6, 20e6)
ENOUGH = (
    1.2  # times the limit: so much the switch must have sent for the limit to be called reached
)
SETTLE_S = 0.3
CHANGES = 100


class Flood:
    """Offers frames of established connections at a steady rate, in a thread, while the block runs."""

    def __init__(self, device: SingleSwitch) -> None:
        packets = [frame(sport, "A", FRAME_BYTES) for sport in range(1000, 1000 + CONNECTIONS)]
        self._socket = plain_socket(device.peer(CLIENT_PORT))
        self._blaster = Blaster(self._socket, packets)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood")

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._over.wait(TICK_S):
            self._blaster.burst(round(OFFERED_PPS * TICK_S))


@contextmanager
def shadow(kind: str, run_dir: Path) -> Iterator[tuple[SingleSwitch, Allocator]]:
    """A switch in its own group, programmed as an edge, that carries connections."""
    with GroupTree(f"bench-{secrets.token_hex(4)}", weight=WEIGHT) as tree:
        path = tree.make(DEVICE)
        with SingleSwitch(
            kind, 3, run_dir, enter=lambda command: tree.command(DEVICE, command)
        ) as device:
            ports = tuple(name for _, name in device.wiring.interfaces)
            asyncio.run(_program(device))
            for sport in range(1000, 1000 + CONNECTIONS):
                device.send(CLIENT_PORT, frame(sport, "S", 64))
            device.receive(CONNECTIONS)
            with Allocator({DEVICE: Place(path, ports)}, mounts=tree.mounts) as allocator:
                yield device, allocator


async def _program(device: SingleSwitch) -> None:
    logging.getLogger("finsy").addFilter(FINSY_LOG)  # no warnings about gNMI
    files = default_files()
    plan = fabric_plan(
        one_edge(device.address, device.device_id), idle=Idle(), sample_one_in=1 << 20
    ).node("e1")
    options = fy.SwitchOptions(p4info=files.p4info, p4blob=files.json, device_id=device.device_id)
    async with fy.Switch("bench", device.address, options) as p4:
        await p4.modify([node_entry(plan)])
        await p4.insert(list(entries(plan)))


def cpu(
    device: SingleSwitch, allocator: Allocator, seconds: float, cores: Sequence[float] = CORES
) -> list[Measured]:
    """Cores, while it is flooded."""
    found = []
    with Flood(device):
        for allowed in cores:
            allocator.set(DEVICE, Amounts(allowed, math.inf, math.inf), NOTHING)
            found.append(used_cores(allocator, DEVICE, allowed, seconds))
    return found


def network(
    device: SingleSwitch, allocator: Allocator, seconds: float, bps: Sequence[float] = BPS
) -> list[Measured]:
    """Bits per second that arrive from it at the far ends of all its ports, while it is flooded."""
    found = []
    with Flood(device):
        for allowed in bps:
            allocator.set(DEVICE, Amounts(math.inf, math.inf, allowed), NOTHING)
            time.sleep(SETTLE_S)
            start_s, before, dropped = time.monotonic(), _arrived(device), _dropped(device)
            time.sleep(seconds)
            elapsed_s = time.monotonic() - start_s
            arrived_bps = 8 * (_arrived(device) - before) / elapsed_s
            dropped_bps = 8 * FRAME_BYTES * (_dropped(device) - dropped) / elapsed_s
            reached = arrived_bps + dropped_bps > ENOUGH * allowed
            found.append(Measured(allowed, arrived_bps, reached))
    return found


def change_ms(allocator: Allocator, changes: int = CHANGES) -> tuple[float, float]:
    """99th percentile of the time that a change takes: (CPU and memory only, all three)."""
    found = []
    for with_network in (False, True):
        times_ms = []
        for number in range(changes):
            bps = 1e7 + number * 1e5 if with_network else 1e7
            start_s = time.perf_counter()
            allocator.set(DEVICE, Amounts(0.5 + number / 1000, 1 << 30, bps), NOTHING)
            times_ms.append(1000 * (time.perf_counter() - start_s))
        found.append(percentile(times_ms[1:], 99))
    return found[0], found[1]


def _dropped(device: SingleSwitch) -> int:
    """Frames that did not fit into the queue of the limit."""
    bucket = SharedPorts(DEVICE, [name for _, name in device.wiring.interfaces]).bucket
    command = ["tc", "-json", "-statistics", "qdisc", "show", "dev", bucket]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(int(one.get("drops", 0)) for one in json.loads(done.stdout))


def _arrived(device: SingleSwitch) -> int:
    present = counters()
    return sum(present[device.peer(port)][0] for port in OUT_PORTS)
