"""What must hold within the section `destinations`, and between it and the fabric."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from controller.config.destinations import Destinations, ServiceSection
from controller.config.destinations_sites import backend_sites, primary_sites, router_sites
from controller.config.errors import Path, Problem

if TYPE_CHECKING:
    from controller.config.sections import Config, Service

ROOT: Path = ("destinations",)
LOOKBACK_STEPS = 120  # that a forecast is made from
SAMPLE_BYTES = 16  # of the access history, per cell and step
MOST_HISTORY_MIB = 1024


def check(config: Config) -> Iterator[Problem]:
    """Everything that contradicts itself; nothing when there is no such section."""
    section = config.destinations
    if section is None:
        return
    yield from _numbers(section)
    if section.access.step_s < 2 * config.cycle.period_s:
        yield Problem(
            (*ROOT, "access", "step_s"),
            f"{section.access.step_s:g} s is shorter than two cycles ({config.cycle.period_s:g} s each)",
            "make it longer, or cycle.period_s shorter: digests come once in a cycle",
        )
    yield from _sites(config, section)
    yield from _locations(config, section)
    yield from _services(config, section)


def missing_files(config: Config) -> Iterator[Problem]:
    """Files that are to be read and do not exist."""
    file = config.destinations.geo_database if config.destinations is not None else None
    if file is not None and not FilePath(file).is_file():
        yield Problem(
            (*ROOT, "geo_database"),
            f"there is no file {file}",
            "fetch the database (.mmdb, unpacked) or correct the name",
        )


def _numbers(section: Destinations) -> Iterator[Problem]:
    access, forecast, redirects = section.access, section.forecast, section.redirects
    if access.counters < access.cells:
        yield Problem(
            (*ROOT, "access", "counters"),
            f"{access.counters} is less than cells ({access.cells})",
            "make it as many at least; eight times as many are usual",
        )
    if access.keep_s < LOOKBACK_STEPS * access.step_s:
        yield Problem(
            (*ROOT, "access", "keep_s"),
            f"{access.keep_s:g} s are fewer than {LOOKBACK_STEPS} steps of {access.step_s:g} s",
            "keep more, or make step_s shorter",
        )
    history_mib = access.cells * access.keep_s / access.step_s * SAMPLE_BYTES / 2**20
    if history_mib > MOST_HISTORY_MIB:
        yield Problem(
            (*ROOT, "access"),
            f"{access.cells} cells, each with keep_s / step_s = {access.keep_s / access.step_s:.0f} samples, take "
            f"{math.ceil(history_mib)} MiB of memory, and {MOST_HISTORY_MIB} are allowed",
            "keep fewer cells or a shorter time (keep_s), or make step_s longer",
        )
    if access.step_s < section.period_s:
        yield Problem(
            (*ROOT, "access", "step_s"),
            f"{access.step_s:g} s is shorter than period_s ({section.period_s:g} s)",
            "make it period_s or longer: edges are read once in a period",
        )
    if forecast.horizons_s[0] < access.step_s:
        yield Problem(
            (*ROOT, "forecast", "horizons_s"),
            f"{forecast.horizons_s[0]:g} s is shorter than access.step_s ({access.step_s:g} s)",
            "name no horizon shorter than a step",
        )
    if forecast.ahead_s > forecast.horizons_s[-1]:
        yield Problem(
            (*ROOT, "forecast", "ahead_s"),
            f"{forecast.ahead_s:g} s is beyond the last of horizons_s ({forecast.horizons_s[-1]:g} s)",
            "name a longer horizon, or look less far ahead",
        )
    for low, high in (("retry_s", "retry_max_s"), ("hold_s", "hold_max_s")):
        least, most = getattr(redirects, low), getattr(redirects, high)
        if least > most:
            yield Problem(
                (*ROOT, "redirects", high),
                f"{most:g} s is shorter than {low} ({least:g} s)",
                f"make it {low} or longer",
            )


def _sites(config: Config, section: Destinations) -> Iterator[Problem]:
    known = {switch.site for switch in config.switches}
    seen: set[object] = set()
    named: list[tuple[str, Path, object]] = [
        (one.name, (*ROOT, "sites", index, "name"), one.name)
        for index, one in enumerate(section.sites)
    ]
    for index, latency in enumerate(section.latencies):
        pair = frozenset((latency.a, latency.b))
        named += [
            (latency.a, (*ROOT, "latencies", index, "a"), pair),
            (latency.b, (*ROOT, "latencies", index, "b"), (pair,)),
        ]
    for name, path, key in named:
        if name not in known:
            yield Problem(path, f"no switch is of site {name}", f"name one of {_listed(known)}")
        if key in seen:
            yield Problem(path, f"{name} is told twice", "keep one of them")
        seen.add(key)


def _locations(config: Config, section: Destinations) -> Iterator[Problem]:
    sites = {switch.site for switch in config.switches}
    edges = {switch.site for switch in config.switches if switch.stage == "edge"}
    names: set[str] = set()
    owner: dict[str, str] = {}
    for index, one in enumerate(section.locations):
        place: Path = (*ROOT, "locations", index)
        if one.name in names or one.name == "elsewhere":
            yield Problem(
                (*place, "name"), f"{one.name} is the name of another", "give it its own name"
            )
        names.add(one.name)
        if one.site is not None and one.site not in edges:
            yield Problem(
                (*place, "site"), f"no edge is of site {one.site}", f"name one of {_listed(edges)}"
            )
        areas = [
            f"{kind} {area.casefold()}"
            for kind in ("cities", "countries", "continents")
            for area in getattr(one, kind)
        ]
        if areas and section.geo_database is None:
            yield Problem(
                place, f"{one.name} names areas, and there is no database", "add geo_database"
            )
        if not areas and not one.prefixes:
            yield Problem(place, f"{one.name} is nowhere", "give it prefixes")
        for city in one.cities:
            if not all(city.partition("/")):
                yield Problem(
                    (*place, "cities"), f"{city} is no city", "write it as COUNTRY/City: IT/Rome"
                )
        for prefix in (str(ipaddress.ip_network(text)) for text in one.prefixes):
            areas.append(prefix)
        for area in areas:
            if owner.setdefault(area, one.name) != one.name:
                yield Problem(
                    place, f"{area} is of {owner[area]} already", "name it in one of them"
                )
        for site in one.latency_ms:
            if site not in sites:
                yield Problem(
                    (*place, "latency_ms", site),
                    f"no switch is of site {site}",
                    f"name one of {_listed(sites)}",
                )
        if one.site is None and not one.latency_ms:
            yield Problem(
                place,
                f"nothing says how far {one.name} is from any site",
                "name its site, or latency_ms to the sites",
            )


def _services(config: Config, section: Destinations) -> Iterator[Problem]:
    services = {one.name: one for one in config.services}
    seen: set[str] = set()
    for index, one in enumerate(section.services):
        place: Path = (*ROOT, "services", index)
        if one.service in seen:
            yield Problem((*place, "service"), f"{one.service} is told twice", "keep one of them")
        seen.add(one.service)
        if one.service not in services:
            yield Problem(
                (*place, "service"),
                f"there is no service {one.service}",
                f"name one of {_listed(services)}",
            )
            continue
        for similar in one.similar:
            if similar not in services or similar == one.service:
                yield Problem(
                    (*place, "similar"), f"{similar} is no other service", "name other services"
                )
        yield from _primary(config, one, services[one.service], place)
        yield from _copies(config, one, services[one.service], place)


def _primary(
    config: Config, one: ServiceSection, service: Service, place: Path
) -> Iterator[Problem]:
    homes = primary_sites(config, service)
    if one.primary_site is not None and one.primary_site not in homes:
        yield Problem(
            (*place, "primary_site"),
            f"{service.name} has no router at {one.primary_site}",
            f"name one of {_listed(homes)}",
        )
    if one.primary_site is None and one.standby and len(homes) > 1:
        yield Problem(
            place,
            f"the routers of {service.name} are of several sites: {_listed(homes)}",
            "name primary_site, or set standby to false",
        )


def _copies(
    config: Config, one: ServiceSection, service: Service, place: Path
) -> Iterator[Problem]:
    routers = router_sites(config)
    served = backend_sites(config, service)
    sites: set[str] = set()
    for number, copy in enumerate(one.copies or ()):
        at: Path = (*place, "copies", number)
        own = {name for name, site in routers.items() if site == copy.site}
        if copy.site in sites:
            yield Problem((*at, "site"), f"{copy.site} is told twice", "keep one of them")
        sites.add(copy.site)
        if copy.site in (one.primary_site, *(primary_sites(config, service))):
            yield Problem(
                (*at, "site"), f"{service.name} is at home at {copy.site}", "name another site"
            )
        elif not own:
            yield Problem(
                (*at, "site"),
                f"no service router is of site {copy.site}",
                f"name one of {_listed(set(routers.values()))}",
            )
        elif copy.site not in served:
            yield Problem(
                (*at, "site"),
                f"{service.name} has no backend at {copy.site}",
                "add one to the service's backends: a copy answers from its own site",
            )
        for name in copy.routers or ():
            if name not in own:
                yield Problem(
                    (*at, "routers"),
                    f"{name} is no service router of {copy.site}",
                    f"name some of {_listed(own)}",
                )
        if copy.routers == ():
            yield Problem((*at, "routers"), "nobody would serve", "name routers, or leave it out")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
