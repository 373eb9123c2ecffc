"""The configuration's section `destinations` in the words of the planners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from controller.config import Config
from controller.config.destinations import Destinations, ServiceSection, SiteSection
from controller.config.destinations_sites import backend_sites, primary_sites, router_sites
from controller.destinations.foresight import DemandForecastSettings
from controller.model import Destination, Location
from controller.observe.access_settings import AccessSettings
from controller.observe.geo_database import GeoArea
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.redirects.settings import RedirectSettings


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """A site as configured. spare_cps None: from what its routers have free."""

    name: str
    routers: tuple[str, ...]
    spare_cps: float | None
    room: int
    copy_cost: float
    traffic_cost_ms: float


def locations(section: Destinations) -> tuple[Location, ...]:
    """With the configured prefixes only."""
    return tuple(Location(one.name, one.site, one.prefixes) for one in section.locations)


def areas(section: Destinations) -> tuple[GeoArea, ...]:
    """What of the geographic database belongs to which location."""
    return tuple(
        GeoArea(one.name, one.cities, one.countries, one.continents) for one in section.locations
    )


def sites(config: Config, section: Destinations) -> tuple[SiteSettings, ...]:
    """Every site with service routers, by name."""
    told = {one.name: one for one in section.sites}
    routers: dict[str, list[str]] = {}
    for name, site in router_sites(config).items():
        routers.setdefault(site, []).append(name)
    found = []
    for name, own in sorted(routers.items()):
        one = told.get(name) or SiteSection(name=name)
        found.append(
            SiteSettings(
                name, tuple(own), one.spare_cps, one.room, one.copy_cost, one.traffic_cost_ms
            )
        )
    return tuple(found)


def destinations(config: Config, section: Destinations) -> tuple[Destination, ...]:
    """Services that can have copies: with one primary site, and a backend where other routers are."""
    own = {one.service: one for one in section.services}
    found = []
    for service in config.services:
        told = own.get(service.name, ServiceSection(service=service.name))
        homes = primary_sites(config, service)
        primary = told.primary_site or (min(homes) if len(homes) == 1 else None)
        if primary is None or not told.standby:
            continue
        able = backend_sites(config, service) & set(router_sites(config).values())
        if told.copies is not None:
            able &= {copy.site for copy in told.copies}
        able -= homes
        if able:
            found.append(Destination(service.id, service.name, primary, tuple(sorted(able))))
    return tuple(found)


def copy_routers(config: Config, section: Destinations) -> dict[tuple[int, str], tuple[str, ...]]:
    """(service, site) → the routers that serve a copy there, where not all of the site's do."""
    ids = {service.name: service.id for service in config.services}
    return {
        (ids[one.service], copy.site): copy.routers
        for one in section.services
        for copy in one.copies or ()
        if copy.routers is not None
    }


def similar(config: Config, section: Destinations) -> Mapping[int, tuple[int, ...]]:
    """Service → services whose demand it is expected to have while it is new."""
    ids = {service.name: service.id for service in config.services}
    return {ids[one.service]: tuple(ids[name] for name in one.similar) for one in section.services}


def access_settings(config: Config, section: Destinations) -> AccessSettings:
    """Of the history."""
    own = section.access
    return AccessSettings(
        step_s=own.step_s,
        keep=max(2, round(own.keep_s / own.step_s)),
        cells=own.cells,
        counters=own.counters,
        sample_every=config.digests.sample_one_in,
    )


def forecast_settings(config: Config, section: Destinations) -> DemandForecastSettings:
    """Of what is foreseen."""
    own = section.forecast
    return DemandForecastSettings(
        step_s=section.access.step_s,
        horizons_s=own.horizons_s,
        ahead_s=own.ahead_s,
        min_history_s=own.min_history_s,
        warm_samples=own.warm_samples,
        seed=config.forecast.seed,
    )


def placement_settings(section: Destinations) -> PlacementSettings:
    """Of the placement."""
    own = section.placement
    return PlacementSettings(
        copies=own.copies,
        budget=math.inf if own.budget is None else own.budget,
        open_cost=own.open_cost,
        withdraw_cost=own.withdraw_cost,
        move_ms=own.move_ms,
        keep_s=own.keep_s,
        margin=own.margin,
        least_cps=own.least_cps,
    )


def redirect_settings(section: Destinations) -> RedirectSettings:
    """Of the redirects."""
    return RedirectSettings(**section.redirects.model_dump())
