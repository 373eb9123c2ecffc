"""A fabric as arithmetic: routers as queues, for tests of the loop without packets.

New connections arrive as a Poisson process, take the slots in turn as the data plane does (61 and
100 have no common factor), last exponentially long, and are refused by a router that is full. What
it shows are counters; what it knows (seconds in breach, refusals) is the truth to judge by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.model import NodeCounters, ServiceCounters

STEPS = 10  # per cycle
Rate = Callable[[float], float]


@dataclass(slots=True)
class SimRouter:
    """One router's queue and totals, per service."""

    label: int
    capacity: int
    limit: float
    live: dict[int, int] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    closed: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    breach_s: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.live.values())


class SimFabric:
    """Services' new connections per second (functions of the time) on routers, by shares."""

    def __init__(
        self,
        routers: Mapping[str, SimRouter],
        rates: Mapping[int, Rate],
        *,
        mean_duration_s: float = 10.0,
        seed: int = 1,
    ) -> None:
        self.routers = routers
        self.rates = rates
        self.mean_duration_s = mean_duration_s
        self.time_s = 0.0
        self._random = np.random.default_rng(seed)
        self._number = dict.fromkeys(rates, 0)
        self._slots: dict[int, list[SimRouter]] = {}

    def set_shares(self, shares: Mapping[int, Mapping[int, int]]) -> None:
        """Service → label → percent."""
        by_label = {router.label: router for router in self.routers.values()}
        self._slots = {
            service: [by_label[label] for label in sorted(own) for _ in range(own[label])]
            for service, own in shares.items()
        }

    def turn(self, seconds: float = 1.0) -> list[NodeCounters]:
        """Let time pass; the counters at the end."""
        step_s = seconds / STEPS
        ends = 1.0 - np.exp(-step_s / self.mean_duration_s)
        for _ in range(STEPS):
            for router in self.routers.values():
                for service, live in router.live.items():
                    gone = int(self._random.binomial(live, ends))
                    router.live[service] -= gone
                    router.closed[service] = router.closed.get(service, 0) + gone
            for service, rate in self.rates.items():
                for _ in range(int(self._random.poisson(max(0.0, rate(self.time_s)) * step_s))):
                    self._open(service)
            self.time_s += step_s
            for router in self.routers.values():
                if router.total > router.limit:
                    router.breach_s += step_s
        self.time_s = round(self.time_s, 6)
        return self.counters()

    def counters(self) -> list[NodeCounters]:
        """Of all routers, now."""
        return [
            NodeCounters(
                name,
                self.time_s,
                {
                    service: ServiceCounters(
                        opened=router.opened.get(service, 0),
                        closed=router.closed.get(service, 0),
                        refused=router.refused.get(service, 0),
                    )
                    for service in self.rates
                },
            )
            for name, router in self.routers.items()
        ]

    @property
    def breach_s(self) -> float:
        """Router-seconds in breach."""
        return sum(router.breach_s for router in self.routers.values())

    @property
    def refused(self) -> int:
        """Connections refused so far."""
        return sum(sum(router.refused.values()) for router in self.routers.values())

    def _open(self, service: int) -> None:
        number = self._number[service]
        self._number[service] = number + 1
        router = self._slots[service][number * 61 % 100]
        if router.total >= router.capacity:
            router.refused[service] = router.refused.get(service, 0) + 1
        else:
            router.opened[service] = router.opened.get(service, 0) + 1
            router.live[service] = router.live.get(service, 0) + 1
