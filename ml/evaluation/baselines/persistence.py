"""Persistence, the baseline of short horizons: alone, with residual quantiles, with a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.evaluation.dataset import QUANTILES, DataSet
from ml.evaluation.splits import Origins, outcomes, rolling_origins
from ml.series import Floats


@dataclass(frozen=True, slots=True)
class Persistence:
    """The last value, with the quantiles of its own past residuals.

    The residuals are those of each series at each horizon over training and calibration part. The
    median stays the last value, so that the absolute error is that of plain persistence.
    """

    name: str = "persistence"
    seeded: bool = False
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> PersistenceFitted:
        """Residual quantiles per series and horizon."""
        residuals = past_residuals(data, _last(data, past := past_origins(data)), past)
        return PersistenceFitted(residual_quantiles(data, residuals, past))


@dataclass(frozen=True, slots=True, eq=False)
class PersistenceFitted:
    """residuals: shape (series, horizons, quantiles), in the series' units."""

    residuals: Floats

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Last value plus residual quantile."""
        last = _last(data, origins)
        return np.asarray(last[:, :, None] + self.residuals[origins.series])


@dataclass(frozen=True, slots=True)
class PersistenceMargin:
    """The last value with a band of a fixed percentage around it, as capacity is often planned.

    One percentage per series, quantile and horizon: the one that so many of the past outcomes stayed
    below.
    """

    name: str = "persistence_margin"
    seeded: bool = False
    max_rows: int | None = None

    def fit(self, data: DataSet, seed: int) -> PersistenceMarginFitted:
        """The margins of each series."""
        past = past_origins(data)
        last = _last(data, past)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = past_residuals(data, last, past) / np.abs(last)
        return PersistenceMarginFitted(residual_quantiles(data, relative, past))


@dataclass(frozen=True, slots=True, eq=False)
class PersistenceMarginFitted:
    """margins: shape (series, horizons, quantiles), relative to the last value."""

    margins: Floats

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Last value times one plus the margin."""
        last = _last(data, origins)[:, :, None]
        return np.asarray(last + np.abs(last) * self.margins[origins.series])


def past_origins(data: DataSet) -> Origins:
    """All origins of the training and of the calibration part."""
    return rolling_origins(
        data.values,
        data.times_s,
        data.split.begin_s,
        data.split.calibration_end_s,
        data.horizon_steps[-1],
    )


def past_residuals(data: DataSet, median: Floats, past: Origins) -> Floats:
    """Outcome minus median, (rows, horizons), of origins whose outcomes are all in the past."""
    return outcomes(data.values, past, data.horizon_steps) - median


def residual_quantiles(data: DataSet, residuals: Floats, past: Origins) -> Floats:
    """Empirical quantiles, shape (series, horizons, quantiles), about a middle one of 0."""
    found = np.zeros((len(data.series), len(data.horizons_s), len(QUANTILES)))
    for number in range(len(data.series)):
        mine = residuals[past.series == number]
        for horizon in range(len(data.horizons_s)):
            known = mine[np.isfinite(mine[:, horizon]), horizon]
            if len(known):
                found[number, horizon] = np.quantile(known, QUANTILES)
    middle = QUANTILES.index(0.5)
    found[:, :, middle] = 0.0
    found[:, :, :middle] = np.minimum(found[:, :, :middle], 0.0)
    found[:, :, middle + 1 :] = np.maximum(found[:, :, middle + 1 :], 0.0)
    return found


def _last(data: DataSet, origins: Origins) -> Floats:
    last = data.values[origins.series, origins.index]
    return np.repeat(last[:, None], len(data.horizons_s), axis=1)
