"""The numbers of the rules that place standby copies."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlacementSettings:
    """Costs are counted in milliseconds of waiting: new connections per second x ms.

    copies: standby copies per destination at most. budget: what all copies may cost together.
    open_cost: of preparing a copy that is not there; withdraw_cost: of giving one up; move_ms: a location's
    traffic moves only where each connection gains at least this. keep_s: so long after a copy was opened its
    open_cost still speaks for keeping it, falling to nothing. expected_level: the quantile of the demand that
    a copy must pay for; reserve_level: the one that its site must have room for. least_cps: demand below it
    is not looked at. near: for each location, so many sites are considered, the nearest first.
    margin: a plan made afresh replaces the continued one only if it is better by this share of it.
    passes: runs of the greedy algorithm, each with corrected prices of what is scarce. repairs: steps of the
    improvement that follows; work: each run and step handles at most so many (location, site) pairs in all, so
    that large cases get fewer of both. All are counts, not times: the same case has always the same plan.
    """

    copies: int = 4
    budget: float = math.inf
    open_cost: float = 200.0
    withdraw_cost: float = 50.0
    move_ms: float = 1.0
    keep_s: float = 300.0
    expected_level: float = 0.5
    reserve_level: float = 0.9
    least_cps: float = 0.0
    near: int = 6
    margin: float = 0.05
    passes: int = 12
    repairs: int = 120
    work: int = 300_000

    def __post_init__(self) -> None:
        if self.copies < 0 or self.near < 1 or self.passes < 1 or self.repairs < 0 or self.work < 0:
            raise ValueError(
                "copies, repairs and work must be 0 or above, near and passes 1 or above"
            )
        costs = (self.open_cost, self.withdraw_cost, self.move_ms, self.keep_s, self.least_cps)
        if not all(0 <= one < math.inf for one in costs) or not self.budget >= 0:
            raise ValueError("costs, keep_s, least_cps and budget must not be below 0")
        if not 0 < self.expected_level <= self.reserve_level < 1:
            raise ValueError("it must be 0 < expected_level <= reserve_level < 1")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must lie between 0 and 1, not at {self.margin}")
