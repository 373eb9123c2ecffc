"""The placement problem solved: the plan of the last cycle, continued, against one made afresh.

The continued plan starts with the copies that exist and with who is served there. The fresh one knows them only by
the switching costs. It replaces the continued one only if it is better by `margin`: the best of many almost equal
plans changes with every forecast, and nobody gains by following it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.plan.destinations.candidates import Candidates, candidates
from controller.plan.destinations.greedy import (
    NOBODY,
    Plan,
    Prices,
    empty,
    fill,
    free,
    room_left,
    running,
    worth,
)
from controller.plan.destinations.improve import improved
from controller.plan.destinations.prices import corrected
from controller.plan.destinations.problem import Floats, Ints, Problem, among, sums
from controller.plan.destinations.settings import PlacementSettings


@dataclass(frozen=True, slots=True)
class Solution:
    """pairs: destination * S + site of every copy, sorted. cells, cell_pairs: which cells of the problem are served
    by which pair; all others by their primary. gains: [pairs] what each copy gains before its cost; loads: [pairs]
    connections per second reserved. worth: the objective. per_cps: [S] prices, for the next cycle. fresh: it is
    not the continued plan.
    """

    pairs: Ints
    cells: Ints
    cell_pairs: Ints
    gains: Floats
    loads: Floats
    worth: float
    per_cps: Floats
    fresh: bool


def solve(problem: Problem, settings: PlacementSettings, per_cps: Floats | None = None) -> Solution:
    """A feasible plan of high worth; per_cps: the prices that the last cycle ended with."""
    choice = candidates(problem, settings.near)
    if not len(choice.pair):
        nothing = np.zeros(0, np.int64)
        zeros = np.zeros(problem.sites)
        return Solution(nothing, nothing, nothing, zeros[:0], zeros[:0], 0.0, zeros, False)
    unpriced = free(problem)
    before = continued(problem, choice)
    if before.open.any():  # else the first fresh plan is the same
        before = fill(problem, choice, before, unpriced)
    share = settings.work // max(1, len(choice.value))
    prices = unpriced if per_cps is None else Prices(per_cps, unpriced.per_copy)
    best, most = before, worth(choice, before)
    for run in range(max(1, min(settings.passes, share))):
        plan = fill(problem, choice, empty(choice), prices)
        if prices.per_cps.any():
            following = corrected(problem, choice, plan, prices, run)
            plan = fill(problem, choice, plan, unpriced)
        else:
            following = corrected(problem, choice, plan, prices, run)
        prices = following
        gained = worth(choice, plan)
        if gained > most:
            best, most = plan, gained
    best = improved(problem, choice, best, unpriced, min(settings.repairs, share))
    settled = worth(choice, before)
    fresh = worth(choice, best) > settled + settings.margin * abs(settled)
    return _told(choice, best if fresh else before, prices, fresh)


def continued(problem: Problem, choice: Candidates) -> Plan:
    """The copies that exist, as far as the limits still allow, and the cells that they serve now."""
    plan = empty(choice)
    _, held = among(problem.held, choice.pair)
    current = problem.current[choice.cells[choice.entry_cell]]
    stays = held[choice.entry_pair] & (choice.pair_site[choice.entry_pair] == current)
    cell, pair = choice.entry_cell[stays], choice.entry_pair[stays]
    value = choice.value[stays]
    gained = sums(pair, value, len(choice.pair)) - choice.fixed
    order = np.flatnonzero(held)
    order = order[np.lexsort((order, -gained[order]))]
    for group, limit in (
        (choice.pair_site, problem.room),
        (choice.pair_destination, np.full(len(problem.primary), problem.copies)),
    ):
        by_group = np.argsort(group[order], kind="stable")
        ranked = order[by_group]
        allowed = running(np.ones(len(ranked)), group[ranked]) <= limit[group[ranked]]
        keep = np.zeros(len(choice.pair), np.bool_)
        keep[ranked[allowed]] = True
        order = order[keep[order]]
    order = order[np.cumsum(choice.copy_cost[order]) <= problem.budget]
    plan.open[order] = True
    stays = plan.open[pair]
    cell, pair, value = cell[stays], pair[stays], value[stays]
    reserve = choice.reserve[cell]
    site = choice.pair_site[pair]
    by_site = np.lexsort((cell, -value / (reserve + 1e-9), site))
    left = room_left(problem, choice, plan).cps
    fits = running(reserve[by_site], site[by_site]) <= left[site[by_site]]
    plan.served[cell[by_site[fits]]] = pair[by_site[fits]]
    return plan


def _told(choice: Candidates, plan: Plan, prices: Prices, fresh: bool) -> Solution:
    opened = np.flatnonzero(plan.open)
    served = np.flatnonzero(plan.served != NOBODY)
    pair = plan.served[served]
    hit = plan.served[choice.entry_cell] == choice.entry_pair
    gains = sums(choice.entry_pair[hit], choice.value[hit], len(choice.pair))
    loads = sums(pair, choice.reserve[served], len(choice.pair))
    return Solution(
        pairs=choice.pair[opened],
        cells=choice.cells[served],
        cell_pairs=choice.pair[pair],
        gains=gains[opened],
        loads=loads[opened],
        worth=worth(choice, plan),
        per_cps=prices.per_cps,
        fresh=fresh,
    )
