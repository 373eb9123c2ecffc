"""What would be on a router if umbra shifted nothing and it refused nobody: the demand.

A shift that works takes connections off the router. Judged by its live count the danger would seem
to pass, the shift would be taken back, and the danger would come again: an oscillation of our own
making. Forecasts and decisions are therefore made on the demand, which a shift does not change:

    demand = live + displaced

`displaced` counts, per router and service, the connections that shifts or refusals keep off it
(negative: guests that it holds for others). It is a queue like the live count itself. Each
cycle it gains the router's part, by the base shares, of all new connections of the
service, less those that really came to it, plus those it refused; and it loses connections at the
service's observed rate of closing (connections close alike wherever they are). Without a shift and
without refusals nothing enters, and the demand is the live count exactly.

All new connections of a service are those that its routers counted; while a router does not answer,
those that the edges counted; while neither is complete, `displaced` only ages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.observe.samples import Flow, Reading

MEMORY_S = 60.0  # over which a service's rate of closing is taken


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one router. count: connections. new_per_s: offered, refused ones included."""

    count: float
    new_per_s: float
    mean_duration_s: float


@dataclass(slots=True)
class _Closing:
    live_s: float = 0.0
    closed: float = 0.0

    def per_s(self) -> float:
        return self.closed / self.live_s if self.live_s > 0 and self.closed >= 1.0 else 0.0


@dataclass(slots=True)
class DemandTracker:
    """base: service → router → percent of the service's new connections without any shift.

    edges: names of the edges, whose counters stand in while a router does not answer.
    `displaced` (router → service → connections) may be handed to the next run of the controller.
    """

    base: Mapping[int, Mapping[str, float]]
    edges: frozenset[str] = frozenset()
    displaced: dict[str, dict[int, float]] = field(default_factory=dict)
    _closing: dict[int, _Closing] = field(default_factory=dict)

    def update(
        self,
        reading: Reading,
        shifted: Iterable[int],
        away: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Demand]:
        """The demand on every router that was sampled.

        shifted: services whose shares in force differ from the base. away: routers that are dead or drained → who
        stands in for them: what would go to the one is demand on the others, for there is nowhere else to go.
        """
        for name in reading.restarted:  # its guests are gone with all that it held
            own = self.displaced.get(name, {})
            self.displaced[name] = {service: value for service, value in own.items() if value > 0}
        moved = set(shifted)
        gone = away or {}
        routers = {name: reading.flows[name] for name in reading.samples if name in reading.flows}
        offered_per_s: dict[str, float] = dict.fromkeys(routers, 0.0)
        services = sorted({service for flows in routers.values() for service in flows})
        for service in services:
            closing_per_s = self._close(service, routers, reading.interval_s)
            base = _without(self.base.get(service, {}), gone)
            total_per_s = (
                self._total_per_s(service, base, routers, reading) if service in moved else None
            )
            for name, flows in routers.items():
                flow = flows.get(service)
                if flow is None:
                    continue
                interval_s = reading.interval_s[name]
                came_per_s = (flow.opened + flow.refused) / interval_s
                own_per_s = came_per_s
                if total_per_s is not None:
                    own_per_s = total_per_s * base.get(name, 0.0) / 100.0
                offered_per_s[name] += own_per_s
                gained = (own_per_s - came_per_s) * interval_s + flow.refused
                self._age(name, service, gained, closing_per_s * interval_s)
        result: dict[str, Demand] = {}
        for name, sample in reading.samples.items():
            count = max(0.0, sample.live + sum(self.displaced.get(name, {}).values()))
            known = name in routers
            result[name] = Demand(
                count, offered_per_s[name] if known else math.nan, sample.mean_duration_s
            )
        return result

    def _close(
        self,
        service: int,
        routers: Mapping[str, Mapping[int, Flow]],
        interval_s: Mapping[str, float],
    ) -> float:
        closing = self._closing.setdefault(service, _Closing())
        longest_s = max(interval_s[name] for name in routers)
        fade = math.exp(-longest_s / MEMORY_S)
        closing.live_s *= fade
        closing.closed *= fade
        for name, flows in routers.items():
            if service in flows:
                flow = flows[service]
                # Those that closed in the interval were alive for half of it.
                closing.live_s += (flow.live + flow.closed / 2) * interval_s[name]
                closing.closed += flow.closed
        return closing.per_s()

    def _total_per_s(
        self,
        service: int,
        base: Mapping[str, float],
        routers: Mapping[str, Mapping[int, Flow]],
        reading: Reading,
    ) -> float | None:
        serving = {name for name, pct in base.items() if pct}
        serving |= {
            name
            for name, own in self.displaced.items()
            if own.get(service) and base.get(name) != 0.0
        }
        if serving <= routers.keys():
            sources: Mapping[str, Mapping[int, Flow]] = routers
        elif self.edges and self.edges <= reading.flows.keys():
            sources = {name: reading.flows[name] for name in self.edges}
        else:
            return None
        return sum(
            (flows[service].opened + flows[service].refused) / reading.interval_s[name]
            for name, flows in sources.items()
            if service in flows
        )

    def _age(self, router: str, service: int, gained: float, closings: float) -> None:
        own = self.displaced.setdefault(router, {})
        # The exact solution of x' = gained/T - h x over the interval T, with h T = closings.
        kept = math.exp(-closings)
        share = (1.0 - kept) / closings if closings > 1e-9 else 1.0
        value = own.get(service, 0.0) * kept + gained * share
        if abs(value) < 1e-3:
            own.pop(service, None)
        else:
            own[service] = value


def _without(base: Mapping[str, float], away: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Percentages with those of routers that are away given to their stand-ins, in equal parts."""
    result = dict(base)
    for name, stand_ins in away.items():
        if result.get(name) and stand_ins:
            part = result[name] / len(stand_ins)
            result[name] = 0.0
            for other in stand_ins:
                result[other] = result.get(other, 0.0) + part
    return result
