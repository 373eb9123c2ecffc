"""Two real service routers, each the other's shadow, and the cable between them, which may lose what it is told to."""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from controller.act.fabric import FabricDriver
from controller.act.frames import FrameError
from controller.act.program import default_files
from controller.act.records import Record, record_of
from controller.model import FabricPlan, Idle
from controller.plan.fabric import fabric_plan
from harness.packets import label_of, labelled, tcp
from harness.small import PATIENT, R1, R2, at, small_fabric
from topologies.single import MTU, SingleSwitch

PORTS = 4
SPINE_1 = 1
TABLE_SIZE = 512
READY_S = 60.0
ROUTERS = {"r1": R1, "r2": R2}
MUTUAL = {"r1": ("r2",), "r2": ("r1",)}

T = TypeVar("T")


@dataclass
class Cable:
    """Carries what either router sends to the other's label; anything else it keeps in `others`.

    `loses(record)` says which records get lost.
    """

    devices: Mapping[str, SingleSwitch]
    loses: Callable[[Record], bool] = lambda _: False
    others: list[tuple[str, bytes]] = field(default_factory=list)  # (router, frame)
    carried: int = 0
    lost: int = 0

    def pump(self, stop: threading.Event) -> None:
        """Until told to stop. To be run in a thread of its own."""
        ends = {
            sock.fileno(): (name, sock)
            for name, device in self.devices.items()
            for sock in device.sockets.values()
        }
        while not stop.is_set():
            ready, _, _ = select.select(list(ends), [], [], 0.05)
            for fileno in ready:
                name, sock = ends[fileno]
                self._carry(name, sock.recv(MTU + 100))

    def _carry(self, name: str, frame: bytes) -> None:
        other = "r2" if name == "r1" else "r1"
        if label_of(frame) != ROUTERS[other]:
            self.others.append((name, frame))
            return
        try:
            if self.loses(record_of(frame)):
                self.lost += 1
                return
        except FrameError:
            pass  # no record: a probe, or a packet
        self.carried += 1
        self.devices[other].send(SPINE_1, frame)


class Pair:
    """`r1` and `r2` of the small fabric, running and programmed."""

    def __init__(self, kind: str, run_dir: Path, idle: Idle) -> None:
        self.devices = {
            name: SingleSwitch(kind, PORTS, run_dir, device_id=number)
            for number, name in enumerate(ROUTERS, 1)
        }
        self.cable = Cable(self.devices)
        self.idle = idle
        self.fabric = replace(
            small_fabric(),
            switches=tuple(
                replace(switch, capacity=0, table_size=TABLE_SIZE)
                for switch in small_fabric().switches
            ),
        )
        own = tuple(
            at(self.fabric, name, device.address, device.device_id)
            for name, device in self.devices.items()
        )
        self.driver = FabricDriver(replace(self.fabric, switches=own), default_files())
        self._loop = asyncio.new_event_loop()

    def plan(self, generations: Mapping[tuple[str, str], int] | None = None) -> FabricPlan:
        """What both are to hold."""
        whole = fabric_plan(self.fabric, idle=self.idle, shadows=MUTUAL, generations=generations)
        return FabricPlan(tuple(whole.node(name) for name in ROUTERS))

    def number(self, holder: str) -> int:
        """The number that a router's replicas of the other carry."""
        return self.plan().node(holder).primaries[0].number

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this on the event loop that the connections to the switches live on."""
        return self._loop.run_until_complete(work)

    async def ready(self) -> None:
        """Wait until both hold what is wanted."""
        async with asyncio.timeout(READY_S):
            while not all(one.up and one.reconciled for one in self.driver.status().values()):
                await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Wait for a condition; TimeoutError when it does not come."""
        async with asyncio.timeout(READY_S):
            while not await condition():
                await asyncio.sleep(0.02)

    def tcp(self, sport: int, flags: str = "S", *, to: str = "r1", payload: bytes = b"") -> None:
        """A packet of a client's connection reaches a router."""
        packet = tcp(sport, flags, payload=payload)
        self.devices[to].send(SPINE_1, labelled(ROUTERS[to], packet, to=to))

    async def forwarded(self, count: int) -> None:
        """Wait until that many packets have left the routers for somewhere else."""

        async def enough() -> bool:
            return len(self.cable.others) >= count

        await self.until(enough)

    def open(self, ports: range, *, to: str = "r1") -> None:
        """Connections open and get established, one packet after the other."""
        before = len(self.cable.others)
        for sport in ports:
            self.tcp(sport, "S", to=to)
        self.do(self.forwarded(before + len(ports)))
        for sport in ports:
            self.tcp(sport, "A", to=to)
        self.do(self.forwarded(before + 2 * len(ports)))

    def run(self, stack: ExitStack) -> None:
        """Start everything; `stack` ends it."""
        stack.callback(self._loop.close)
        for device in self.devices.values():
            stack.enter_context(device)
        stop = threading.Event()
        pump = threading.Thread(target=self.cable.pump, args=(stop,))
        pump.start()
        stack.callback(pump.join)
        stack.callback(stop.set)
        self.driver.want(self.plan())
        stack.callback(lambda: self.do(self.driver.stop()))
        self.do(self.driver.start())
        self.do(self.ready())


@contextmanager
def pair(kind: str, run_dir: Path, *, idle: Idle = PATIENT) -> Iterator[Pair]:
    """Both routers and the cable, for as long as the context lasts."""
    with ExitStack() as stack:
        both = Pair(kind, run_dir, idle)
        both.run(stack)
        yield both
