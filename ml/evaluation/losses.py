"""Losses of quantile forecasts per origin and horizon, and their means over cells.

A cell is one data set at one horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.score import pinball
from ml.series import Floats

DAY_S = 86_400.0
MIN_DAY_FORECASTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Per forecast, all of shape (rows, horizons), NaN where the outcome is unknown.

    absolute: |outcome - median|, pinball: mean over the quantiles, both in units of the series'
    scale. inside: 1 when the outcome lies within the outermost quantiles, else 0.
    """

    absolute: Floats
    pinball: Floats
    inside: Floats


def losses(
    outcome: Floats, predicted: Floats, scale: Floats, quantiles: tuple[float, ...]
) -> Losses:
    """outcome: (rows, horizons). predicted: (rows, horizons, quantiles). scale: (rows,)."""
    median = predicted[:, :, quantiles.index(0.5)]
    known = np.isfinite(outcome)
    inside = (outcome >= predicted[:, :, 0]) & (outcome <= predicted[:, :, -1])
    return Losses(
        np.abs(outcome - median) / scale[:, None],
        pinball(outcome, predicted, quantiles) / scale[:, None],
        np.where(known, inside.astype(np.float64), np.nan),
    )


def mean_losses(several: list[Losses]) -> Losses:
    """The mean over runs with different seeds, row by row."""
    return Losses(
        np.mean([one.absolute for one in several], axis=0),
        np.mean([one.pinball for one in several], axis=0),
        np.mean([one.inside for one in several], axis=0),
    )


def worst_day_coverage_pct(inside: Floats, times_s: Floats, start_s: float) -> float:
    """Least coverage of any day (24 h from start_s on, all series and horizons), in percent.

    inside: (rows, horizons). times_s: of the origins, (rows,). A last part of a day below twelve
    hours counts to the day before, and days with fewer than 100 forecasts are not judged. NaN when
    there is none.
    """
    day = np.floor((times_s - start_s) / DAY_S).astype(np.int64)
    if len(day) and (times_s.max() - start_s) % DAY_S < DAY_S / 2:
        day = np.minimum(day, max(0, int(day.max()) - 1))
    shares = []
    for one in np.unique(day):
        known = inside[day == one]
        known = known[np.isfinite(known)]
        if len(known) >= MIN_DAY_FORECASTS:
            shares.append(100.0 * float(known.mean()))
    return min(shares) if shares else float("nan")


def cell_means(loss: Floats) -> Floats:
    """Mean over rows per horizon, shape (horizons,)."""
    return np.asarray(np.nanmean(loss, axis=0))


def geometric_mean(ratios: npt.ArrayLike) -> float:
    """Geometric mean of positive ratios."""
    values = np.asarray(ratios, dtype=np.float64)
    return float(np.exp(np.log(values).mean()))
