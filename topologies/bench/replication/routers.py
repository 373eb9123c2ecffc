"""A router and its shadow: two real switches, programmed by umbra's controller, with a cable between them.

Ports of each: 1 towards the edges, 2 towards the other, 3 towards the backends. What leaves the primary's port 2 is put
on the shadow's port 2, by the kernel (`cable`) or by the harness.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from controller.act.fabric import FabricDriver
from controller.act.packets import Scan, ScanMode, ScanResult
from controller.act.program import default_files
from controller.act.records import RecordKind
from controller.model import (
    Backend,
    Client,
    Fabric,
    FabricPlan,
    Idle,
    Link,
    Port,
    RecordEvent,
    Service,
    Stage,
    Switch,
)
from controller.plan.fabric import fabric_plan
from topologies.bench.built import Built
from topologies.bench.fixture import CLIENT, SERVICE
from topologies.single import SingleSwitch
from topologies.tables import entries

PRIMARY, SHADOW = "r1", "r2"
LABELS = {PRIMARY: 301, SHADOW: 303}  # of equal cost, the first path is that by port 2
EDGE_SIDE, PEER_SIDE, BACKEND_SIDE = 1, 2, 3
BACKENDS = 8  # a packet of an unknown connection meets its backend once in so many times by chance
READY_S = 60.0

T = TypeVar("T")
BY_SCAN = (RecordKind.FULL, RecordKind.GIVE)  # they have no place in the running sequence
OWNED = 1  # bit of the entries that a switch is no replica of
GENERATIONS = 16
MOST_PASSES = 10
STILL_S = 0.1


def mac(name: str) -> str:
    """MAC address of a switch."""
    number = int(name[1:]) + {"e": 0, "s": 16, "r": 32}[name[0]]
    return f"02:00:00:00:{number:02x}:01"


def fabric(addresses: Mapping[str, str], device_ids: Mapping[str, int], table_size: int) -> Fabric:
    """One edge, three spines, a router and its shadow, and backends that both reach by the third spine."""

    def switch(name: str, stage: Stage, label: int, subnet: str | None = None) -> Switch:
        return Switch(
            name,
            stage,
            device_ids.get(name, 1),
            addresses.get(name, "127.0.0.1:1"),
            label,
            mac(name),
            subnet=subnet,
            table_size=table_size,
        )

    backends = tuple(
        Backend(
            f"b{number}",
            Port("s3", 3 + number),
            f"10.2.3.{10 + number}",
            f"02:00:00:20:00:{number:02x}",
            400 + number,
        )
        for number in range(1, BACKENDS + 1)
    )
    names = tuple(backend.name for backend in backends)
    return Fabric(
        switches=(
            switch("e1", Stage.EDGE, 101, "10.1.1.0/24"),
            *(switch(f"s{n}", Stage.SPINE, 200 + n, f"10.2.{n}.0/24") for n in (1, 2, 3)),
            switch(PRIMARY, Stage.ROUTER, LABELS[PRIMARY]),
            switch(SHADOW, Stage.ROUTER, LABELS[SHADOW]),
        ),
        links=(
            Link(Port("e1", 1), Port("s1", 1)),
            Link(Port(PRIMARY, EDGE_SIDE), Port("s1", 2)),
            Link(Port(PRIMARY, PEER_SIDE), Port("s2", 2)),
            Link(Port(PRIMARY, BACKEND_SIDE), Port("s3", 2)),
            Link(Port(SHADOW, PEER_SIDE), Port("s2", 3)),
            Link(Port(SHADOW, BACKEND_SIDE), Port("s3", 3)),
        ),
        clients=(Client("c1", Port("e1", 2), CLIENT, "02:00:00:10:00:01"),),
        backends=backends,
        services=(Service(1, "web", SERVICE, "tcp", 80, (PRIMARY, SHADOW), names),),
    )


@dataclass(frozen=True, slots=True)
class Records:
    """Replica records so far. `sent` by the primary as they happened; of those, `received` by the shadow, which saw
    `gaps` in their sequence.
    """

    sent: int
    received: int
    gaps: int

    @property
    def lost(self) -> int:
        """Sent, and not received."""
        return self.sent - self.received

    def since(self, before: Records) -> Records:
        """What was counted in between."""
        return Records(
            self.sent - before.sent, self.received - before.received, self.gaps - before.gaps
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Two tables compared: entries of the primary, and how many of either differ, or are missing in the other.

    `unequal` counts everything; `wrong` leaves out those that differ only in bytes, which a shadow learns every 64 KiB.
    """

    entries: int
    unequal: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Repair:
    """A resync: entries sent in all, and how often the whole table was sent until nothing was lost on the way."""

    sent: int
    passes: int


