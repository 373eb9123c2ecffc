"""Probabilities that mean what they say: recalibration on data of their own, and its report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from ml.series import Floats

MIN_CASES = 30  # of either outcome: with fewer, a monotone step function follows chance
KNOTS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Recalibration:
    """A monotone map of probabilities, linear between its knots: raw → calibrated, both ascending."""

    raw: Floats
    calibrated: Floats

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities, of the same shape; NaN stays NaN."""
        return np.asarray(np.interp(probability, self.raw, self.calibrated), dtype=np.float64)


IDENTITY = Recalibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def recalibrate(probability: Floats, outcome: npt.NDArray[np.bool_]) -> Recalibration:
    """Fit on calibration data: isotonic regression (Zadrozny and Elkan 2002), its steps joined.

    probability, outcome: shape (rows,). With fewer than 30 cases of either outcome the map is the identity.
    Within a step the knot is the mean of the raw probabilities, so that the order within it is kept.
    """
    known = np.isfinite(probability)
    raw, came = probability[known], outcome[known].astype(np.float64)
    if min(came.sum(), len(came) - came.sum()) < MIN_CASES:
        return IDENTITY
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(raw, came)
    steps = fitted.predict(raw)
    levels, which = np.unique(steps, return_inverse=True)
    number = np.bincount(which)
    centre = np.bincount(which, weights=raw) / number
    if len(levels) > KNOTS:  # neighbouring small steps are one
        group = np.minimum((np.cumsum(number) - 1) * KNOTS // number.sum(), KNOTS - 1)
        weight = np.bincount(group, weights=number)
        kept = weight > 0
        levels = np.bincount(group, weights=levels * number)[kept] / weight[kept]
        centre = np.bincount(group, weights=centre * number)[kept] / weight[kept]
    # Neither certainty is ever reached: an unseen case is possible (Laplace's half a case).
    half = 0.5 / (len(came) + 1.0)
    levels = np.clip(levels, half, 1.0 - half)
    return Recalibration(
        np.concatenate([[0.0], centre, [1.0]]), np.concatenate([[half], levels, [levels[-1]]])
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts within [low, high): how many, their mean, and how often it came true."""

    low: float
    high: float
    cases: int
    forecast: float
    observed: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """bins: those with cases. brier: mean squared error of the probability. brier_rate: of always
    saying the overall rate. gap: mean absolute difference of forecast and observed, weighted by cases
    (expected calibration error).
    """

    bins: tuple[Bin, ...]
    brier: float
    brier_rate: float
    gap: float


def reliability(probability: Floats, outcome: npt.NDArray[np.bool_], bins: int = 10) -> Reliability:
    """The reliability table of probabilities, shape (rows,), in bins of equal width.

    Raises ValueError without rows.
    """
    if not len(probability):
        raise ValueError("no forecasts: reliability needs at least one")
    came = outcome.astype(np.float64)
    which = np.minimum((probability * bins).astype(np.int64), bins - 1)
    table = []
    for index in range(bins):
        mine = which == index
        if mine.any():
            table.append(
                Bin(
                    index / bins,
                    (index + 1) / bins,
                    int(mine.sum()),
                    float(probability[mine].mean()),
                    float(came[mine].mean()),
                )
            )
    gap = sum(one.cases * abs(one.forecast - one.observed) for one in table) / len(came)
    return Reliability(
        tuple(table),
        float(np.mean((probability - came) ** 2)),
        float(np.mean((came.mean() - came) ** 2)),
        gap,
    )
