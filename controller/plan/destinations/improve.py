"""Improve a plan by large neighbourhood search: take part of it back, fill it again in another order, keep the better.

The parts in turn: two sites, a third of the destinations, one copy (which must stay away), everything. The order is
varied by a seeded generator, so that the same case always has the same plan.
"""

from __future__ import annotations

import numpy as np

from controller.plan.destinations.candidates import Candidates
from controller.plan.destinations.greedy import NOBODY, Favour, Plan, Prices, fill, worth
from controller.plan.destinations.problem import Bools, Problem

SEED = 9407539
SPREAD = 1.0  # standard deviation of the logarithm of the orders' factors


def improved(problem: Problem, choice: Candidates, plan: Plan, prices: Prices, steps: int) -> Plan:
    """The best plan found; `plan` itself if none is better."""
    pairs = len(choice.pair)
    if not pairs:
        return plan
    random = np.random.default_rng(SEED)
    best, most = plan, worth(choice, plan)
    sites = np.unique(choice.pair_site)
    destinations = np.unique(choice.pair_destination)
    for step in range(steps):
        favour = Favour(
            np.exp(SPREAD * random.standard_normal(pairs)),
            np.exp(SPREAD * random.standard_normal(len(choice.value))),
        )
        out: Bools | None = None
        if step % 4 == 0:
            taken = random.choice(sites, min(2, len(sites)), replace=False)
            back = np.isin(choice.pair_site, taken)
        elif step % 4 == 1:
            number = max(1, len(destinations) // 3)
            taken = random.choice(destinations, number, replace=False)
            back = np.isin(choice.pair_destination, taken)
        elif step % 4 == 2:
            back = np.zeros(pairs, np.bool_)
            present = np.flatnonzero(best.open)
            if len(present):
                back[random.choice(present)] = True
            out = back
        else:
            back = np.ones(pairs, np.bool_)
        tried = fill(problem, choice, without(best, back), prices, out, favour)
        gained = worth(choice, tried)
        if gained > most * (1.0 + 1e-9):
            best, most = tried, gained
    return best


def without(plan: Plan, back: Bools) -> Plan:
    """The plan without those pairs, [P]; their cells are nobody's."""
    left = plan.copy()
    left.open &= ~back
    left.served[(left.served >= 0) & back[np.maximum(left.served, 0)]] = NOBODY
    return left
