"""Model inputs of live connections: what arrivals and durations say, and the queue model's forecast.

A target whose arrivals are unknown has NaN here, and its last value as the base.
"""

from __future__ import annotations

import numpy as np

from ml.forecasting import trend
from ml.forecasting.line import MIN_SAMPLES
from ml.forecasting.window_inputs import Seen
from ml.series import MEAN_DURATION_S, NEW_PER_S, Floats
from ml.settings import Settings
from ml.windows import Windows

RATES = (3, 10, 30)
RATE_SLOPES = (10, 30)
NAMES: tuple[str, ...] = (
    *(f"arrivals_{steps}" for steps in RATES),
    *(f"arrivals_slope_{steps}" for steps in RATE_SLOPES),
    *(f"equilibrium_{steps}" for steps in RATES),
    "log_duration_30",
    "duration_change",
    "trend_change",
    "trend_deviation",
)


def inputs(windows: Windows, seen: Seen, settings: Settings) -> tuple[Floats, Floats]:
    """(shape (horizons, rows, len(NAMES)), the base, shape (rows, horizons))."""
    new, duration = windows.channel(NEW_PER_S), windows.channel(MEAN_DURATION_S)
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    unit = seen.scale[:, None] * np.sqrt(np.asarray(settings.horizon_steps))
    known = np.isfinite(new[:, -trend.SPAN_STEPS :]).sum(axis=1) >= MIN_SAMPLES
    arrivals = {steps: _mean(new[:, -steps:]) for steps in RATES}
    lasting = _mean(duration[:, -30:])
    columns = [arrivals[steps] * settings.step_s / seen.scale for steps in RATES]
    columns += [_slope(new[:, -steps:]) * settings.step_s / seen.scale for steps in RATE_SLOPES]
    columns += [(arrivals[steps] * lasting - seen.last) / seen.scale for steps in RATES]
    columns.append(np.log(np.maximum(lasting, 1e-6)))
    columns.append(np.log(np.maximum(_mean(duration[:, -10:]), 1e-6)) - columns[-1])
    projection = trend.project(windows, ahead_s, settings.step_s, settings.calendar)
    result = np.empty((len(ahead_s), len(windows), len(NAMES)))
    result[:, :, :-2] = np.stack(columns, axis=1)
    result[:, :, -2] = ((projection.mean - seen.last[:, None]) / unit).T
    result[:, :, -1] = (projection.deviation / unit).T
    result[:, ~known, -2:] = np.nan
    base = np.where(known[:, None], projection.mean, seen.last[:, None])
    return result, base


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    number = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Floats = np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)
    return mean


def _slope(values: Floats) -> Floats:
    """Least-squares slope per step over the known samples; NaN with fewer than two."""
    known = np.isfinite(values)
    age = np.where(known, np.arange(values.shape[1], dtype=np.float64), np.nan)
    lever = np.where(known, age - _mean(age)[:, None], 0.0)
    inertia = (lever**2).sum(axis=1)
    product = (lever * np.where(known, values, 0.0)).sum(axis=1)
    slope: Floats = np.divide(product, inertia, out=np.full(len(values), np.nan), where=inertia > 0)
    return slope
