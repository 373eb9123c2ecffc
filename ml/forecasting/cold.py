"""Forecasts without training: for new targets, for stale ones, and before the first training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.forecasting import trend
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows


def cold_forecast(
    windows: Windows, late_s: Floats, settings: Settings
) -> tuple[Floats, npt.NDArray[np.object_]]:
    """Values, shape (rows, horizons, quantiles), and the name of the model that made each row.

    "trend" (`ml.forecasting.trend`) from five samples on, "persistence" below: the last value, with a spread
    that grows with the root of the time. late_s: how old each window's end is, (rows,). Every row
    must hold a known value.
    """
    ahead_s = np.asarray(settings.horizons_s)[None, :] + late_s[:, None]
    models = np.where(trend.enough(windows), "trend", "persistence").astype(object)
    values = np.empty((len(windows), len(settings.horizons_s), len(settings.quantiles)))
    rows = np.flatnonzero(models == "trend")
    if len(rows):
        values[rows] = trend.quantile_forecast(
            windows.select(rows),
            ahead_s[rows],
            settings.quantiles,
            settings.step_s,
            settings.calendar,
        )
    rows = np.flatnonzero(models == "persistence")
    if len(rows):
        still = trend.persistence(windows.select(rows), ahead_s[rows], settings.step_s)
        values[rows] = trend.spread(still.mean, still.deviation, settings.quantiles)
    return values, models
