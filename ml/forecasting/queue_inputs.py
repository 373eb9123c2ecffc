"""Model inputs of live connections: what arrivals and durations say, and the queue model's forecast.

A target whose arrivals are unknown has NaN here, and its last value as the base.
"""

from __future__ import annotations

import numpy as np

from ml.forecasting import trend
from ml.forecasting.line import MIN_SAMPLES
from ml.forecasting.window_inputs import Seen
from ml.known_samples import mean_of_known, slope_of_known
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
    arrivals = {steps: mean_of_known(new[:, -steps:]) for steps in RATES}
    lasting = mean_of_known(duration[:, -30:])
    columns = [arrivals[steps] * settings.step_s / seen.scale for steps in RATES]
    columns += [
        slope_of_known(new[:, -steps:]) * settings.step_s / seen.scale for steps in RATE_SLOPES
    ]
    columns += [(arrivals[steps] * lasting - seen.last) / seen.scale for steps in RATES]
    columns.append(np.log(np.maximum(lasting, 1e-6)))
    columns.append(np.log(np.maximum(mean_of_known(duration[:, -10:]), 1e-6)) - columns[-1])
    projection = trend.project(windows, ahead_s, settings.step_s, settings.calendar)
    result = np.empty((len(ahead_s), len(windows), len(NAMES)))
    result[:, :, :-2] = np.stack(columns, axis=1)
    result[:, :, -2] = ((projection.mean - seen.last[:, None]) / unit).T
    result[:, :, -1] = (projection.deviation / unit).T
    result[:, ~known, -2:] = np.nan
    base = np.where(known[:, None], projection.mean, seen.last[:, None])
    return result, base
