"""Model inputs from the window's own values: lags, rolling means, slopes, spreads, smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ml.forecasting import filters
from ml.forecasting.line import MIN_SAMPLES
from ml.series import Floats
from ml.windows import Windows

LAGS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 45, 59)
MEANS = (3, 5, 10, 20, 30, 60, 120)
SLOPES = (5, 10, 30, 60)
MEMORIES = (2.0, 4.0, 8.0, 16.0, 32.0)
HOLTS = ((0.5, 0.2, 0.9), (0.8, 0.5, 0.9))  # shares of level and trend, damping
JUDGED = 60  # steps over which a smoother's errors are averaged
SPREADS = (5, 10, 30, 60)
CHANGES = (3, 5, 15, 30)
EXTREMES = (10, 30, 60)
ECHOES = (1, 2, 3)

NAMES: tuple[str, ...] = (
    "log_value",
    *(f"lag_{steps}" for steps in LAGS),
    *(f"mean_{steps}" for steps in MEANS),
    *(f"slope_{steps}" for steps in SLOPES),
    *(f"smoothed_{memory:.0f}" for memory in MEMORIES),
    *(f"holt_{index}" for index in range(len(HOLTS))),
    *(f"holt_trend_{index}" for index in range(len(HOLTS))),
    *(f"smoothed_error_{memory:.0f}" for memory in MEMORIES),
    *(f"holt_error_{index}" for index in range(len(HOLTS))),
    *(f"deviation_{steps}" for steps in SPREADS),
    *(f"change_{steps}" for steps in CHANGES),
    *(f"low_{steps}" for steps in EXTREMES),
    *(f"high_{steps}" for steps in EXTREMES),
    *(f"echo_{steps}" for steps in ECHOES),
    "largest_change",
    "still_share",
    "known_share",
)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Windows made ready. filled: the values minus the last, gaps filled with the value before (the
    first known one where none is), (rows, lookback). change: absolute one-step changes,
    NaN where unknown, (rows, lookback - 1). last: the newest known value. scale: the window's mean
    absolute change; NaN when it never changed. known: share of the samples. All else (rows,).
    """

    filled: Floats
    change: Floats
    last: Floats
    scale: Floats
    known: Floats


def look(windows: Windows) -> Seen:
    """Fill the gaps, find the scale."""
    values = windows.values
    known = np.isfinite(values)
    whole = known.all(axis=1)
    filled = values
    if not whole.all():
        filled = values.copy()
        gappy = np.flatnonzero(~whole)
        part = known[gappy]
        back = np.where(part, np.arange(values.shape[1]), -1)
        source = np.maximum.accumulate(back, axis=1)
        first = part.argmax(axis=1)[:, None]
        filled[gappy] = np.take_along_axis(
            values[gappy], np.where(source < 0, first, source), axis=1
        )
    last = filled[:, -1].copy()
    change = np.abs(np.diff(values, axis=1))
    if whole.all():
        number = np.full(len(values), change.shape[1])
        mean = change.mean(axis=1)
    else:
        paired = np.isfinite(change)
        number = paired.sum(axis=1)
        mean = np.where(paired, change, 0.0).sum(axis=1) / np.maximum(number, 1)
    floor = 1e-6 * np.abs(np.nan_to_num(last))
    moving = (number >= MIN_SAMPLES) & (mean > 0)
    scale = np.where(moving, np.maximum(mean, floor), np.nan)
    return Seen(filled - last[:, None], change, last, scale, known.mean(axis=1))


def inputs(seen: Seen) -> Floats:
    """Shape (rows, len(NAMES))."""
    size = seen.filled.shape[1]
    unit = seen.scale[:, None]
    linear, judged = _banks(size)
    blocks = [np.log1p(np.maximum(seen.last, 0.0) / seen.scale)[:, None]]
    blocks.append(seen.filled @ linear / unit)
    # One-step errors of each smoother over the window's end: which of them suits this series?
    errors = np.abs(seen.filled @ judged)
    count = errors.shape[1] // (len(MEMORIES) + len(HOLTS))
    blocks.append(errors.reshape(len(errors), -1, count).mean(axis=2) / unit)
    blocks.append(
        np.stack([seen.filled[:, -steps:].std(axis=1) for steps in SPREADS], axis=1) / unit
    )
    changes = np.diff(seen.filled, axis=1)
    absolute = np.abs(changes)
    blocks.append(np.stack([absolute[:, -steps:].mean(axis=1) for steps in CHANGES], axis=1) / unit)
    blocks.append(
        np.stack([seen.filled[:, -steps:].min(axis=1) for steps in EXTREMES], axis=1) / unit
    )
    blocks.append(
        np.stack([seen.filled[:, -steps:].max(axis=1) for steps in EXTREMES], axis=1) / unit
    )
    power = np.einsum("ij,ij->i", changes, changes)
    power[power == 0.0] = np.nan  # such a row is not usable
    echoes = [np.einsum("ij,ij->i", changes[:, k:], changes[:, :-k]) / power for k in ECHOES]
    blocks.append(np.stack(echoes, axis=1))
    still = (absolute == 0).mean(axis=1)
    blocks.append(np.stack([absolute.max(axis=1) / seen.scale, still, seen.known], axis=1))
    return np.concatenate(blocks, axis=1)


@cache
def _banks(size: int) -> tuple[Floats, Floats]:
    """(filters whose values are inputs, filters whose values are one-step errors)."""
    columns = [filters.lag(size, steps) for steps in LAGS]
    columns += [filters.mean(size, steps) for steps in MEANS]
    columns += [filters.slope(size, steps) for steps in SLOPES]
    levels = [filters.smoothed(size, memory) for memory in MEMORIES]
    trends = [filters.holt(size, *shares) for shares in HOLTS]
    columns += [level[:, -1] for level in levels]
    expected = [
        level + shares[2] * trend for (level, trend), shares in zip(trends, HOLTS, strict=True)
    ]
    columns += [one[:, -1] for one in expected]
    columns += [trend[:, -1] for _, trend in trends]
    steps = min(JUDGED, size - 1)
    actual = np.eye(size)[:, -steps:]
    errors = [actual - one[:, -steps - 1 : -1] for one in (*levels, *expected)]
    return filters.bank(columns), np.concatenate(errors, axis=1)
