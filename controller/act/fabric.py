"""The fabric over P4Runtime: all switches at once, each at its own pace.

A switch that is slow or gone never delays another. What is wanted is kept here; whenever a switch connects (again)
it is read back and only the difference is written. Stopping leaves the switches forwarding as they are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from controller.act.errors import describe
from controller.act.node import NodeLink
from controller.act.packets import EVERY_ORIGIN, EXPIRE, Scan, ScanResult
from controller.act.probes import Probe, ProbeAnswer
from controller.act.program import Files, check
from controller.act.records import Record
from controller.act.walk import dump, walk
from controller.model import (
    Fabric,
    FabricPlan,
    NodeCounters,
    NodePlan,
    ReplicationCounters,
    SampledConnection,
    SlotSet,
    TargetRow,
)
from controller.observe.counters import (
    counters,
    opened_requests,
    redirected,
    redirected_requests,
    replication_requests,
    requests,
)

LOG = logging.getLogger(__name__)

READ_TIMEOUT_S = 0.5  # for one switch's counters: one that hangs must not hold up the others
OPENED_TIMEOUT_S = 0.15  # for the counts that surges show in: they are read again soon
REDIRECTED_TIMEOUT_S = 2.0  # thousands of rows
ALTER_TIMEOUT_S = 2.0  # for one switch's rows that somebody waits for; it is compared afterwards
READ_BACK_TIMEOUT_S = 3.0  # for one switch's slot sets
MAX_SAMPLED = 10_000  # sampled connections kept for a slow reader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """State of the connection to one switch.

    `since_s`: when `up` last changed (Unix time); `entries`: table entries that it holds; `updates`: written to it.
    """

    name: str
    up: bool
    since_s: float
    last_error: str | None
    reconciled: bool
    entries: int
    updates: int = 0


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """Updates written per switch, and what failed."""

    updates: Mapping[str, int]
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Which switches took a write; `elapsed_ms` until the slowest answered."""

    written: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    elapsed_ms: float
    per_node_ms: Mapping[str, float] = field(default_factory=dict)


