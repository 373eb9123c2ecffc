"""The fabric driver's surface over a simulated fabric: the controller without switches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.act.errors import NodeDown
from controller.act.fabric import NodeStatus, ReconcileReport, WriteReport
from controller.act.packets import Scan, ScanResult
from controller.act.probes import Probe, ProbeAnswer
from controller.model import (
    Fabric,
    FabricPlan,
    NodeCounters,
    ReplicationCounters,
    SampledConnection,
    SlotSet,
    Stage,
    TargetRow,
)
from controller.plan.replicas import SHADOWS_SESSION
from harness.simreplicas import Replicas
from harness.simulated import SimFabric

TRIP_S = 0.002  # of a probe


@dataclass
class SimDriver:
    """Edges hold slot sets and bindings, routers are queues. A name in `down` is not connected, one in
    `dead` forwards nothing (no probe comes back), one in `slow` never answers, one in `unwilling`
    cannot be reconciled, `broken` makes every reading fail.
    """

    fabric: Fabric
    sim: SimFabric

    def __post_init__(self) -> None:
        self.connections: asyncio.Queue[SampledConnection] = asyncio.Queue(100)
        self.on_up: list[Callable[[str], None]] = []
        self.on_down: list[Callable[[str], None]] = []
        self.edges = [edge.name for edge in self.fabric.stage(Stage.EDGE)]
        self.tables: dict[tuple[str, int], tuple[int, ...]] = {}
        self.writes: list[tuple[str, int]] = []
        self.down: set[str] = set()
        self.dead: set[str] = set()
        self.on_probe: list[Callable[[str, ProbeAnswer], None]] = []
        self.replicas = Replicas()
        self.targets: dict[tuple[str, int], tuple[int, ...]] = {}  # (edge, binding) → labels
        self.target_writes: list[tuple[str, int]] = []
        self.wanted_targets: dict[tuple[str, int], tuple[int, ...]] = {}
        self.applied: FabricPlan | None = None  # of each switch, as far as it was reconciled
        self.unwilling: set[str] = set()
        self.refused: list[str] = []
        self.updates: dict[str, int] = {}
        self.slow: set[str] = set()
        self.broken = False
        self.plan: FabricPlan | None = None
        self.wanted: dict[tuple[str, int], tuple[int, ...]] = {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def wait_up(self, timeout_s: float) -> tuple[str, ...]:
        return tuple(name for name, node in self.status().items() if node.up)

    def want(self, plan: FabricPlan) -> None:
        self.plan = plan
        for node in plan.nodes:
            for one in node.slot_sets:
                self.wanted[node.node, one.id] = one.slots
            if node.node in self.edges:
                for row in node.targets:
                    labels = tuple(hop.label for hop in row.hops)
                    self.wanted_targets[node.node, row.binding] = labels

    async def slots_in_force(self) -> dict[tuple[str, int], tuple[int, ...]]:
        return {key: labels for key, labels in self.tables.items() if key[0] not in self.down}

    async def reconcile(self, node: str | None = None) -> ReconcileReport:
        if node in self.unwilling:
            self.refused.append(node)
            return ReconcileReport({}, ((node, "it did not answer in time"),))
        updates: dict[str, int] = {}
        for name in [node] if node else [one.name for one in self.fabric.switches]:
            if name not in self.down:
                differing = {
                    key: labels
                    for key, labels in self.wanted.items()
                    if key[0] == name and self.tables.get(key) != labels
                }
                bindings = {
                    key: labels
                    for key, labels in self.wanted_targets.items()
                    if key[0] == name and self.targets.get(key) != labels
                }
                self.tables |= differing
                self.targets |= bindings
                updates[name] = len(differing) + len(bindings)
                self.updates[name] = self.updates.get(name, 0) + updates[name]
        self._apply(node)
        self._steer()
        return ReconcileReport(updates)

    def _apply(self, only: str | None) -> None:
        if self.plan is None or self.applied is None or only is None:
            self.applied = self.plan
            return
        new = self.plan.node(only)
        nodes = tuple(new if one.node == only else one for one in self.applied.nodes)
        self.applied = replace(self.applied, nodes=nodes)

    def shadows(self, node: str) -> tuple[str, ...]:
        """To whom the switch sends records of its connections, as it is programmed."""
        assert self.applied is not None
        names = {switch.label: switch.name for switch in self.fabric.switches}
        rows = self.applied.node(node).sessions
        return tuple(names[n] for row in rows if row.id == SHADOWS_SESSION for _, n in row.replicas)

    async def write_slot_sets(self, sets: Mapping[str, Sequence[SlotSet]]) -> WriteReport:
        written, failed = [], []
        for name, changed in sets.items():
            self.wanted |= {(name, one.id): one.slots for one in changed}
            if name in self.slow:
                await asyncio.Event().wait()
            if name in self.down:
                failed.append((name, "not connected"))
                continue
            self.tables |= {(name, one.id): one.slots for one in changed}
            self.writes += [(name, one.id) for one in changed]
            written.append(name)
        self._steer()
        return WriteReport(tuple(written), tuple(failed), 0.1)

    async def write_targets(self, rows: Mapping[str, Sequence[TargetRow]]) -> WriteReport:
        written, failed = [], []
        for name, changed in rows.items():
            own = {(name, row.binding): tuple(hop.label for hop in row.hops) for row in changed}
            self.wanted_targets |= own
            if name in self.slow:
                await asyncio.Event().wait()
            if name in self.down:
                failed.append((name, "not connected"))
                continue
            self.targets |= own
            self.target_writes += own
            written.append(name)
        return WriteReport(tuple(written), tuple(failed), 0.1)

    async def read_opened(self, nodes: Sequence[str]) -> dict[str, dict[int, int]]:
        """All new connections, as if one edge had bound them; nothing while `broken`."""
        first = next((name for name in nodes if name not in self.down), None)
        if first is None or self.broken:
            return {}
        totals: dict[int, int] = {}
        for router in self.sim.routers.values():
            for own in (router.opened, router.refused):
                for service, count in own.items():
                    totals[service] = totals.get(service, 0) + count
        return {first: totals}

    async def probe(self, node: str, probe: Probe) -> None:
        if node in self.down:
            raise NodeDown(f"{node} is not connected")
        target = next(s.name for s in self.fabric.switches if s.label == probe.target)
        if not self.dead & {node, target}:
            answer = ProbeAnswer(probe.id, 0, 0, 0, round(TRIP_S * 1e6))
            asyncio.get_running_loop().call_later(TRIP_S, self._come_back, node, answer)

    def _come_back(self, node: str, answer: ProbeAnswer) -> None:
        for callback in self.on_probe:
            callback(node, answer)

    async def walk(
        self,
        node: str,
        scan: Scan,
        *,
        pause_s: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> ScanResult:
        if node in self.down:
            raise NodeDown(f"{node} is not connected")
        await asyncio.sleep(0)
        assert self.applied is not None
        found = self.replicas.walk(self.applied, node, scan)
        if progress is not None:
            progress(4096, 4096)
        return found

    async def replication(self, node: str) -> ReplicationCounters:
        if node in self.down:
            raise NodeDown(f"{node} is not connected")
        return self.replicas.counters(node)

    async def read_counters(self) -> list[NodeCounters]:
        if self.broken:
            raise ConnectionError("the counters cannot be read")
        if "reading" in self.slow:
            await asyncio.Event().wait()
        return [
            replace(one, replication=self.replicas.counters(one.node))
            for one in self.sim.turn()
            if one.node not in self.down
        ]

    async def scan(self, node: str, *, pause_s: float = 0.0) -> ScanResult:
        return ScanResult(0, 0)

    def status(self) -> dict[str, NodeStatus]:
        return {
            switch.name: NodeStatus(
                switch.name,
                switch.name not in self.down,
                time.time(),
                "gone" if switch.name in self.down else None,
                switch.name not in self.down,
                sum(1 for key in self.wanted if key[0] == switch.name),
                self.updates.get(switch.name, 0),
            )
            for switch in self.fabric.switches
        }

    def lose(self, node: str, *, forwards: bool = False) -> None:
        """Its connection is lost; and, unless it still forwards, it is dead."""
        self.down.add(node)
        if not forwards:
            self.dead.add(node)
        for callback in self.on_down:
            callback(node)

    async def recover(self, node: str, *, empty: bool = False) -> None:
        """Back again, reconciled as the driver does before it calls anyone."""
        self.down.discard(node)
        self.dead.discard(node)
        if empty:
            self.tables = {key: v for key, v in self.tables.items() if key[0] != node}
            self.targets = {key: v for key, v in self.targets.items() if key[0] != node}
            self.replicas.clear(node)
        await self.reconcile(node)
        for callback in self.on_up:
            callback(node)

    def _steer(self) -> None:
        """The simulation has one edge: the first."""
        shares: dict[int, dict[int, int]] = {}
        for (edge, number), labels in self.tables.items():
            if edge == self.edges[0]:
                shares[number // 16] = {label: labels.count(label) for label in {*labels}}
        self.sim.set_shares(shares)
