"""The placement problem solved exactly, or its linear relaxation, by HiGHS: the yardstick for small cases.

It takes all sites, not only the nearest, and nothing of the greedy algorithm. It may take for ever on large cases.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from controller.plan.destinations.candidates import candidates
from controller.plan.destinations.problem import Problem


def best_worth(problem: Problem, *, relaxed: bool = False, limit_s: float = 60.0) -> float:
    """The highest worth of any plan; relaxed: an upper bound of it, sooner.

    Raises RuntimeError if it is not found and proven within `limit_s`.
    """
    choice = candidates(problem, problem.sites)
    pairs, entries = len(choice.pair), len(choice.value)
    if not pairs:
        return 0.0
    columns = pairs + entries
    rows: list[np.ndarray] = []
    places: list[np.ndarray] = []
    factors: list[np.ndarray] = []
    upper: list[np.ndarray] = []
    height = 0

    def limit(row: np.ndarray, column: np.ndarray, factor: np.ndarray, bound: np.ndarray) -> None:
        nonlocal height
        finite = np.isfinite(bound)[row]
        rows.append(row[finite] + height)
        places.append(column[finite])
        factors.append(factor[finite])
        upper.append(np.where(np.isfinite(bound), bound, 0.0))
        height += len(bound)

    all_pairs, x = np.arange(pairs), pairs + np.arange(entries)
    every = np.arange(entries)
    limit(choice.entry_cell, x, np.ones(entries), np.ones(len(choice.cells)))
    limit(
        np.concatenate((every, every)),
        np.concatenate((x, choice.entry_pair)),
        np.concatenate((np.ones(entries), -np.ones(entries))),
        np.zeros(entries),
    )
    limit(
        choice.pair_site[choice.entry_pair], x, choice.reserve[choice.entry_cell], problem.spare_cps
    )
    limit(choice.pair_site, all_pairs, np.ones(pairs), problem.room.astype(np.float64))
    limit(
        choice.pair_destination,
        all_pairs,
        np.ones(pairs),
        np.full(len(problem.primary), float(problem.copies)),
    )
    limit(np.zeros(pairs, np.int64), all_pairs, choice.copy_cost, np.array([problem.budget]))
    matrix = coo_array(
        (np.concatenate(factors), (np.concatenate(rows), np.concatenate(places))),
        shape=(height, columns),
    ).tocsr()
    found = milp(
        np.concatenate((choice.fixed, -choice.value)),
        integrality=np.zeros(columns) if relaxed else np.ones(columns),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, np.concatenate(upper)),
        options={"time_limit": limit_s, "mip_rel_gap": 0.0},
    )
    if found.status != 0:
        raise RuntimeError(f"no proven optimum within {limit_s:.0f} s: {found.message}")
    return -float(found.fun)
