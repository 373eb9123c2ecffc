"""Prices of scarce sites: what one more connection per second at a full site would be worth.

Without them a full site is used by whoever came first, also by cells that have a good alternative. After each run of
the greedy algorithm the price of a full site rises towards what its least dense cells gain, and that of a site with
room falls (subgradient steps on the Lagrangian of the capacities, ever smaller).
"""

from __future__ import annotations

import numpy as np

from controller.plan.destinations.candidates import Candidates
from controller.plan.destinations.greedy import Plan, Prices
from controller.plan.destinations.problem import Problem, sums

STEP = 0.5
FULL = 0.95  # of its connections: the site counts as full
LEAST_DENSE = 0.3  # of the load: the price aims at what is denser than this share


def corrected(problem: Problem, choice: Candidates, plan: Plan, prices: Prices, run: int) -> Prices:
    """The prices for the next run, from the plan that was made with these. run: 0, 1, ..."""
    hit = np.flatnonzero(plan.served[choice.entry_cell] == choice.entry_pair)
    if not len(hit):
        return Prices(prices.per_cps * (1.0 - STEP), prices.per_copy)
    reserve = np.maximum(choice.reserve[choice.entry_cell[hit]], 1e-9)
    site = choice.pair_site[choice.entry_pair[hit]]
    density = choice.value[hit] / reserve
    load = sums(site, reserve, problem.sites)
    order = np.lexsort((density, site))
    so_far = np.cumsum(reserve[order])
    begin = np.searchsorted(site[order], np.arange(problem.sites))
    before = np.append(0.0, so_far)[begin]
    place = np.minimum(np.searchsorted(so_far, before + LEAST_DENSE * load), len(order) - 1)
    aim = density[order][place]
    used = load / np.maximum(problem.spare_cps, 1e-9)
    step = STEP / np.sqrt(run + 1.0)
    now = prices.per_cps
    dearer = now + step * np.maximum(aim - now, 0.1 * aim)
    cheaper = now * (1.0 - step * np.clip(1.0 - used, 0.0, 1.0))
    return Prices(np.where(used > FULL, dearer, cheaper), prices.per_copy)
