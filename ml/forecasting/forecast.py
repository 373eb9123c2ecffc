"""A probabilistic forecast of one target."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

_NORMAL = NormalDist()


@functools.lru_cache(maxsize=256)
def _score(level: float) -> float:
    """The normal score of a quantile: the same few are asked for again and again."""
    return _NORMAL.inv_cdf(level)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Quantiles of a metric (live connections, CPU percent, …) at several horizons.

    made_at_s: Unix time. horizons_s: seconds ahead of made_at_s, ascending. quantiles: levels in
    (0, 1), ascending. values[horizon][quantile]: in the metric's unit, non-decreasing in the
    quantile, >= 0.
    model: "boosting", "trend" (the cold-start model) or "persistence" (also
    where a trained model's recent errors exceed persistence's).
    last_value: the last observed value (NaN when unknown), the forecast's value at horizon 0.
    """

    target: str
    made_at_s: float
    horizons_s: tuple[float, ...]
    quantiles: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    model: str
    last_value: float = math.nan

    def at(self, horizon_s: float, quantile: float) -> float:
        """The forecast value at one horizon and quantile.

        Between horizons linear (towards last_value below the first, where it is known), beyond
        the last the last; between quantiles linear in normal scores, beyond them extended so.
        Raises ValueError when the horizon is negative or the quantile outside (0, 1).
        """
        if horizon_s < 0:
            raise ValueError(f"horizon_s must not be negative: {horizon_s}")
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must lie between 0 and 1: {quantile}")
        column = [max(0.0, self._value(row, quantile)) for row in self.values]
        points = list(zip(self.horizons_s, column, strict=True))
        if math.isfinite(self.last_value):
            points.insert(0, (0.0, self.last_value))
        if horizon_s <= points[0][0]:
            return points[0][1]
        for (left_s, low), (right_s, high) in pairwise(points):
            if horizon_s <= right_s:
                return low + (high - low) * (horizon_s - left_s) / (right_s - left_s)
        return points[-1][1]

    def exceedance(self, threshold: float) -> tuple[float, ...]:
        """Per horizon, the probability that the value is above `threshold`."""
        return tuple(self._above(row, threshold) for row in self.values)

    def _value(self, row: tuple[float, ...], quantile: float) -> float:
        if len(self.quantiles) == 1:
            return row[0]
        score = _score(quantile)
        scores = [_score(level) for level in self.quantiles]
        index = 1
        while index < len(scores) - 1 and score > scores[index]:
            index += 1
        share = (score - scores[index - 1]) / (scores[index] - scores[index - 1])
        return row[index - 1] + (row[index] - row[index - 1]) * share

    def _above(self, row: tuple[float, ...], threshold: float) -> float:
        if row[0] == row[-1]:  # no spread, or a single quantile: all or nothing
            return 1.0 if row[0] > threshold else 0.0
        if threshold < row[0]:
            left, right = 0, next(i for i, value in enumerate(row) if value > row[0])
        elif threshold >= row[-1]:
            right = len(row) - 1
            left = max(i for i, value in enumerate(row) if value < row[-1])
            if left < right - 1:  # the upper quantiles coincide: keep the one next to the step
                right = left + 1
        else:
            right = next(i for i, value in enumerate(row) if value > threshold)
            left = right - 1
        low, high = _score(self.quantiles[left]), _score(self.quantiles[right])
        score = low + (high - low) * (threshold - row[left]) / (row[right] - row[left])
        return 1.0 - _NORMAL.cdf(score)
