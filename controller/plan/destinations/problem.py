"""The placement problem, stated in arrays.

Capacitated facility location with single sourcing and switching costs, one facility per (destination, site):

    maximise   sum  expected[c] * saved(c, s) * x[c, s]  -  sum  fixed(d, s) * y[d, s]
    subject to sum_s x[c, s] <= 1                          a cell is served at one place (else at the primary)
               x[c, s] <= y[d(c), s]                       only where there is a copy
               sum_c reserve[c] * x[c, s] <= spare[s]      the site's spare connections per second
               sum_d y[d, s] <= room[s]                    copies that the site can hold
               sum_s y[d, s] <= copies                     copies of one destination
               sum copy_cost[s] * y[d, s] <= budget        what all copies cost
               x, y in {0, 1}

A cell is one destination's demand from one location. saved(c, s), in ms, is the primary's latency less the site's
latency and traffic cost, plus `move_ms` for staying where the cell is served now, less `move_ms` for leaving the
primary. fixed(d, s) is the copy's cost, plus `open_cost` if there is none yet, less what giving it up would cost if
there is. So a copy that exists stays until it is worse than none by more than the cost of the change: hysteresis is
part of the objective. The problem is NP-hard (it contains the knapsack problem).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOWHERE = -2  # what served the cell is gone: neither staying nor leaving is favoured
PRIMARY = -1


@dataclass(frozen=True, slots=True)
class Problem:
    """D destinations, L locations, S sites, n cells sorted by destination, H held pairs sorted.

    destination, location: [n] indices. expected, reserve: [n] connections per second, 0 <= expected <= reserve.
    current: [n] site that serves the cell now, PRIMARY or NOWHERE. primary: [D] sites. latency_ms: [L, S].
    spare_cps, copy_cost, traffic_ms: [S]; room: [S] copies. held: [H] pairs, destination * S + site, that exist;
    keep_value: [H] what giving them up costs. barred: [B] pairs, sorted, that must not be.
    """

    destination: Ints
    location: Ints
    expected: Floats
    reserve: Floats
    current: Ints
    primary: Ints
    latency_ms: Floats
    spare_cps: Floats
    room: Ints
    copy_cost: Floats
    traffic_ms: Floats
    held: Ints
    keep_value: Floats
    barred: Ints
    copies: int
    budget: float
    open_cost: float
    move_ms: float

    def __post_init__(self) -> None:
        locations, sites = self.latency_ms.shape
        cells = len(self.destination)
        same = {len(one) for one in (self.location, self.expected, self.reserve, self.current)}
        if same != {cells}:
            raise ValueError(
                "location, expected, reserve and current must be as long as destination"
            )
        per_site = {
            len(one) for one in (self.spare_cps, self.room, self.copy_cost, self.traffic_ms)
        }
        if per_site != {sites}:
            raise ValueError("what is told of the sites must be as long as latency_ms is wide")
        if not np.isfinite(self.latency_ms).all() or (self.latency_ms < 0).any():
            raise ValueError(
                "latency_ms must be finite and not below 0; give an unreachable site no room"
            )
        if cells:
            _within("destination", self.destination, len(self.primary))
            _within("location", self.location, locations)
            if (np.diff(self.destination) < 0).any():
                raise ValueError("the cells must be sorted by destination")
            if not ((self.expected >= 0) & (self.expected <= self.reserve)).all():
                raise ValueError("it must be 0 <= expected <= reserve for every cell")
            if not np.isfinite(self.reserve).all():
                raise ValueError("reserve must be finite")
        if len(self.primary):
            _within("primary", self.primary, sites)
        if len(self.held) != len(self.keep_value):
            raise ValueError("keep_value must be as long as held")

    @property
    def sites(self) -> int:
        """How many sites there are."""
        return int(self.latency_ms.shape[1])

    def saved_ms(self, cells: Ints, sites: Ints) -> Floats:
        """What each connection of those cells gains at those sites, in ms, with the cost of moving."""
        current = self.current[cells]
        location = self.location[cells]
        gained = self.latency_ms[location, self.primary[self.destination[cells]]]
        gained = gained - self.latency_ms[location, sites] - self.traffic_ms[sites]
        gained += self.move_ms * (current == sites)
        gained -= self.move_ms * (current == PRIMARY)
        result: Floats = gained
        return result

    def fixed_cost(self, pairs: Ints) -> Floats:
        """What having those copies costs, with the cost of preparing them, or less that of giving them up."""
        cost = self.copy_cost[pairs % self.sites] + self.open_cost
        place, there = among(self.held, pairs)
        cost[there] -= self.open_cost + self.keep_value[place[there]]
        result: Floats = cost
        return result


def among(sorted_values: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where the wanted ones are in `sorted_values`, and whether they are."""
    if not len(sorted_values):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return place, sorted_values[place] == wanted


def sums(index: Ints, amounts: Floats, size: int) -> Floats:
    """[size] the sum of the amounts of each index (numpy's bincount counts in integers if there is nothing)."""
    result: Floats = np.bincount(index, amounts, size).astype(np.float64, copy=False)
    return result


def integers(values: Iterable[int] | NDArray[Any]) -> Ints:
    """The values as an array of 64-bit integers."""
    if isinstance(values, np.ndarray):
        return values.astype(np.int64, copy=False)
    return np.fromiter(values, np.int64)


def _within(name: str, values: Ints, size: int) -> None:
    if values.min() < 0 or values.max() >= size:
        raise ValueError(f"{name} must lie in 0..{size - 1}")
