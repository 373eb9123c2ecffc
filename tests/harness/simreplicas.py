"""Replica records as arithmetic: connection tables of a simulated fabric, for tests of resyncs and failovers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from controller.act.packets import Scan, ScanMode, ScanResult
from controller.model import FabricPlan, RecordEvent, ReplicationCounters

OWNED = 0
TABLE = 4096


@dataclass
class Replicas:
    """entries: switch → connection → (replica of: number, 0 = owned; generation).

    `loss`: part of the records that never arrive. `plans`: as programmed, switch → its row in a plan.
    """

    loss: float = 0.0
    entries: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    received: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    lost: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(11)

    def table(self, node: str) -> dict[int, tuple[int, int]]:
        return self.entries.setdefault(node, {})

    def owned(self, node: str) -> set[int]:
        return {key for key, (number, _) in self.table(node).items() if number == OWNED}

    def replicas(self, node: str, number: int) -> set[int]:
        return {key for key, (own, _) in self.table(node).items() if own == number}

    def clear(self, node: str) -> None:
        """The switch was restarted."""
        self.entries[node] = {}
        self.sent[node] = 0
        for key in [key for key in self.received if key[0] == node]:
            del self.received[key]

    def open(self, plan: FabricPlan, node: str, key: int, shadows: tuple[str, ...]) -> None:
        """A new connection, replicated."""
        self.table(node)[key] = (OWNED, 0)
        self.sent[node] = self.sent.get(node, 0) + 1
        for shadow in shadows:
            self._take(plan, node, shadow, key, ScanMode.EXPIRE)

    def walk(self, plan: FabricPlan, node: str, scan: Scan) -> ScanResult:
        table = self.table(node)
        chosen = [key for key, (number, _) in table.items() if scan.origins >> number & 1]
        sent = 0
        if scan.mode is ScanMode.SWEEP:
            old = [key for key in chosen if table[key][0] and table[key][1] != scan.generation]
            for key in old:
                del table[key]
            sent = len(old)
        elif scan.mode is ScanMode.DISOWN:
            assert scan.owner in {row.number for row in plan.node(node).primaries}
            given_up = self.owned(node)
            table.update(dict.fromkeys(given_up, (scan.owner, 0)))
            sent = len(given_up)
        elif scan.mode is not ScanMode.EXPIRE:
            receiver = next(one.node for one in plan.nodes if one.label == scan.session)
            sessions = {row.id for row in plan.node(node).sessions}
            assert scan.session in sessions, f"{node} has no session to {receiver}"
            for key in chosen:
                self._take(plan, node, receiver, key, scan.mode)
            sent = len(chosen)
        return ScanResult(len(self.owned(node)), 0, sent)

    def counters(self, node: str) -> ReplicationCounters:
        return ReplicationCounters(
            sent={1: self.sent.get(node, 0)},
            received={
                number: tuple(counts)
                for (name, number), counts in self.received.items()
                if name == node
            },
        )

    def _take(self, plan: FabricPlan, sender: str, receiver: str, key: int, mode: ScanMode) -> None:
        if self._chance.random() < self.loss:
            self.lost += 1
            return
        origin = plan.node(sender).label
        rows = [row for row in plan.node(receiver).primaries if row.origin == origin]
        assert rows, f"{receiver} takes no records of {sender}"
        row = rows[0]
        counts = self.received.setdefault((receiver, row.number), [0] * len(RecordEvent))
        by_scan = mode is not ScanMode.EXPIRE
        counts[RecordEvent.BY_SCAN if by_scan else RecordEvent.IN_SEQUENCE] += 1
        table = self.table(receiver)
        if table.get(key, (1, 0))[0] != OWNED:
            table[key] = (OWNED, 0) if mode is ScanMode.GIVE else (row.number, row.generation)
