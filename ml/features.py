"""The one transform from windows to model inputs, for training and for serving alike.

Everything a tree sees is relative: differences from the present count in units of the window's own
mean absolute difference, logarithms and angles. Trees cannot extrapolate, so neither levels nor
times may be inputs or targets in absolute form. Each row depends on its own window alone, hence a
row has the same features whether it is one of thousands in training or the only one in serving.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml import trend
from ml.calendar import PlannedEvent, log_factors, seconds_to_next_start
from ml.line import MIN_SAMPLES
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows

LAGS = (1, 2, 3, 5, 10, 20, 30, 59)
MEANS = (5, 10, 30, 60)
SPREADS = (10, 30, 60)
SLOPES = (5, 10, 30, 60)
RATES = (3, 10, 30)
_DAY_S = 86_400.0
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0

ROW_NAMES: tuple[str, ...] = (
    "log_count",
    "relative_scale",
    *(f"lag_{lag}" for lag in LAGS),
    *(f"mean_{size}" for size in MEANS),
    *(f"deviation_{size}" for size in SPREADS),
    "low_60",
    "high_60",
    *(f"slope_{size}" for size in SLOPES),
    *(f"arrivals_{size}" for size in RATES),
    "arrivals_slope_10",
    "arrivals_slope_30",
    *(f"equilibrium_{size}" for size in RATES),
    "log_duration_30",
    "duration_change",
    "day_sine",
    "day_cosine",
    "weekday",
    "event_factor",
    "event_wait",
)
HORIZON_NAMES: tuple[str, ...] = (
    "log_horizon",
    "trend_change",
    "trend_deviation",
    "event_factor_then",
)
NAMES = ROW_NAMES + HORIZON_NAMES


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """inputs: shape (rows, horizons, len(NAMES)). base: the count that a model's output of 0 means,
    the cold-start model's mean, (rows, horizons). unit: what an output of 1 adds, (rows, horizons),
    both in connections. usable: rows that a model may see,
    (rows,): their count is known now and not constant.
    """

    inputs: Floats
    base: Floats
    unit: Floats
    usable: npt.NDArray[np.bool_]

    def select(self, rows: npt.NDArray[np.bool_]) -> Features:
        """The chosen rows."""
        return Features(self.inputs[rows], self.base[rows], self.unit[rows], self.usable[rows])


def features(windows: Windows, settings: Settings) -> Features:
    """The inputs of every row at every horizon. Times of day and weekdays are UTC."""
    count = windows.count
    last = count[:, -1]
    scale = _scale(count)
    columns = _row_columns(windows, scale, settings)
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    steps = np.asarray(settings.horizon_steps, dtype=np.float64)
    unit = scale[:, None] * np.sqrt(steps)
    projection = trend.project(windows, ahead_s, settings.step_s, settings.calendar)
    then = log_factors(
        settings.calendar, windows.targets, windows.times_s[:, None] + ahead_s[None, :]
    )
    inputs = np.empty((len(windows), len(ahead_s), len(NAMES)))
    inputs[:, :, : len(ROW_NAMES)] = columns[:, None, :]
    inputs[:, :, -4] = np.log(steps)
    inputs[:, :, -3] = (projection.mean - last[:, None]) / unit
    inputs[:, :, -2] = projection.deviation / unit
    inputs[:, :, -1] = then
    usable = np.isfinite(last) & np.isfinite(scale)
    return Features(inputs, projection.mean, unit, usable)


def fingerprint(settings: Settings) -> str:
    """Identifies the inputs that a model was trained on; another fingerprint, another model."""
    text = repr((NAMES, settings.horizons_s, settings.step_s, settings.lookback_steps))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _scale(count: Floats) -> Floats:
    """The window's mean absolute difference; NaN when the count never changed."""
    change = np.abs(np.diff(count, axis=1))
    known = np.isfinite(change)
    number = known.sum(axis=1)
    mean = np.where(known, change, 0.0).sum(axis=1) / np.maximum(number, 1)
    floor = 1e-3 * np.abs(np.nan_to_num(count[:, -1]))
    moving = (number >= MIN_SAMPLES) & (mean > 0)
    return np.asarray(np.where(moving, np.maximum(mean, floor), np.nan))


def _row_columns(windows: Windows, scale: Floats, settings: Settings) -> Floats:
    count, new, duration = windows.count, windows.new_per_s, windows.mean_duration_s
    last = count[:, -1]
    columns: list[Floats] = [np.log1p(np.maximum(last, 0.0)), scale / np.maximum(last, 1.0)]
    columns += [(last - count[:, -1 - lag]) / scale for lag in LAGS]
    columns += [(last - _mean(count[:, -size:])) / scale for size in MEANS]
    columns += [_deviation(count[:, -size:]) / scale for size in SPREADS]
    columns.append((last - np.fmin.reduce(count[:, -60:], axis=1)) / scale)
    columns.append((np.fmax.reduce(count[:, -60:], axis=1) - last) / scale)
    columns += [_slope(count[:, -size:]) / scale for size in SLOPES]
    arrivals = {size: _mean(new[:, -size:]) for size in RATES}
    columns += [arrivals[size] * settings.step_s / scale for size in RATES]
    columns += [_slope(new[:, -size:]) * settings.step_s / scale for size in (10, 30)]
    lasting = _mean(duration[:, -30:])
    columns += [(arrivals[size] * lasting - last) / scale for size in RATES]
    columns.append(np.log(np.maximum(lasting, 1e-6)))
    columns.append(np.log(np.maximum(_mean(duration[:, -10:]), 1e-6)) - columns[-1])
    columns += _clock(windows.times_s)
    columns += _events(windows, settings.calendar)
    return np.stack(columns, axis=1)


def _clock(times_s: Floats) -> list[Floats]:
    angle = 2 * np.pi * (times_s % _DAY_S) / _DAY_S
    weekday = (np.floor(times_s / _DAY_S) + _EPOCH_WEEKDAY) % 7
    return [np.sin(angle), np.cos(angle), weekday]


def _events(windows: Windows, calendar: Sequence[PlannedEvent]) -> list[Floats]:
    now = log_factors(calendar, windows.targets, windows.times_s)
    return [now, seconds_to_next_start(calendar, windows.targets, windows.times_s)]


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    number = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Floats = np.divide(total, number, out=np.full(len(values), np.nan), where=number > 0)
    return mean


def _deviation(values: Floats) -> Floats:
    return np.asarray(np.sqrt(_mean((values - _mean(values)[:, None]) ** 2)))


def _slope(values: Floats) -> Floats:
    """Least-squares slope per step over the known samples; NaN with fewer than two."""
    known = np.isfinite(values)
    age = np.where(known, np.arange(values.shape[1], dtype=np.float64), np.nan)
    lever = np.where(known, age - _mean(age)[:, None], 0.0)
    inertia = (lever**2).sum(axis=1)
    product = (lever * np.where(known, values, 0.0)).sum(axis=1)
    slope: Floats = np.divide(product, inertia, out=np.full(len(values), np.nan), where=inertia > 0)
    return slope