class Routers(Built):
    """The pair, running and programmed; use as a context manager, in a network namespace of one's own."""

    def __init__(
        self,
        kind: str,
        run_dir: Path,
        *,
        idle: Idle,
        table_size: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`loop`: for the connections to the switches. It stays open: gRPC wants one for the whole process."""
        super().__init__()
        self.primary = SingleSwitch(kind, 3, run_dir, device_id=1)
        self.shadow = SingleSwitch(kind, 3, run_dir, device_id=2)
        devices = {PRIMARY: self.primary, SHADOW: self.shadow}
        whole = fabric(
            {name: device.address for name, device in devices.items()},
            {name: device.device_id for name, device in devices.items()},
            table_size,
        )
        self._whole = whole
        self._idle = idle
        self._generation = 0
        pair = tuple(whole.switch(name) for name in (PRIMARY, SHADOW))
        self.driver = FabricDriver(replace(whole, switches=pair, links=()), default_files())
        [row] = self._plan().node(SHADOW).primaries
        self._number = row.number
        self._loop = loop

    def _build(self) -> None:
        for device in (self.primary, self.shadow):
            self._stack.enter_context(device)
        self.primary.sockets.pop(BACKEND_SIDE).close()  # nobody looks at what comes there
        self.driver.want(self._plan())
        self._stack.callback(lambda: self.do(self.driver.stop()))
        self.do(self._ready())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this on the event loop that the connections to the switches live on."""
        return self._loop.run_until_complete(work)

    def _plan(self) -> FabricPlan:
        plan = fabric_plan(
            self._whole,
            idle=self._idle,
            sample_one_in=1 << 20,
            shadows={PRIMARY: (SHADOW,)},
            generations={(SHADOW, PRIMARY): self._generation},
        )
        return FabricPlan(tuple(plan.node(name) for name in (PRIMARY, SHADOW)))

    async def _ready(self) -> None:
        await self.driver.start()
        try:
            async with asyncio.timeout(READY_S):
                while not all(status.reconciled for status in self.driver.status().values()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            why = {name: status.last_error for name, status in self.driver.status().items()}
            raise RuntimeError(f"not programmed within {READY_S:g} s: {why}") from None

    @contextlib.contextmanager
    def cable(self) -> Iterator[None]:
        """The kernel carries the primary's records to the shadow; sockets see them too."""
        ends = self.primary.peer(PEER_SIDE), self.shadow.peer(PEER_SIDE)
        _tc("qdisc", "add", "dev", ends[0], "clsact")
        try:
            action = ("action", "mirred", "egress", "redirect", "dev", ends[1])
            everything = ("u32", "match", "u32", "0", "0")
            _tc("filter", "add", "dev", ends[0], "ingress", "protocol", "all", *everything, *action)
            yield
        finally:
            _tc("qdisc", "del", "dev", ends[0], "clsact")

    def records(self) -> Records:
        """What both switches have counted."""
        sent = self.do(self.driver.replication(PRIMARY)).sent
        found = self.do(self.driver.replication(SHADOW))
        return Records(
            sum(sent.get(kind, 0) for kind in RecordKind if kind not in BY_SCAN),
            found.sequenced(self._number),
            found.count(self._number, RecordEvent.AFTER_GAP),
        )

    def difference(self) -> Difference:
        """Compare the tables of both, entry by entry. Ages are left out: the clock goes on between two dumps."""
        primary, shadow = (entries(self.do(self.driver.dump(name))) for name in (PRIMARY, SHADOW))
        known = primary.keys() | shadow.keys()
        unequal = [one for one in known if primary.get(one) != shadow.get(one)]
        wrong = sum(
            one not in primary
            or one not in shadow
            or replace(primary[one], size_bytes=shadow[one].size_bytes) != shadow[one]
            for one in unequal
        )
        return Difference(len(primary), len(unequal), wrong)

    def resync(self) -> Repair:
        """Send every entry of the primary to the shadow until all have arrived, then free what it has beyond them."""
        self._generation = (self._generation + 1) % GENERATIONS
        self.driver.want(self._plan())
        report = self.do(self.driver.reconcile(SHADOW))
        if report.failed:
            raise RuntimeError(f"the shadow was not prepared for the resync: {report.failed}")
        sent = 0
        for passes in range(1, MOST_PASSES + 1):
            before = self._by_scan()
            result = self._walk(PRIMARY, Scan(ScanMode.FULL, session=LABELS[SHADOW], origins=OWNED))
            sent += result.sent
            if self._arrived(before + result.sent):
                of_primary = 1 << self._number
                sweep = Scan(ScanMode.SWEEP, origins=of_primary, generation=self._generation)
                self._walk(SHADOW, sweep)
                return Repair(sent, passes)
        raise RuntimeError(f"records of a scan were lost {MOST_PASSES} times in a row")

    def _walk(self, name: str, scan: Scan) -> ScanResult:
        return self.do(self.driver.walk(name, scan))

    def _by_scan(self) -> int:
        """Records of scans that the shadow ever got."""
        found = self.do(self.driver.replication(SHADOW))
        return found.count(self._number, RecordEvent.BY_SCAN)

    def _arrived(self, wanted: int) -> bool:
        """Has the shadow got so many? False when no more come."""
        last = -1
        while (count := self._by_scan()) != last:
            if count >= wanted:
                return True
            last = count
            time.sleep(STILL_S)
        return False


def _tc(*args: str) -> None:
    done = subprocess.run(["tc", *args], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tc {' '.join(args)}: {done.stderr.strip() or done.returncode}")
