"""A greedy algorithm for the placement problem, a round of all destinations at a time.

In each round every destination names the copy that gains most for what it uses up; the sites take the densest ones
until they are full, and of the last one the cells that still fit. What a copy gains is what its cells gain over where
they are served by now (so gains only fall, and a pair that cannot pay any more is out). Known as the greedy algorithm
for facility location and, with prices, as the primal half of a Lagrangian heuristic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.plan.destinations.candidates import Candidates
from controller.plan.destinations.problem import Bools, Floats, Ints, Problem, sums

ROUNDS = 200  # a bound; some ten are enough
LEAST = 1e-9  # gains and room below this are rounding
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Prices:
    """What the use of each site's connections and of its room is charged beyond its cost, [S] each."""

    per_cps: Floats
    per_copy: Floats


@dataclass(frozen=True, slots=True)
class Favour:
    """Factors of the order in which pairs, [P], and entries, [E], are looked at."""

    pairs: Floats
    entries: Floats


@dataclass(slots=True)
class Plan:
    """served: [C] the pair that serves the cell, or NOBODY. open: [P] whether the copy is there."""

    served: Ints
    open: Bools

    def copy(self) -> Plan:
        """One that can be changed without changing this."""
        return Plan(self.served.copy(), self.open.copy())


def empty(choice: Candidates) -> Plan:
    """No copy anywhere."""
    return Plan(np.full(len(choice.cells), NOBODY, np.int64), np.zeros(len(choice.pair), np.bool_))


def free(problem: Problem) -> Prices:
    """No prices."""
    return Prices(np.zeros(problem.sites), np.zeros(problem.sites))


def values_of(choice: Candidates, plan: Plan) -> Floats:
    """[C] what each cell gains where it is served."""
    result = np.zeros(len(choice.cells))
    hit = plan.served[choice.entry_cell] == choice.entry_pair
    result[choice.entry_cell[hit]] = choice.value[hit]
    return result


def worth(choice: Candidates, plan: Plan) -> float:
    """The objective."""
    return float(values_of(choice, plan).sum() - choice.fixed[plan.open].sum())


@dataclass(slots=True)
class Room:
    """What is left: connections per second and copies per site, copies per destination, the budget."""

    cps: Floats
    copies: Ints
    per_destination: Ints
    budget: float


def room_left(problem: Problem, choice: Candidates, plan: Plan) -> Room:
    """What a plan leaves."""
    served = plan.served >= 0
    site = choice.pair_site[plan.served[served]]
    opened = choice.pair_site[plan.open]
    # Less a rounding, so that sums in another order cannot exceed the capacity.
    cps = problem.spare_cps * (1.0 - 1e-12) - sums(site, choice.reserve[served], problem.sites)
    return Room(
        cps,
        problem.room - np.bincount(opened, minlength=problem.sites),
        problem.copies
        - np.bincount(choice.pair_destination[plan.open], minlength=len(problem.primary)),
        problem.budget - float(choice.copy_cost[plan.open].sum()),
    )


def fill(
    problem: Problem,
    choice: Candidates,
    plan: Plan,
    prices: Prices,
    out: Bools | None = None,
    favour: Favour | None = None,
) -> Plan:
    """Add copies to the plan, and cells to its copies, until nothing gains any more; give up what does not pay.

    out: [P] pairs that must not be opened. favour: [P] and [E] factors of the order in which pairs
    and their entries are looked at; they change nothing of what these are worth.
    """
    plan = plan.copy()
    _rounds(problem, choice, plan, prices, out, favour)
    if _give_up(choice, plan):
        _rounds(problem, choice, plan, prices, out, favour)
        _give_up(choice, plan)
    return plan


def _rounds(
    problem: Problem,
    choice: Candidates,
    plan: Plan,
    prices: Prices,
    out: Bools | None,
    favour: Favour | None,
) -> None:
    room = room_left(problem, choice, plan)
    pair_count = len(choice.pair)
    fixed = choice.fixed + prices.per_copy[choice.pair_site]
    alive = np.ones(pair_count, np.bool_) if out is None else ~out | plan.open
    base = _priced(choice, plan, prices)
    kept = alive[choice.entry_pair]
    cell, pair = choice.entry_cell[kept], choice.entry_pair[kept]
    charged = prices.per_cps[choice.pair_site[pair]] * choice.reserve[cell]
    value = choice.value[kept] - charged
    liking = np.ones(len(cell)) if favour is None else favour.entries[kept]
    scarce = np.maximum(problem.spare_cps, LEAST)
    live = np.flatnonzero(alive)  # pairs that may still gain; gains only fall, so it only shrinks
    for _ in range(ROUNDS):
        site, destination = choice.pair_site[live], choice.pair_destination[live]
        closed = ~plan.open[live]
        barred = closed & (
            (room.copies[site] <= 0)
            | (room.per_destination[destination] <= 0)
            | (choice.copy_cost[live] > room.budget)
        )
        alive[live[barred]] = False
        margin = value - base[cell]
        kept = (margin > LEAST) & alive[pair]
        kept &= choice.reserve[cell] <= np.maximum(room.cps, 0.0)[choice.pair_site[pair]]
        cell, pair, value, margin = cell[kept], pair[kept], value[kept], margin[kept]
        liking = liking[kept]
        gain = sums(pair, margin, pair_count)[live] - np.where(closed, fixed[live], 0.0)
        able = alive[live] & (gain > LEAST)
        if not able.any():
            return
        live, gain, closed, site = live[able], gain[able], closed[able], site[able]
        load = sums(pair, choice.reserve[cell], pair_count)[live]
        used = np.minimum(load, room.cps[site]) / scarce[site]
        used += closed / np.maximum(problem.room[site], 1)
        if np.isfinite(problem.budget):
            used += closed * choice.copy_cost[live] / max(problem.budget, LEAST)
        trimmed = np.clip(room.cps[site] / np.maximum(load, LEAST), 0.0, 1.0)
        order = np.ones(len(live)) if favour is None else favour.pairs[live]
        best = _first_best(order * gain * trimmed, destination[able])
        density = (order * gain / (used + LEAST))[best]
        named = live[best][np.lexsort((best, -density))]
        named = _within_limits(choice, named, ~plan.open, room)
        _take(choice, plan, room, named, cell, pair, value, margin, liking, base, fixed, alive)


