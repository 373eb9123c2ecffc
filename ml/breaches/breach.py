"""Will a target cross its threshold, how likely and how soon?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ml.breaches.recalibration import Recalibration
from ml.forecasting.forecast import Forecast

LIKELY = 0.5
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True)
class Breach:
    """probability: of a value above `threshold` within the forecast's longest horizon.

    lead_s: when probability >= 0.5, the expected seconds until the first crossing (0: it is above
    already); below that the horizon at which a crossing is most likely; None when the probability
    is negligible (< 1 %). threshold: in the series' unit.
    """

    target: str
    probability: float
    lead_s: float | None
    threshold: float


def breach(
    forecast: Forecast, threshold: float, recalibration: Recalibration | None = None
) -> Breach:
    """The breach that a forecast implies for a threshold, in the unit of the series.

    The probability is the largest exceedance of any horizon: a lower bound of the probability that
    the path crosses anywhere, and close to it when the series drifts rather than oscillates, as
    connection counts do. recalibration: maps that to how often the path did cross, learnt from
    outcomes (`ml.breaches.recalibration`); a threshold exceeded now stays certain. The first crossing is where the
    exceedance passes one half, interpolated linearly between the horizons; with a recalibrated probability of
    at least one half and no such horizon, the one at which a crossing is likeliest.
    """
    if math.isnan(threshold):
        raise ValueError(f"{forecast.target}: the breach threshold is not a number")
    above = forecast.exceedance(threshold)
    points = list(zip(forecast.horizons_s, above, strict=True))
    if math.isfinite(forecast.last_value):
        points.insert(0, (0.0, 1.0 if forecast.last_value > threshold else 0.0))
    likeliest_s, highest = max(points, key=lambda point: point[1])
    probability = highest
    if recalibration is not None and points[0] != (0.0, 1.0):
        probability = float(recalibration.apply(np.array([highest]))[0])
    lead_s: float | None
    if probability >= LIKELY:
        lead_s = _first_crossing_s(points) if highest >= LIKELY else likeliest_s
    else:
        lead_s = likeliest_s if probability >= NEGLIGIBLE else None
    return Breach(forecast.target, probability, lead_s, threshold)


def _first_crossing_s(points: list[tuple[float, float]]) -> float:
    if points[0][1] >= LIKELY:
        return points[0][0]
    for (left_s, low), (right_s, high) in pairwise(points):
        if high >= LIKELY:
            return left_s + (right_s - left_s) * (LIKELY - low) / (high - low)
    raise ValueError("no horizon reaches the probability of a likely breach")
