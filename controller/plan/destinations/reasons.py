"""Why a standby copy is opened or given up: one sentence for a person, and the numbers that it was made from."""

from __future__ import annotations

import numpy as np

from controller.plan.destinations.problem import Ints, Problem
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.solve import Solution
from controller.plan.destinations.state import PlacementAct, PlacementStep, PlacementView

NAMED = 3  # locations told by name


def opened(
    view: PlacementView,
    problem: Problem,
    pair: int,
    cells: Ints,
    now_s: float,
    settings: PlacementSettings,
) -> PlacementStep:
    """A copy that is not there yet, for those cells."""
    destination = view.destinations[pair // problem.sites]
    number = pair % problem.sites
    site = view.sites[number]
    location = problem.location[cells]
    expected = problem.expected[cells]
    home = problem.latency_ms[location, problem.primary[problem.destination[cells]]]
    there = problem.latency_ms[location, number]
    total = float(expected.sum())
    share = expected / max(total, 1e-12)
    saved_ms = float(((home - there) * share).sum())
    biggest = np.argsort(-expected, kind="stable")[:NAMED]
    names = ", ".join(view.locations[int(location[one])].name for one in biggest)
    more = f" and {len(cells) - NAMED} more" if len(cells) > NAMED else ""
    gained = total * saved_ms
    cost = site.copy_cost + settings.open_cost
    reason = (
        f"{destination.name} gets a standby copy at {site.site}: {total:.1f} connections/s are expected from "
        f"{names}{more}, {saved_ms:.1f} ms nearer than at {destination.primary_site}; "
        f"it gains {gained:.0f} ms/s and costs {cost:.0f}"
    )
    inputs: dict[str, float | str | None] = {
        "expected_cps": round(total, 6),
        "reserved_cps": round(float(problem.reserve[cells].sum()), 6),
        "saved_ms": round(saved_ms, 6),
        "gained": round(gained, 6),
        "copy_cost": site.copy_cost,
        "open_cost": settings.open_cost,
        "locations": float(len(cells)),
        "spare_cps": site.spare_cps,
    }
    return PlacementStep(now_s, PlacementAct.OPEN, destination.service, site.site, reason, inputs)


def withdrawn(
    view: PlacementView,
    problem: Problem,
    solution: Solution,
    service: int,
    site_name: str,
    number: int | None,
    place: int | None,
    now_s: float,
) -> PlacementStep:
    """A copy that shall not be there any more. number, place: of its destination and site in the view."""
    if number is None or place is None:
        reason = (
            f"the copy of {service} at {site_name} is given up: one of them is no longer configured"
        )
        return PlacementStep(now_s, PlacementAct.WITHDRAW, service, site_name, reason, {})
    destination, site = view.destinations[number], view.sites[place]
    pair = np.array([number * problem.sites + place], np.int64)
    first, last = np.searchsorted(problem.destination, (number, number + 1))
    cells = np.arange(first, last)
    saved = problem.saved_ms(cells, np.full(len(cells), place, np.int64))
    possible = float((np.maximum(saved, 0.0) * problem.expected[cells]).sum())
    cost = float(problem.fixed_cost(pair)[0])
    others = solution.pairs[solution.pairs // problem.sites == number] % problem.sites
    copies_there = int((solution.pairs % problem.sites == place).sum())
    if not site.up:
        why = f"{site_name} is down"
    elif site.room == 0 or site.spare_cps <= 0:
        why = f"{site_name} has nothing left for copies"
    elif destination.sites and site_name not in destination.sites:
        why = f"it must not be at {site_name}"
    elif possible <= cost:
        why = f"it could gain {possible:.0f} ms/s at most, and keeping it costs {cost:.0f}"
    elif len(others):
        names = ", ".join(view.sites[int(one)].site for one in others)
        why = f"its locations are served better from {names}"
    elif copies_there >= site.room:
        why = f"the room at {site_name} gains more with {copies_there} other copies"
    else:
        why = "what it would use gains more elsewhere"
    inputs: dict[str, float | str | None] = {
        "possible": round(possible, 6),
        "keeping_costs": round(cost, 6),
        "room": float(site.room),
        "spare_cps": site.spare_cps,
    }
    return PlacementStep(
        now_s,
        PlacementAct.WITHDRAW,
        service,
        site_name,
        f"{destination.name}'s copy at {site_name} is given up: {why}",
        inputs,
    )
