"""Counter readings → what happened in between: flows per service and one sample per router.

Counters are totals since the switch started. A total below the one before means that the switch (or
its program) started anew: what it counts since then is what happened, and the connections it held
are gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.model import NodeCounters, RouterSample, ServiceCounters

MEMORY_S = 30.0  # over which the mean duration is taken
SET_BACK_S = 2.0  # readings further back in time than this mean that the clock was set back


@dataclass(frozen=True, slots=True)
class Flow:
    """One service on one switch between two readings. live: connections at the second one."""

    live: int
    opened: int
    closed: int  # by the hosts or by idle time
    refused: int


@dataclass(frozen=True, slots=True)
class Reading:
    """All switches in one cycle. `flows`: switch → service → flow; a switch read for the first time
    has no flows yet. `interval_s`: switch → seconds since its last reading.
    """

    samples: Mapping[str, RouterSample]
    flows: Mapping[str, Mapping[int, Flow]]
    interval_s: Mapping[str, float]
    restarted: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node:
    last: NodeCounters
    live_s: float = 0.0  # connection-seconds, faded
    closed: float = 0.0  # connections, faded alike


@dataclass(slots=True)
class Sampler:
    """Remembers the last reading of every switch. `routers`: those that get samples."""

    routers: frozenset[str]
    _nodes: dict[str, _Node] = field(default_factory=dict)

    def update(self, readings: Iterable[NodeCounters]) -> Reading:
        """Take one cycle's readings; one that is not newer than the last is ignored.

        One that is much older means that the clock was set back: counting starts anew from it.
        """
        samples: dict[str, RouterSample] = {}
        flows: dict[str, dict[int, Flow]] = {}
        intervals: dict[str, float] = {}
        restarted: list[str] = []
        for counters in readings:
            node = self._nodes.get(counters.node)
            if node is not None and counters.time_s <= node.last.time_s:
                if node.last.time_s - counters.time_s <= SET_BACK_S:
                    continue
                node = None
            if node is None:
                self._nodes[counters.node] = _Node(counters)
                if counters.node in self.routers:
                    samples[counters.node] = _first(counters)
                continue
            interval_s = counters.time_s - node.last.time_s
            anew = _anew(node.last, counters)
            if anew:
                restarted.append(counters.node)
                node.live_s = node.closed = 0.0
            before = NodeCounters(counters.node, node.last.time_s) if anew else node.last
            own = {
                service: _flow(before.services.get(service, ServiceCounters()), now)
                for service, now in counters.services.items()
            }
            flows[counters.node] = own
            intervals[counters.node] = interval_s
            if counters.node in self.routers:
                samples[counters.node] = _sample(node, before, counters, own, interval_s)
            node.last = counters
        return Reading(samples, flows, intervals, tuple(restarted))


def _anew(before: NodeCounters, now: NodeCounters) -> bool:
    for service, old in before.services.items():
        new = now.services.get(service)
        if new is not None and (
            new.opened < old.opened
            or new.closed < old.closed
            or new.expired < old.expired
            or new.refused < old.refused
            or new.adopted < old.adopted
            or new.released < old.released
        ):
            return True
    return False


def _flow(before: ServiceCounters, now: ServiceCounters) -> Flow:
    return Flow(
        live=max(0, now.live),
        opened=now.opened - before.opened,
        closed=now.closed + now.expired - before.closed - before.expired,
        refused=now.refused - before.refused,
    )


def _first(counters: NodeCounters) -> RouterSample:
    live = sum(max(0, service.live) for service in counters.services.values())
    unknown = math.nan
    return RouterSample(
        counters.node, counters.time_s, live, unknown, unknown, unknown, unknown, unknown
    )


def _sample(
    node: _Node,
    before: NodeCounters,
    now: NodeCounters,
    flows: Mapping[int, Flow],
    interval_s: float,
) -> RouterSample:
    live = sum(flow.live for flow in flows.values())
    closed = sum(flow.closed for flow in flows.values())
    live_before = sum(max(0, service.live) for service in before.services.values())
    fade = math.exp(-interval_s / MEMORY_S)
    node.live_s = node.live_s * fade + (live + live_before) / 2 * interval_s
    node.closed = node.closed * fade + closed
    size = sum(service.bytes for service in now.services.values())
    size -= sum(service.bytes for service in before.services.values())
    return RouterSample(
        router=now.node,
        time_s=now.time_s,
        live=live,
        new_per_s=sum(flow.opened for flow in flows.values()) / interval_s,
        closed_per_s=closed / interval_s,
        refused_per_s=sum(flow.refused for flow in flows.values()) / interval_s,
        # Little's law: connections = rate times duration, both over the same faded past.
        mean_duration_s=node.live_s / node.closed if node.closed >= 1.0 else math.nan,
        bytes_per_s=max(0, size) / interval_s,
    )
