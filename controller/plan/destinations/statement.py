"""From what is seen, in names, to the placement problem in arrays."""

from __future__ import annotations

import numpy as np

from controller.plan.destinations.problem import NOWHERE, PRIMARY, Ints, Problem, among, integers
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.state import PlacementView


def problem_of(view: PlacementView, now_s: float, settings: PlacementSettings) -> Problem:
    """The problem. Raises ValueError for names that the view does not explain, and for shapes that do not fit."""
    sites = {one.site: place for place, one in enumerate(view.sites)}
    services = {one.service: place for place, one in enumerate(view.destinations)}
    names = {one.name: place for place, one in enumerate(view.locations)}
    for kind, known, given in (
        ("site", sites, view.sites),
        ("destination", services, view.destinations),
        ("location", names, view.locations),
    ):
        if len(known) != len(given):
            raise ValueError(f"a {kind} is named twice: name each once")
    if view.latency_ms.shape != (len(names), len(sites)):
        raise ValueError(
            f"latency_ms is {view.latency_ms.shape}, it must be one row per location and one column per site"
        )
    unknown = {one.primary_site for one in view.destinations} - sites.keys()
    if unknown:
        raise ValueError(f"primary site {min(unknown)}: tell its resources")
    cells = view.demand
    keys = cells.destination * len(names) + cells.location
    order: Ints | slice = slice(None)  # spares large arrays a copy
    if (keys[1:] < keys[:-1]).any():
        order = np.argsort(keys, kind="stable")
    destination, location, keys = cells.destination[order], cells.location[order], keys[order]
    seen = cells.expected > settings.least_cps
    if (keys[1:] == keys[:-1]).any():
        raise ValueError("a destination's demand from a location is told twice: tell it once")
    up = np.array([one.up for one in view.sites], np.bool_)
    held = {
        services[one.service] * len(sites) + sites[one.site]: _keep_value(
            one.since_s, now_s, settings
        )
        for one in view.standbys
        if one.service in services and one.site in sites and up[sites[one.site]]
    }
    pairs = integers(sorted(held))
    return Problem(
        destination=destination,
        location=location,
        expected=(cells.expected * seen)[order],
        reserve=np.maximum(cells.reserve, cells.expected)[order],
        current=_current(view, keys, services, names, sites, pairs),
        primary=integers(sites[one.primary_site] for one in view.destinations),
        latency_ms=view.latency_ms,
        spare_cps=np.array([one.spare_cps for one in view.sites], np.float64) * up,
        room=integers(one.room for one in view.sites) * up,
        copy_cost=np.array([one.copy_cost for one in view.sites], np.float64),
        traffic_ms=np.array([one.traffic_cost_ms for one in view.sites], np.float64),
        held=pairs,
        keep_value=np.array([held[int(pair)] for pair in pairs], np.float64),
        barred=_barred(view, sites),
        copies=settings.copies,
        budget=settings.budget,
        open_cost=settings.open_cost,
        move_ms=settings.move_ms,
    )


def _keep_value(since_s: float, now_s: float, settings: PlacementSettings) -> float:
    """What giving a copy up costs: the younger it is, the more of its preparation would be lost."""
    if settings.keep_s <= 0:
        return settings.withdraw_cost
    young = min(1.0, max(0.0, 1.0 - (now_s - since_s) / settings.keep_s))
    return settings.withdraw_cost + settings.open_cost * young


def _current(
    view: PlacementView,
    keys: Ints,
    services: dict[int, int],
    names: dict[str, int],
    sites: dict[str, int],
    held: Ints,
) -> Ints:
    """The site that serves each cell now; NOWHERE if its copy is gone."""
    result = np.full(len(keys), PRIMARY, np.int64)
    known = [
        (services[service] * len(names) + names[location], services[service], sites.get(site, -1))
        for (service, location), site in view.served.items()
        if service in services and location in names
    ]
    if not known or not len(keys):
        return result
    table = np.array(known, np.int64)
    place, there = among(keys, table[:, 0])
    table, place = table[there], place[there]
    _, alive = among(held, table[:, 1] * len(sites) + table[:, 2])
    result[place] = np.where(alive & (table[:, 2] >= 0), table[:, 2], NOWHERE)
    return result


def _barred(view: PlacementView, sites: dict[str, int]) -> Ints:
    """The pairs that the destinations do not allow, and their primaries."""
    pairs = []
    for number, one in enumerate(view.destinations):
        if one.sites:
            allowed = {sites[name] for name in one.sites if name in sites}
            pairs += [
                number * len(sites) + site for site in range(len(sites)) if site not in allowed
            ]
        else:
            pairs.append(number * len(sites) + sites[one.primary_site])
    return integers(pairs)
