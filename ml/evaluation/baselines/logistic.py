"""Logistic regression of "will it breach?": the simplest learning peer of a breach prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.evaluation.dataset import DataSet
from ml.evaluation.splits import Origins
from ml.series import Floats

LAGS = (1, 2, 3, 6, 12, 30)
LIMIT = 20.0  # inputs are clipped there: a logistic regression is not robust to outliers


def logistic_inputs(data: DataSet, origins: Origins, thresholds: Floats) -> Floats:
    """What the regression sees, shape (rows, columns): the room to the threshold and the recent
    changes in units of the series' training scale, and the time of day.

    thresholds: per series. Missing values count as the latest known one before them.
    """
    values = last_known(data.values)
    scale = data.scales()[origins.series]
    last = values[origins.series, origins.index]
    columns = [(thresholds[origins.series] - last) / scale]
    for lag in LAGS:
        columns.append((last - values[origins.series, np.maximum(origins.index - lag, 0)]) / scale)
    angle = 2 * np.pi * data.times_s[origins.index] / 86_400.0
    columns += [np.sin(angle), np.cos(angle)]
    return np.clip(np.nan_to_num(np.stack(columns, axis=1)), -LIMIT, LIMIT)


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted regression, or the plain rate where training saw one outcome only."""

    pipeline: Pipeline | None
    rate: float

    @classmethod
    def fit(cls, inputs: Floats, breached: npt.NDArray[np.bool_], seed: int = 0) -> Logistic:
        """inputs: (rows, columns), finite. breached: (rows,)."""
        rate = float(breached.mean()) if len(breached) else 0.0
        if rate in (0.0, 1.0):
            return cls(None, rate)
        pipeline = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=500, random_state=seed)
        )
        return cls(pipeline.fit(inputs, breached), rate)

    def probability(self, inputs: Floats) -> Floats:
        """Of a breach, shape (rows,)."""
        if self.pipeline is None:
            return np.full(len(inputs), self.rate)
        return np.asarray(self.pipeline.predict_proba(inputs)[:, 1])


def last_known(values: Floats) -> Floats:
    """Each missing value replaced by the latest known one before it; NaN before the first.

    values: shape (series, steps).
    """
    known = np.isfinite(values)
    at = np.maximum.accumulate(np.where(known, np.arange(values.shape[1])[None, :], -1), axis=1)
    filled = np.take_along_axis(values, np.maximum(at, 0), axis=1)
    return np.where(at >= 0, filled, np.nan)
