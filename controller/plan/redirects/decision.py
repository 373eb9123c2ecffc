"""routeTraffic of seed 9407539: where a new connection goes. The table `redirects` says the same (`rows`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.model.destinations import Standby
from controller.plan.redirects.sources import Sources


@dataclass(frozen=True, slots=True)
class Routing:
    """All that the decision looks at.

    primaries: service → its primary site. predicted: (service, location) → the site whose copy shall serve what
    is expected from there. usable: (service, site) → the copy that may get new connections.
    """

    sources: Sources
    primaries: Mapping[int, str]
    predicted: Mapping[tuple[int, str], str]
    usable: Mapping[tuple[int, str], Standby]


def predicted_site(routing: Routing, service: int, location: str | None) -> str | None:
    """predictDemandLocation: the site at which this location's demand shall be served; None: no prediction."""
    return None if location is None else routing.predicted.get((service, location))


def find_standby(routing: Routing, service: int, site: str) -> Standby | None:
    """findShadowDIResource: the copy at that site, if it may get new connections."""
    return routing.usable.get((service, site))


def serving_site(routing: Routing, service: int, location: str | None) -> str:
    """The site for new connections from a location (None: from beyond every location). KeyError: unknown service."""
    primary = routing.primaries[service]
    site = predicted_site(routing, service, location)
    if site is not None and site != primary and find_standby(routing, service, site) is not None:
        return site
    return primary


def route_traffic(routing: Routing, source: str, service: int) -> str:
    """routeTraffic: the site that a new connection of this source goes to, the primary's or a copy's.

    source: an IPv4 address. Raises ValueError for another, KeyError for an unknown service.
    """
    return serving_site(routing, service, routing.sources.location(source))