def _priced(choice: Candidates, plan: Plan, prices: Prices) -> Floats:
    """[C] what each cell gains where it is served, less the price of it."""
    base = values_of(choice, plan)
    served = plan.served >= 0
    site = choice.pair_site[plan.served[served]]
    base[served] -= prices.per_cps[site] * choice.reserve[served]
    return base


def _first_best(score: Floats, group: Ints) -> Ints:
    """The place of the highest score of each group of equal neighbours, the first of equals."""
    begins = np.diff(group, prepend=-1) != 0
    best = np.maximum.reduceat(score, np.flatnonzero(begins))
    hits = np.flatnonzero(score == best[np.cumsum(begins) - 1])
    first = np.diff(group[hits], prepend=-1) != 0
    result: Ints = hits[first]
    return result


def _within_limits(choice: Candidates, named: Ints, closed: Bools, room: Room) -> Ints:
    """Those that the budget and the sites' room allow, in the given order."""
    new = closed[named]
    cost = np.cumsum(np.where(new, choice.copy_cost[named], 0.0))
    named = named[cost <= room.budget] if np.isfinite(room.budget) else named
    site = choice.pair_site[named]
    order = np.argsort(site, kind="stable")
    count = running(closed[named][order].astype(np.float64), site[order])
    allowed = np.empty(len(named), np.bool_)
    allowed[order] = count <= room.copies[site[order]]
    result: Ints = named[allowed]
    return result


def running(amounts: Floats, group: Ints) -> Floats:
    """Running sums within groups of equal neighbours."""
    if not len(amounts):
        return amounts
    running_sum = np.cumsum(amounts)
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    before = running_sum[begins] - amounts[begins]
    result: Floats = running_sum - np.repeat(before, np.diff(np.append(begins, len(group))))
    return result


def _take(
    choice: Candidates,
    plan: Plan,
    room: Room,
    named: Ints,
    cell: Ints,
    pair: Ints,
    value: Floats,
    margin: Floats,
    liking: Floats,
    base: Floats,
    fixed: Floats,
    alive: Bools,
) -> None:
    """Open what was named, densest first, as far as the sites have connections left; change everything given."""
    rank = np.full(len(choice.pair), -1, np.int64)
    rank[named] = np.arange(len(named))
    mine = np.flatnonzero(rank[pair] >= 0)
    reserve = choice.reserve[cell[mine]]
    density = liking[mine] * margin[mine] / (reserve + LEAST)
    site = choice.pair_site[pair[mine]]
    order = np.lexsort((cell[mine], -density, rank[pair[mine]], site))
    mine, reserve, site = mine[order], reserve[order], site[order]
    fits = running(reserve, site) <= room.cps[site]
    own = pair[mine]
    gained = sums(own[fits], margin[mine[fits]], len(choice.pair))
    gained[named] -= np.where(plan.open[named], 0.0, fixed[named])
    # What was held against all that is left of its site, and does not pay, is out; what stood behind waits.
    tried = np.zeros(len(choice.pair), np.bool_)
    tried[named] = True
    over = np.flatnonzero(~fits)
    if len(over):
        first_over = over[np.diff(site[over], prepend=-1) != 0]
        behind = np.full(len(room.cps), len(named), np.int64)
        behind[site[first_over]] = rank[own[first_over]]
        tried[named] = np.arange(len(named)) <= behind[choice.pair_site[named]]
    poor = tried & (gained <= LEAST)
    alive[poor] = False
    taken = fits & (gained[own] > LEAST)
    chosen = mine[taken]
    cells, pairs = cell[chosen], pair[chosen]
    left = plan.served[cells]
    moved = left >= 0
    room.cps += sums(choice.pair_site[left[moved]], choice.reserve[cells[moved]], len(room.cps))
    room.cps -= sums(choice.pair_site[pairs], choice.reserve[cells], len(room.cps))
    plan.served[cells] = pairs
    base[cells] = value[chosen]
    opened = np.unique(np.concatenate((pairs, named[gained[named] > LEAST])))
    opened = opened[~plan.open[opened]]
    plan.open[opened] = True
    room.copies -= np.bincount(choice.pair_site[opened], minlength=len(room.copies))
    np.subtract.at(room.per_destination, choice.pair_destination[opened], 1)
    room.budget -= float(choice.copy_cost[opened].sum())


def _give_up(choice: Candidates, plan: Plan) -> bool:
    """Close copies whose cells, left to other copies and the primary, gain less than the copy costs."""
    gained = (
        sums(np.maximum(plan.served, 0), values_of(choice, plan), len(choice.pair))
        if len(choice.pair)
        else np.zeros(0)
    )
    poor = plan.open & (gained <= choice.fixed)
    if not poor.any():
        return False
    plan.open &= ~poor
    lost = (plan.served >= 0) & poor[np.maximum(plan.served, 0)]
    plan.served[lost] = NOBODY
    return True
