"""The Shadow DI Allocator: where each destination's standby copies shall be, and whom they serve (seed 9407539)."""

from __future__ import annotations

import numpy as np

from controller.model.destinations import Standby, StandbyState
from controller.plan.destinations.problem import Problem
from controller.plan.destinations.reasons import opened, withdrawn
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.solve import Solution, solve
from controller.plan.destinations.state import (
    PlacementPlan,
    PlacementState,
    PlacementStep,
    PlacementView,
)
from controller.plan.destinations.statement import problem_of


def plan_standbys(
    view: PlacementView, state: PlacementState, now_s: float, settings: PlacementSettings
) -> tuple[PlacementPlan, PlacementState]:
    """The plan, and what to remember for the next one. Capacities, room, copies and budget are never exceeded.

    Raises ValueError for a view that contradicts itself.
    """
    problem = problem_of(view, now_s, settings)
    names = [one.site for one in view.sites]
    prices = np.array([state.per_cps.get(name, 0.0) for name in names])
    solution = solve(problem, settings, prices)
    plan = PlacementPlan(
        standbys=_standbys(view, problem, solution, now_s),
        served=_served(view, problem, solution),
        steps=_steps(view, problem, solution, now_s, settings),
        worth=solution.worth,
        fresh=solution.fresh,
    )
    after = {name: float(price) for name, price in zip(names, solution.per_cps, strict=True)}
    return plan, PlacementState(after)


def _standbys(
    view: PlacementView, problem: Problem, solution: Solution, now_s: float
) -> tuple[Standby, ...]:
    before = {(one.service, one.site): one for one in view.standbys}
    found = []
    for pair, load in zip(solution.pairs.tolist(), solution.loads.tolist(), strict=True):
        site = view.sites[pair % problem.sites]
        service = view.destinations[pair // problem.sites].service
        old = before.get((service, site.site))
        found.append(
            Standby(
                service,
                site.site,
                old.routers if old else site.routers,
                load,
                old.since_s if old else now_s,
                old.state if old else StandbyState.PREPARING,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.service, one.site)))


def _served(
    view: PlacementView, problem: Problem, solution: Solution
) -> dict[tuple[int, str], str]:
    destinations = problem.destination[solution.cells].tolist()
    locations = problem.location[solution.cells].tolist()
    sites = (solution.cell_pairs % problem.sites).tolist()
    return {
        (view.destinations[one].service, view.locations[place].name): view.sites[site].site
        for one, place, site in zip(destinations, locations, sites, strict=True)
    }


def _steps(
    view: PlacementView,
    problem: Problem,
    solution: Solution,
    now_s: float,
    settings: PlacementSettings,
) -> tuple[PlacementStep, ...]:
    """Copies to open, then copies to give up: make before break."""
    before = {(one.service, one.site) for one in view.standbys}
    order = np.argsort(solution.cell_pairs, kind="stable")
    sorted_pairs = solution.cell_pairs[order]
    begins = np.searchsorted(sorted_pairs, solution.pairs)
    ends = np.searchsorted(sorted_pairs, solution.pairs, side="right")
    steps = []
    after = set()
    for place, pair in enumerate(solution.pairs.tolist()):
        key = (
            view.destinations[pair // problem.sites].service,
            view.sites[pair % problem.sites].site,
        )
        after.add(key)
        if key not in before:
            cells = solution.cells[order[begins[place] : ends[place]]]
            steps.append(opened(view, problem, pair, cells, now_s, settings))
    numbers = {one.service: place for place, one in enumerate(view.destinations)}
    places = {one.site: place for place, one in enumerate(view.sites)}
    steps += [
        withdrawn(
            view, problem, solution, service, site, numbers.get(service), places.get(site), now_s
        )
        for service, site in sorted(before - after)
    ]
    return tuple(steps)