class FabricDriver:
    """Everything that umbra does to the switches of a fabric.

    own: switch → another program than the others have. Raises ProgramError when a compiled program cannot be used.
    """

    def __init__(
        self, fabric: Fabric, program: Files, own: Mapping[str, Files] | None = None
    ) -> None:
        self.fabric = fabric
        self.connections: asyncio.Queue[SampledConnection] = asyncio.Queue(MAX_SAMPLED)
        self.connections_lost = 0
        self.on_up: list[Callable[[str], None]] = []
        self.on_down: list[Callable[[str], None]] = []
        self.on_probe: list[Callable[[str, ProbeAnswer], None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        for one in {program, *(own or {}).values()}:
            check(one)
        self._links = {
            switch.name: NodeLink(
                switch,
                (own or {}).get(switch.name, program),
                on_connected=self._connected,
                on_down=self._down,
                on_digest=self._digest,
                on_probe=self._probe_answered,
            )
            for switch in fabric.switches
        }

    async def start(self) -> None:
        """Begin to connect to every switch; returns at once."""
        for link in self._links.values():
            self._spawn(link.run())

    async def stop(self) -> None:
        """Close all connections. The switches go on forwarding as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def want(self, plan: FabricPlan) -> None:
        """Set the desired state. Call `reconcile` to write it; a switch that connects later gets it by itself."""
        plans = {node.node: node for node in plan.nodes}
        for name, link in self._links.items():
            link.wanted = plans.get(name)

    async def wait_up(self, timeout_s: float) -> tuple[str, ...]:
        """Wait until every switch is connected, or the time is over; returns the names of those that are."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and not all(link.up for link in self._links.values()):
            await asyncio.sleep(0.02)
        return tuple(name for name, link in self._links.items() if link.up)

    async def slots_in_force(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """Slot sets read back from the switches that are up: (switch, slot set) → 100 labels.

        A switch that does not answer is left out.
        """
        result: dict[tuple[str, int], tuple[int, ...]] = {}

        async def one(link: NodeLink) -> None:
            try:
                async with asyncio.timeout(READ_BACK_TIMEOUT_S):
                    sets = await link.slot_sets()
            except Exception as error:
                LOG.warning("%s: slot sets not read back: %s", link.name, describe(error))
            else:
                result.update({(link.name, number): labels for number, labels in sets.items()})

        await asyncio.gather(*(one(link) for link in self._links.values() if link.up))
        return result

    async def reconcile(self, node: str | None = None) -> ReconcileReport:
        """Read back, compare, write the difference; all switches that are up, or one."""
        links = [self._links[node]] if node else [x for x in self._links.values() if x.up]
        updates: dict[str, int] = {}
        failed: list[tuple[str, str]] = []

        async def one(link: NodeLink) -> None:
            if link.wanted is None:
                return
            try:
                updates[link.name] = await link.reconcile()
            except Exception as error:
                LOG.warning("%s: not reconciled: %s", link.name, describe(error))
                failed.append((link.name, describe(error)))

        await asyncio.gather(*(one(link) for link in links))
        return ReconcileReport(updates, tuple(sorted(failed)))

    async def write_slot_sets(self, sets: Mapping[str, Sequence[SlotSet]]) -> WriteReport:
        """Change slot sets (switch → slot sets), all switches in parallel.

        What is wanted changes too, so that a switch that is down now gets them when it is back.
        """
        return await self._write(sets, lambda link, changed: link.write_slot_sets(changed))

    async def write_targets(self, rows: Mapping[str, Sequence[TargetRow]]) -> WriteReport:
        """Change what bindings mean (switch → rows), all switches in parallel, each in one request.

        It waits for no reconcile and no reading. What is wanted changes too, as with `write_slot_sets`.
        """
        return await self._write(rows, lambda link, changed: link.write_targets(changed))

    async def amend(self, plan: FabricPlan) -> WriteReport:
        """Want this plan, and write at once how it differs from the one before, all switches in parallel.

        For a few rows that somebody waits for: nothing is read back. A switch that failed, or is down, gets the rest
        by `reconcile`.
        """
        changed = {
            node.node: (node,)
            for node in plan.nodes
            if node.node in self._links and self._links[node.node].wanted != node
        }
        return await self._write(changed, lambda link, wanted: link.amend(wanted[0]))

    async def alter(self, change: Callable[[NodePlan], NodePlan]) -> WriteReport:
        """As `amend`, by what is wanted of each switch at the moment of the write: other parts may change theirs
        meanwhile. Switches of which nothing is wanted yet are left out.
        """

        async def one(link: NodeLink, _: Sequence[str]) -> None:
            if link.wanted is not None:
                changed = change(link.wanted)
                if changed != link.wanted:
                    async with asyncio.timeout(ALTER_TIMEOUT_S):
                        await link.amend(changed)

        return await self._write({name: (name,) for name in self._links}, one)

    async def _write(
        self,
        changes: Mapping[str, Sequence[T]],
        write: Callable[[NodeLink, Sequence[T]], Awaitable[Any]],
    ) -> WriteReport:
        start_s = time.perf_counter()
        written: dict[str, float] = {}
        failed: list[tuple[str, str]] = []

        async def one(name: str, changed: Sequence[T]) -> None:
            try:
                await write(self._links[name], changed)
            except Exception as error:
                failed.append((name, describe(error)))
            else:
                written[name] = (time.perf_counter() - start_s) * 1000

        await asyncio.gather(*(one(name, changed) for name, changed in changes.items()))
        elapsed_ms = (time.perf_counter() - start_s) * 1000
        return WriteReport(tuple(sorted(written)), tuple(sorted(failed)), elapsed_ms, written)

    async def read_counters(self) -> list[NodeCounters]:
        """Counters of all switches that are up and answer; one that does not is left out."""

        async def one(link: NodeLink) -> NodeCounters | None:
            plan = link.wanted
            if plan is None or not link.up:
                return None
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    answer = await link.read(requests(self.fabric, plan))
            except Exception as error:
                LOG.warning("%s: counters not read: %s", link.name, describe(error))
                return None
            return counters(link.name, time.time(), plan, answer)

        found = await asyncio.gather(*(one(link) for link in self._links.values()))
        return [counted for counted in found if counted is not None]

    async def read_opened(self, nodes: Sequence[str]) -> dict[str, dict[int, int]]:
        """Connections bound so far, by service, on those of these switches that answer at once. A small read."""
        opened: dict[str, dict[int, int]] = {}

        async def one(link: NodeLink) -> None:
            plan = link.wanted
            if plan is None or not link.up:
                return
            try:
                async with asyncio.timeout(OPENED_TIMEOUT_S):
                    answer = await link.read(opened_requests(plan))
            except Exception as error:
                LOG.debug("%s: new connections not read: %s", link.name, describe(error))
            else:
                opened[link.name] = {entry.index: entry.packet_count for entry in answer}

        await asyncio.gather(*(one(self._links[name]) for name in nodes))
        return opened

    async def read_redirected(self, nodes: Sequence[str]) -> dict[str, dict[tuple[int, str], int]]:
        """New connections by row of the table `redirects`, (service, source prefix), of those of these switches that
        answer and hold such rows.
        """
        rows: dict[str, dict[tuple[int, str], int]] = {}

        async def one(link: NodeLink) -> None:
            plan = link.wanted
            if plan is None or not link.up or not plan.redirects:
                return
            try:
                async with asyncio.timeout(REDIRECTED_TIMEOUT_S):
                    rows[link.name] = redirected(await link.read(redirected_requests()))
            except Exception as error:
                LOG.warning("%s: redirected connections not read: %s", link.name, describe(error))

        await asyncio.gather(*(one(self._links[name]) for name in nodes))
        return rows

    async def scan(self, node: str, *, pause_s: float = 0.0) -> ScanResult:
        """Walk over a switch's whole connection table, in pieces, and expire what is idle.

        `pause_s` between pieces spreads the work. Raises NodeDown or TimeoutError.
        """
        return await self.walk(node, EXPIRE, pause_s=pause_s)

    async def walk(
        self,
        node: str,
        scan: Scan,
        *,
        pause_s: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> ScanResult:
        """Walk over a switch's whole connection table, in pieces.

        `progress(done, of)` is called after every piece, in indices of the table. Pieces of several walks over one
        switch take turns. Raises NodeDown or TimeoutError.
        """
        return await walk(self._links[node], scan, pause_s=pause_s, progress=progress)

    async def dump(self, node: str, *, origins: int = EVERY_ORIGIN) -> list[Record]:
        """All entries of a switch's connection table as FULL records, in table order.

        origins: which entries, a bit for each value of "replica of" (bit 0: owned). Raises NodeDown or TimeoutError.
        """
        return await dump(self._links[node], origins)

    async def replication(self, node: str) -> ReplicationCounters:
        """Counters of replica records of one switch. Raises NodeDown, or ValueError before anything is wanted of it."""
        link = self._links[node]
        if link.wanted is None:
            raise ValueError(f"{node}: nothing is wanted of this switch yet")
        answer = await link.read(replication_requests(link.wanted, whole=True))
        return counters(node, time.time(), link.wanted, answer).replication

    async def probe(self, node: str, probe: Probe) -> None:
        """Send a probe from a switch and back; answers come to `on_probe`. Raises NodeDown."""
        await self._links[node].probe(probe)

    def status(self) -> dict[str, NodeStatus]:
        """State of every connection."""
        return {
            name: NodeStatus(
                name,
                link.up,
                link.since_s,
                link.last_error,
                link.reconciled,
                link.entries,
                link.updates,
            )
            for name, link in self._links.items()
        }

    async def _connected(self, link: NodeLink) -> None:
        if link.wanted is not None:
            await self.reconcile(link.name)
        for callback in self.on_up:
            callback(link.name)

    def _down(self, link: NodeLink) -> None:
        for callback in self.on_down:
            callback(link.name)

    def _probe_answered(self, link: NodeLink, answer: ProbeAnswer) -> None:
        for callback in self.on_probe:
            try:
                callback(link.name, answer)
            except Exception:  # it must not end the connection that the answer came by
                LOG.exception("%s: a probe's answer was not taken", link.name)

    def _digest(self, link: NodeLink, entry: Mapping[str, int]) -> None:
        connection = SampledConnection(
            node=link.name,
            time_s=time.time(),
            client=str(ipaddress.ip_address(entry["client"])),
            address=str(ipaddress.ip_address(entry["address"])),
            protocol=entry["protocol"],
            client_port=entry["client_port"],
            service_port=entry["service_port"],
            service_id=entry["service"],
            binding=entry["binding"],
        )
        try:
            self.connections.put_nowait(connection)
        except asyncio.QueueFull:
            self.connections_lost += 1

    def _spawn(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
