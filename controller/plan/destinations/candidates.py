"""Which copies can pay at all, and what each would gain: all else of the problem is left out, losing nothing.

A copy whose cells together, with nothing scarce and no other copy, gain no more than it costs is in no best plan.
With few demanding destinations and a long tail, that leaves some percent of the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from controller.plan.destinations.problem import PRIMARY, Floats, Ints, Problem, among, sums

BLOCK = 1 << 21  # (destination, site) pairs looked at together: bounds the memory


@dataclass(frozen=True, slots=True)
class Candidates:
    """P pairs, sorted by (destination, site), and E entries (cell, pair).

    pair: [P] destination * S + site. pair_destination, pair_site, fixed, copy_cost: [P]. cells: [C] the problem's
    cells that have an entry; expected, reserve: [C]. entry_cell: [E] index into cells; entry_pair: [E] index into
    the pairs; value: [E] what the cell gains there, connections per second x ms, above 0.
    """

    pair: Ints
    pair_destination: Ints
    pair_site: Ints
    fixed: Floats
    copy_cost: Floats
    cells: Ints
    expected: Floats
    reserve: Floats
    entry_cell: Ints
    entry_pair: Ints
    value: Floats


def candidates(problem: Problem, near: int) -> Candidates:
    """The pairs that can pay, from each location's `near` nearest sites and from where its cells are served now."""
    nearest = _nearest(problem, near)
    usable = (problem.room > 0) & (problem.spare_cps > 0)
    pairs, cells, keys, values = [], [], [], []
    for begin, end, first, last in _blocks(problem):
        cell, site, value = _entries(problem, nearest, usable, begin, end)
        destination = problem.destination[cell]
        key = (destination - first) * problem.sites + site
        most = sums(key, value, (last - first) * problem.sites)
        possible = most > 0
        low, high = np.searchsorted(problem.held, (first * problem.sites, last * problem.sites))
        kept = problem.held[low:high]
        kept = kept[usable[kept % problem.sites]] - first * problem.sites
        possible[kept] = True
        absolute = np.flatnonzero(possible) + first * problem.sites
        _, barred = among(problem.barred, absolute)
        paying = ~barred & (most[possible] > problem.fixed_cost(absolute))
        possible[possible] = paying
        stays = possible[key]
        pairs.append(absolute[paying])
        cells.append(cell[stays])
        keys.append(key[stays] + first * problem.sites)
        values.append(value[stays])
    pair = _joined(pairs, np.int64)
    cell, key, value = (
        _joined(cells, np.int64),
        _joined(keys, np.int64),
        _joined(values, np.float64),
    )
    used = np.zeros(len(problem.destination), np.bool_)
    used[cell] = True
    used_cells = np.flatnonzero(used)
    number = np.cumsum(used) - 1
    site = pair % problem.sites
    return Candidates(
        pair=pair,
        pair_destination=pair // problem.sites,
        pair_site=site,
        fixed=problem.fixed_cost(pair),
        copy_cost=problem.copy_cost[site],
        cells=used_cells,
        expected=problem.expected[used_cells],
        reserve=problem.reserve[used_cells],
        entry_cell=number[cell] if len(cell) else cell,
        entry_pair=np.searchsorted(pair, key),
        value=value,
    )


def _nearest(problem: Problem, near: int) -> Ints:
    """[L, K] each location's sites of least latency and cost that can hold a copy at all, the nearest first."""
    usable = (problem.room > 0) & (problem.spare_cps > 0)
    away = problem.latency_ms + problem.traffic_ms
    away = np.where(usable, away, np.inf)
    result: Ints = np.argsort(away, axis=1, kind="stable")[:, : min(near, problem.sites)]
    return result


def _blocks(problem: Problem) -> Iterator[tuple[int, int, int, int]]:
    """(first cell, last, first destination, last): whole destinations, in blocks of bounded size."""
    destinations = len(problem.primary)
    step = max(1, BLOCK // problem.sites // 8)
    for first in range(0, destinations, step):
        last = min(destinations, first + step)
        begin, end = np.searchsorted(problem.destination, (first, last))
        yield int(begin), int(end), first, last


def _entries(
    problem: Problem, nearest: Ints, usable: np.ndarray, begin: int, end: int
) -> tuple[Ints, Ints, Floats]:
    """(cell, site, value) of all that gain, among the nearest sites and the current ones."""
    location = problem.location[begin:end]
    primary = problem.primary[problem.destination[begin:end]]
    expected = problem.expected[begin:end]
    reserve = problem.reserve[begin:end]
    current = problem.current[begin:end]
    here = problem.latency_ms[location, primary] - problem.move_ms * (current == PRIMARY)
    cells, sites, values = [], [], []
    demanded = expected > 0
    most = np.where(
        usable, problem.spare_cps, -1.0
    )  # a cell is served at one site: it must fit there
    away = problem.latency_ms + problem.traffic_ms
    redirected = bool((current >= 0).any())
    pending = (current >= 0) & usable[np.maximum(current, 0)]
    for column in range(nearest.shape[1] + 1):
        if column < nearest.shape[1]:
            site = nearest[:, column][location]
            distance = away[np.arange(len(nearest)), nearest[:, column]][location]
            saved = here - distance
            if redirected:
                stays = current == site
                pending &= ~stays
                saved += problem.move_ms * stays
            wanted = (saved > 0) & (site != primary) & (reserve <= most[site])
        else:  # served at a site that is not among the nearest
            if not pending.any():
                break
            site = np.maximum(current, 0)
            saved = here - away[location, site] + problem.move_ms
            wanted = pending & (saved > 0) & (site != primary) & (reserve <= most[site])
        chosen = np.flatnonzero(wanted & demanded)
        cells.append(chosen + begin)
        sites.append(site[chosen])
        values.append(saved[chosen] * expected[chosen])
    return _joined(cells, np.int64), _joined(sites, np.int64), _joined(values, np.float64)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
