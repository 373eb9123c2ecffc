"""Placement and redirects, one after the other, from one position to the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from controller.destinations.copies import Copies, placed
from controller.destinations.position import Position
from controller.model import (
    DemandCell,
    Destination,
    Location,
    SiteResources,
    Standby,
    StandbyState,
)
from controller.plan.destinations.placement import plan_standbys
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.state import PlacementPlan, PlacementView, demand_of
from controller.plan.redirects.achieved import Achieved
from controller.plan.redirects.engine import plan_redirects
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.state import Cell, Copy, RedirectPlan, RedirectView

FAR_MS = 60_000.0  # of a site that nothing is known of: no copy there saves anything


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen in one turn. latency_ms: (location, site) → round trip. demand: corrected cells.

    failed: copies, existing or possible, that cannot serve now.
    """

    locations: Sequence[Location]
    sites: Sequence[SiteResources]
    latency_ms: Mapping[tuple[str, str], float]
    demand: Sequence[DemandCell]
    failed: frozenset[Copy] = frozenset()


@dataclass(frozen=True, slots=True)
class Closed:
    """A step of the history that has just ended: forecast for it, what came, and what redirects did in it."""

    forecast_cps: Mapping[Cell, float] = field(default_factory=dict)
    observed_cps: Mapping[Cell, float] = field(default_factory=dict)
    achieved: Sequence[Achieved] = ()


NOTHING = Closed()


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while the controller runs. routers: of copies that not all of a site's routers serve."""

    destinations: Sequence[Destination]
    routers: Mapping[Copy, tuple[str, ...]]
    placement: PlacementSettings
    redirects: RedirectSettings


def place(
    rules: Rules, position: Position, seen: Seen, now_s: float
) -> tuple[PlacementPlan, Position]:
    """The placement, and the position with its copies. `merged` brings it into a position that has moved on."""
    able = []
    for one in rules.destinations:
        sites = tuple(site for site in one.sites if (one.service, site) not in seen.failed)
        if sites:
            able.append(replace(one, sites=sites))
    primaries = {one.service: one.primary_site for one in able}
    names = {one.name for one in seen.locations}
    cells = [
        cell
        for cell in seen.demand
        if cell.service in primaries
        and cell.location in names
        and (cell.location, primaries[cell.service]) in seen.latency_ms
    ]
    latency_ms = np.array(
        [
            [seen.latency_ms.get((where.name, site.site), FAR_MS) for site in seen.sites]
            for where in seen.locations
        ],
        np.float64,
    ).reshape(len(seen.locations), len(seen.sites))
    view = PlacementView(
        able,
        seen.locations,
        seen.sites,
        latency_ms,
        demand_of(cells, able, seen.locations, rules.placement),
        alive(position.copies, seen.failed),
        position.redirects.sites,
    )
    plan, state = plan_standbys(view, position.placement, now_s, rules.placement)
    return plan, replace(position, placement=state)


def merged(
    rules: Rules, position: Position, plan: PlacementPlan, failed: frozenset[Copy]
) -> Position:
    """The position with the copies of a placement; a copy that failed meanwhile is left to the next one."""
    before = {copy: one for copy, one in position.copies.items() if copy not in failed}
    wanted = [one for one in plan.standbys if (one.service, one.site) not in failed]
    return replace(position, copies=placed(before, wanted, rules.routers), served=plan.served)


def alive(copies: Copies, failed: frozenset[Copy]) -> tuple[Standby, ...]:
    """The copies that exist and have not failed, as placement continues them."""
    return tuple(
        one
        for copy, one in sorted(copies.items())
        if copy not in failed and one.state in (StandbyState.PREPARING, StandbyState.READY)
    )


def redirect(
    rules: Rules,
    position: Position,
    seen: Seen,
    now_s: float,
    closed: Closed = NOTHING,
    *,
    frozen: bool = False,
) -> tuple[RedirectPlan, Position]:
    """The redirects. frozen: everybody stays where they are, but for copies that fail."""
    known = {one.service for one in rules.destinations}
    names = {one.name for one in seen.locations}
    wanted = position.redirects.sites if frozen else position.served
    served = {cell: site for cell, site in wanted.items() if cell[0] in known and cell[1] in names}
    cells: dict[Cell, float] = {
        (one.service, one.location): one.at(rules.placement.reserve_level) for one in seen.demand
    }
    view = RedirectView(
        rules.destinations,
        seen.locations,
        [one for one in position.copies.values() if one.service in known],
        served,
        seen.latency_ms,
        # One that was given up because it failed is not well because nobody has it any more.
        seen.failed & (position.copies.keys() | position.redirects.health.keys()),
        cells,
        closed.forecast_cps,
        closed.observed_cps,
        () if frozen else closed.achieved,
    )
    plan, state = plan_redirects(view, position.redirects, now_s, rules.redirects)
    return plan, replace(position, redirects=state, plan=plan)
