"""Seasonal-naive with level: what happened a day ago, moved to today's level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.evaluation.baselines.persistence import past_origins, past_residuals, residual_quantiles
from ml.evaluation.dataset import DataSet
from ml.evaluation.peer import Absent
from ml.evaluation.splits import Origins
from ml.series import Floats

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Now plus the change that followed the same time of day yesterday, with residual quantiles.

    Where yesterday is missing, the last value.
    """

    name: str = "seasonal_naive"
    seeded: bool = False
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> SeasonalNaiveFitted:
        """Residual quantiles per series and horizon. Raises Absent below two days of history."""
        split = data.split
        if split.calibration_end_s - split.begin_s < 2 * DAY_S:
            raise Absent("less than two days of history: no yesterday to learn from")
        past = past_origins(data)
        residuals = past_residuals(data, _median(data, past), past)
        residuals[past.index < _day_steps(data)] = np.nan
        return SeasonalNaiveFitted(residual_quantiles(data, residuals, past))


@dataclass(frozen=True, slots=True, eq=False)
class SeasonalNaiveFitted:
    """residuals: shape (series, horizons, quantiles), in the series' units."""

    residuals: Floats

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Yesterday's change from today's level, plus the residual quantile."""
        return np.asarray(_median(data, origins)[:, :, None] + self.residuals[origins.series])


def _day_steps(data: DataSet) -> int:
    return round(DAY_S / data.step_s)


def _median(data: DataSet, origins: Origins) -> Floats:
    day = _day_steps(data)
    values = np.concatenate([np.full((len(data.series), day), np.nan), data.values], axis=1)
    rows = origins.series[:, None]
    then = values[rows, origins.index[:, None] + np.asarray(data.horizon_steps)[None, :]]
    before = values[rows, origins.index[:, None]]
    last = data.values[origins.series, origins.index][:, None]
    change = then - before
    return np.asarray(last + np.where(np.isfinite(change), change, 0.0))
