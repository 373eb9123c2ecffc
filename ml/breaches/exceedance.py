"""What quantile forecasts alone say of a breach, for many forecasts at once."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ml.series import Floats

LOGISTIC = 1.702  # a normal score times this is nearly its log odds (Bowling et al. 2009)
_NORMAL = NormalDist()


def exceedance_odds(values: Floats, quantiles: Sequence[float], limits: Floats) -> Floats:
    """Log odds of the largest exceedance of any horizon, as `ml.breaches.breach.breach` has it: (rows,).

    values: (rows, horizons, quantiles), non-decreasing in the quantile. quantiles: at least two.
    limits: (rows,). In normal scores linear between the quantiles, and beyond them as between the
    outermost two; NaN where nothing is forecast.
    """
    if len(quantiles) < 2:
        raise ValueError("a single quantile has no spread: give at least two")
    scores = np.array([_NORMAL.inv_cdf(level) for level in quantiles])
    limit = limits[:, None]
    right = np.clip((values <= limit[..., None]).sum(axis=-1), 1, len(scores) - 1)
    low = np.take_along_axis(values, right[..., None] - 1, axis=-1)[..., 0]
    high = np.take_along_axis(values, right[..., None], axis=-1)[..., 0]
    width = np.maximum(high - low, 1e-9)
    score = scores[right - 1] + (scores[right] - scores[right - 1]) * (limit - low) / width
    known = np.isfinite(score).any(axis=-1)
    least = np.where(np.isfinite(score), score, np.inf).min(axis=-1)
    return np.where(known, -LOGISTIC * np.where(known, least, 0.0), np.nan)
