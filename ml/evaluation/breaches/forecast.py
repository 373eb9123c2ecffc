"""What quantile forecasts alone say of a breach: the largest exceedance over the horizons."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ml.breaches.claims import Joined
from ml.evaluation.boosted import settings_for
from ml.evaluation.dataset import DataSet
from ml.forecasting.boosting import train
from ml.forecasting.rolling import roll
from ml.series import Floats

_NORMAL = NormalDist()


def largest_exceedance(values: Floats, quantiles: Sequence[float], limit: float) -> Floats:
    """As `ml.breaches.breach.breach` without recalibration, for many forecasts at once.

    values: (rows, horizons, quantiles), non-decreasing in the quantile. Returns (rows,): in normal
    scores linear between the quantiles, and beyond them as between the outermost two; -inf where nothing
    is forecast.
    """
    scores = np.array([_NORMAL.inv_cdf(level) for level in quantiles])
    right = np.clip((values <= limit).sum(axis=-1), 1, len(scores) - 1)[..., None]
    low = np.take_along_axis(values, right - 1, axis=-1)[..., 0]
    high = np.take_along_axis(values, right, axis=-1)[..., 0]
    left_score, right_score = scores[right[..., 0] - 1], scores[right[..., 0]]
    width = np.maximum(high - low, 1e-9)
    score = left_score + (right_score - left_score) * (limit - low) / width
    highest = -np.where(np.isfinite(score), score, np.inf).min(axis=-1)
    # Normal scores order as probabilities do; the logistic map keeps them finite.
    return np.asarray(np.where(np.isfinite(highest), 1 / (1 + np.exp(-1.702 * highest)), -np.inf))


def forecast_scores(data: DataSet, fields: Sequence[Joined], seed: int) -> list[Floats]:
    """Per field the score of every sample, (n,), of a forecaster trained on the training part and replayed from
    the begin of the calibration part on, online corrections included.
    """
    split = data.split
    past = [one.until(split.train_end_s) for one in data.series]
    model = train(past, settings_for(data), seed)
    start = int(np.searchsorted(data.times_s, split.calibration_start_s))
    rolled = roll(model, data.series, float(data.times_s[start]), split.test_end_s)
    quantiles = model.settings.quantiles
    return [
        field.spread(
            [
                largest_exceedance(
                    rolled.values[one.first - start : one.last - start, one.row],
                    quantiles,
                    one.threshold,
                )
                for one in field.watches
            ]
        )
        for field in fields
    ]
