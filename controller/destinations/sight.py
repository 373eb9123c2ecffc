"""What destination shadowing sees of the fabric: who takes connections, what is refused, what is free, how far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from controller.config.destinations import LocationSection
from controller.destinations.capacity import site_resources
from controller.destinations.copies import failed_copies
from controller.destinations.latency import SiteLatencies
from controller.destinations.planning import Rules
from controller.destinations.settings import SiteSettings
from controller.model import Fabric, NodeCounters, SiteResources, Standby
from controller.observe.demand import Demand
from controller.plan.redirects.state import Cell, Copy


class Loop(Protocol):
    """What is needed of the control loop (`controller.cycle.Cycle`)."""

    counters: dict[str, NodeCounters]
    demands: dict[str, Demand]
    offered: dict[int, Mapping[str, float]]

    @property
    def base(self) -> Mapping[int, Mapping[str, float]]:
        """Service → router → percent of its new connections without shifts and redirects."""


@dataclass(slots=True)
class Sight:
    """Nothing here writes."""

    fabric: Fabric
    loop: Loop
    gone: Callable[[], Collection[str]]  # routers that serve nobody
    rules: Rules
    sites: tuple[SiteSettings, ...]
    locations: Mapping[str, LocationSection]
    latencies: SiteLatencies

    @property
    def measured(self) -> bool:
        """Whether the loop has counted: before, it seems as if no router had anything free."""
        return bool(self.loop.demands)

    def routers(self, copy: Copy) -> tuple[str, ...]:
        """Those that serve a copy, or would."""
        own = self.rules.routers.get(copy)
        if own is not None:
            return own
        return next((one.routers for one in self.sites if one.name == copy[1]), ())

    def failed(self, marked: frozenset[Copy]) -> frozenset[Copy]:
        """Copies, existing or possible, that cannot serve now."""
        return failed_copies(
            self.rules.destinations,
            {one.name: one.routers for one in self.sites},
            self.rules.routers,
            self.gone(),
            marked,
        )

    def live(self, standby: Standby) -> int | None:
        """Connections that a copy carries; None while one of its routers does not tell."""
        counts = []
        for name in standby.routers:
            counters = self.loop.counters.get(name)
            if counters is None:
                return None
            own = counters.services.get(standby.service)
            counts.append(own.live if own is not None else 0)
        return sum(counts)

    def refusals(self, copies: Iterable[Copy]) -> dict[Copy, int]:
        """Connections that the routers of each copy have refused since they started."""
        found = {}
        for copy in copies:
            own = (self.loop.counters.get(name) for name in self.routers(copy))
            services = [one.services.get(copy[0]) for one in own if one is not None]
            found[copy] = sum(one.refused for one in services if one is not None)
        return found

    def resources(
        self, served: Mapping[Cell, str], rates: Mapping[Cell, float]
    ) -> tuple[SiteResources, ...]:
        """What every site has for copies. rates: new connections per second of late."""
        taken: dict[str, float] = {}
        for cell, site in served.items():
            taken[site] = taken.get(site, 0.0) + rates.get(cell, 0.0)
        return site_resources(self.sites, self.fabric, self.loop.demands, self.gone(), taken)

    def trip_ms(self, location: str, site: str, service: int) -> float | None:
        """Round trip as measured now, to the routers that serve the service there; None: not measured."""
        primary = any(
            one.service == service and one.primary_site == site for one in self.rules.destinations
        )
        routers = None if primary else self.routers((service, site))
        return self.latencies.measured_ms(self.locations[location], site, routers)
