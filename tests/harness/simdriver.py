"""The fabric driver's surface over a simulated fabric: the controller without switches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.act.fabric import NodeStatus, ReconcileReport, WriteReport
from controller.act.node import ScanResult
from controller.model import Fabric, FabricPlan, NodeCounters, SampledConnection, SlotSet, Stage
from harness.simulated import SimFabric


@dataclass
class SimDriver:
    """Edges hold slot sets, routers are queues. A name in `down` is not connected, one in `slow`
    never answers, `broken` makes every reading fail.
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

    async def slots_in_force(self) -> dict[tuple[str, int], tuple[int, ...]]:
        return {key: labels for key, labels in self.tables.items() if key[0] not in self.down}

    async def reconcile(self, node: str | None = None) -> ReconcileReport:
        updates: dict[str, int] = {}
        for name in [node] if node else self.edges:
            if name not in self.down:
                differing = {
                    key: labels
                    for key, labels in self.wanted.items()
                    if key[0] == name and self.tables.get(key) != labels
                }
                self.tables |= differing
                updates[name] = len(differing)
        self._steer()
        return ReconcileReport(updates)

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

    async def read_counters(self) -> list[NodeCounters]:
        if self.broken:
            raise ConnectionError("the counters cannot be read")
        if "reading" in self.slow:
            await asyncio.Event().wait()
        return [one for one in self.sim.turn() if one.node not in self.down]

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
                0,
            )
            for switch in self.fabric.switches
        }

    def lose(self, node: str) -> None:
        self.down.add(node)
        for callback in self.on_down:
            callback(node)

    async def recover(self, node: str, *, empty: bool = False) -> None:
        """Back again, reconciled as the driver does before it calls anyone."""
        self.down.discard(node)
        if empty:
            self.tables = {key: v for key, v in self.tables.items() if key[0] != node}
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
