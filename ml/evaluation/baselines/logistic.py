"""Logistic regression of "will it breach?": the simplest learning peer of a breach prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.series import Floats


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
