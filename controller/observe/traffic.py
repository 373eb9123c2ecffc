"""Counter readings → packets per second on every switch, per connection, and their mean size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.model import NodeCounters

MEMORY_S = 15.0
EVIDENCE = 1000  # packets before their mean size is believed


@dataclass(slots=True)
class _Node:
    last: NodeCounters
    seconds: float = 0.0  # these four are faded alike
    packets: float = 0.0
    connection_s: float = 0.0


@dataclass(slots=True)
class TrafficMeter:
    """Service packets only: what is passed on by label, records and probes are not in it."""

    _nodes: dict[str, _Node] = field(default_factory=dict)
    _packets: int = 0
    _bytes: int = 0

    def update(self, readings: Iterable[NodeCounters]) -> None:
        """Take one cycle's readings. A switch that started anew begins anew."""
        for counters in readings:
            node = self._nodes.get(counters.node)
            if node is None or counters.time_s <= node.last.time_s:
                self._nodes.setdefault(counters.node, _Node(counters))
                continue
            packets, size = _difference(node.last, counters)
            interval_s = counters.time_s - node.last.time_s
            live = _live(node.last)
            node.last = counters
            if packets < 0 or size < 0:
                continue
            fade = math.exp(-interval_s / MEMORY_S)
            node.seconds = node.seconds * fade + interval_s
            node.packets = node.packets * fade + packets
            node.connection_s = node.connection_s * fade + live * interval_s
            self._packets += packets
            self._bytes += size

    def packets_per_s(self, node: str) -> float | None:
        """Service packets that the switch handles; None before two readings."""
        own = self._nodes.get(node)
        return own.packets / own.seconds if own is not None and own.seconds else None

    def per_connection(self, node: str) -> float | None:
        """Packets per second of one connection on that switch; None while it has hardly any."""
        own = self._nodes.get(node)
        if own is None or own.connection_s < 1.0:
            return None
        return own.packets / own.connection_s

    @property
    def mean_bytes(self) -> float | None:
        """Of the service packets so far, frames with checksum; None while there are too few."""
        return self._bytes / self._packets + 4 if self._packets >= EVIDENCE else None


def _live(counters: NodeCounters) -> int:
    return sum(max(0, service.live) for service in counters.services.values())


def _difference(before: NodeCounters, now: NodeCounters) -> tuple[int, int]:
    packets = sum(service.packets for service in now.services.values())
    size = sum(service.bytes for service in now.services.values())
    packets -= sum(service.packets for service in before.services.values())
    size -= sum(service.bytes for service in before.services.values())
    return packets, size
