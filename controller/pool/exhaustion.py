"""When a subdivision will be full: its forecast demand against what it can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from controller.pool.counts import Counts

if TYPE_CHECKING:  # who only takes an address does not wait for scikit-learn to load
    from ml.forecasting.forecast import Forecast

QUANTILES = (0.5, 0.9, 0.99)
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """`full_in_s`: quantile of the demand → seconds after the forecast was made until no address is left; None: not
    within `horizon_s`.
    """

    subdivision: str
    limit: int  # addresses that can be in use at one time
    granted: int
    horizon_s: float
    full_in_s: Mapping[float, float | None]

    @property
    def sentence(self) -> str:
        """For a person: "pod-a is full in 3 h (90 %), 5 h (50 %)"."""
        found = sorted(self.full_in_s.items(), reverse=True)
        told = [f"{_told(at_s)} ({level:.0%})" for level, at_s in found if at_s is not None]
        if not told:
            return f"{self.subdivision} is not full within {_told(self.horizon_s)}"
        if self.granted >= self.limit:
            return (
                f"{self.subdivision} is full: {self.granted} of {self.limit} addresses are granted"
            )
        return f"{self.subdivision} is full in {', '.join(told)}"


def exhaustion(
    subdivision: str,
    counts: Counts,
    forecast: Forecast,
    quantiles: tuple[float, ...] = QUANTILES,
) -> Exhaustion:
    """`forecast`: of the addresses granted at one time (the live instances). What is reserved, drained or cools
    down serves nobody; at a steady turnover as much goes on cooling down.
    """
    usable = counts.capacity - counts.reserved - counts.cooling
    limit = usable if counts.quota is None else min(usable, counts.quota)
    return Exhaustion(
        subdivision=subdivision,
        limit=limit,
        granted=counts.granted,
        horizon_s=forecast.horizons_s[-1],
        full_in_s={
            level: 0.0 if counts.granted >= limit else _reached_s(forecast, level, limit)
            for level in quantiles
        },
    )


def _reached_s(forecast: Forecast, quantile: float, limit: int) -> float | None:
    """When the demand is more than there is: linear between the forecast's horizons, as `Forecast.at` is."""
    points = [(at_s, forecast.at(at_s, quantile)) for at_s in (0.0, *forecast.horizons_s)]
    if points[0][1] > limit:
        return 0.0
    for (left_s, low), (right_s, high) in pairwise(points):
        if high > limit:
            return left_s + (right_s - left_s) * (limit - low) / (high - low)
    return None


def _told(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"
