"""Search for the highest rate that is sustained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Searched:
    """The highest rate that was carried (0: none), the lowest that was not, and how many were tried."""

    sustained: float
    saturated: float
    tried: int


def highest_rate(
    carry: Callable[[float], float | None],
    start: float,
    *,
    precision: float,
    least: float,
    most: float = float("inf"),
) -> Searched:
    """By doubling from `start`, but not to `most` or beyond, and bisection down to `least`.

    carry: offers a rate; returns the rate that was carried, or None when this was too much.
    """
    low, high, tried = 0.0, start, 0
    while high < most:
        carried = carry(high)
        tried += 1
        if carried is None:
            break
        low, high = min(high, carried), high * 2
    while high - low > precision * high and high > least:
        middle = (low + high) / 2
        carried = carry(middle)
        tried += 1
        if carried is None:
            high = middle
        else:
            low = max(low, min(middle, carried))
    return Searched(low, high, tried)
