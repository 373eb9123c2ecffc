"""Rolling conformal correction: quantile forecasts that keep their promise on what comes.

Quantiles that are right on the training data are too narrow on new data, by how much changes from day to
day. So every target has, per horizon and level a, a standard score (`ml.forecasting.outputs`) that follows
its outcomes: after one above the forecast quantile it rises by a·g, else it falls by (1 − a)·g. Over
time an outcome is then below the quantile with probability a, whatever the data do (the
quantile tracker of Angelopoulos, Candès and Tibshirani, "Conformal PID control for time series
prediction", 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.series import Floats

Index = npt.NDArray[np.int64]


class Conformal:
    """Standard scores of any number of targets.

    start: those of a new target, ascending, and gain: the step g in standard scores, both of shape
    (horizons, quantiles). Not thread-safe.
    """

    def __init__(self, quantiles: Sequence[float], start: Floats, gain: Floats) -> None:
        self._levels = np.asarray(quantiles, dtype=np.float64)
        self._start = start
        self._gain = gain
        self._scores = np.zeros((0, *start.shape))

    def grow(self, targets: int) -> None:
        """Room for so many targets."""
        missing = targets - len(self._scores)
        if missing > 0:
            fresh = np.broadcast_to(self._start, (missing, *self._start.shape))
            self._scores = np.concatenate([self._scores, fresh])

    def scores(self, index: Index) -> Floats:
        """Of the targets with these indices, (rows, horizons, quantiles), ascending."""
        return np.sort(self._scores[index], axis=-1)

    def of(self, index: Index, horizon: int) -> Floats:
        """The same of one horizon, (rows, quantiles)."""
        return np.sort(self._scores[index, horizon], axis=-1)

    def learn(self, index: Index, horizon: int, scores: Floats) -> None:
        """The standard scores of outcomes, (rows,), all known."""
        now = np.sort(self._scores[index, horizon], axis=-1)
        step = np.where(scores[:, None] > now, self._levels, self._levels - 1.0)
        self._scores[index, horizon] = now + self._gain[horizon] * step
