"""Warnings without learning: what the highest value within the horizon would be by simple rules.

Each rule gives, per sample, the peak that it expects; the score is how far that lies above the
limit, in units of how much the series moves within a horizon. A margin is then a level of that
score, chosen on calibration data as every other method's level is. Rules with a parameter stand here once per value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ml.breaches.claims import Watch
from ml.evaluation.dataset import DataSet
from ml.series import Floats

DAY_S = 86_400.0
SPANS = (4, 8, 15, 30)  # samples of a straight line
ALPHAS, BETAS, DAMPING = (0.2, 0.4, 0.6, 0.8, 0.95), (0.05, 0.2, 0.5), 0.9
RULES = ("threshold", "persistence_margin", "linear", "seasonal_naive", "holt")


def peaks(data: DataSet, rule: str) -> dict[str, Floats]:
    """Variant → expected peak per sample, shape (series, steps); NaN where nothing is known.

    rule: "threshold" and "persistence_margin" expect the present value; "linear" a least-squares line
    through the last samples; "seasonal_naive" yesterday's values, as they were or shifted to the present
    level; "holt" exponential smoothing with a damped trend, its parameters by one-step
    squared error on the training part (ETS(A,Ad,N)).
    """
    horizon = data.horizon_steps[-1]
    values = data.values
    if rule in ("threshold", "persistence_margin"):
        return {rule: values}
    if rule == "linear":
        return {f"linear_{span}": _each(values, _line(span, horizon)) for span in SPANS}
    if rule == "seasonal_naive":
        day = round(DAY_S / data.step_s)
        return {
            "seasonal_naive": _each(values, _season(day, horizon, level=False)),
            "seasonal_naive_level": _each(values, _season(day, horizon, level=True)),
        }
    if rule == "holt":
        until = int(np.searchsorted(data.times_s, data.split.train_end_s, side="right"))
        return {"holt": _each(values, lambda row: _holt_peak(row, until, horizon))}
    raise KeyError(f"no rule {rule!r}; there are {', '.join(RULES)}")


def scales(data: DataSet, rule: str) -> dict[str, Floats]:
    """Variant → what a margin is measured in, shape (series, steps).

    "threshold" takes one number per series, from the training part; "persistence_margin" the changes
    within a horizon over the latest day; the others either.
    """
    horizon = data.horizon_steps[-1]
    until = int(np.searchsorted(data.times_s, data.split.train_end_s, side="right"))
    change = np.abs(data.values[:, horizon:] - data.values[:, :-horizon])
    usual = np.nanmean(change[:, : until - horizon], axis=1)
    fixed = np.maximum(usual, 1e-9)[:, None] + np.zeros_like(data.values)
    recent = np.full_like(data.values, np.nan)
    day = round(DAY_S / data.step_s)
    for row, changes in enumerate(change):
        known = np.isfinite(changes)
        total = np.concatenate([[0.0], np.cumsum(np.where(known, changes, 0.0))])
        number = np.concatenate([[0], np.cumsum(known)])
        end = np.arange(1, len(changes) + 1)
        begin = np.maximum(0, end - day)
        mean = (total[end] - total[begin]) / np.maximum(number[end] - number[begin], 1)
        recent[row, horizon:] = np.maximum(mean, 0.05 * fixed[row, 0])
    if rule == "threshold":
        return {"fixed": fixed}
    if rule == "persistence_margin":
        return {"recent": recent}
    return {"fixed": fixed, "recent": recent}


def score(peak: Floats, scale: Floats, watched: Watch) -> Floats:
    """How far the expected peak is above the limit at each sample of a watch: (last - first,)."""
    part = slice(watched.first, watched.last)
    high = peak[watched.row, part] - watched.threshold
    return np.nan_to_num(high / scale[watched.row, part], nan=-np.inf)


def _each(values: Floats, rule: Callable[[Floats], Floats]) -> Floats:
    return np.stack([rule(row) for row in values])


def _line(span: int, horizon: int) -> Callable[[Floats], Floats]:
    age = np.arange(span, dtype=np.float64) - (span - 1) / 2

    def peak(row: Floats) -> Floats:
        windows = sliding_window_view(_filled(row), span)
        slope = np.full(len(row), np.nan)
        slope[span - 1 :] = windows @ (age / (age**2).sum())
        return np.asarray(row + np.maximum(slope * horizon, 0.0))

    return peak


def _season(day: int, horizon: int, *, level: bool) -> Callable[[Floats], Floats]:
    def peak(row: Floats) -> Floats:
        result = np.full(len(row), np.nan)
        ahead = sliding_window_view(np.concatenate([row[1:], np.full(horizon, np.nan)]), horizon)
        ahead = np.fmax.reduce(ahead, axis=1)
        result[day:] = ahead[: len(row) - day]
        if level:
            result[day:] += row[day:] - row[: len(row) - day]
        return result

    return peak


def _holt_peak(row: Floats, until: int, horizon: int) -> Floats:
    filled = _filled(row)
    best, error = (ALPHAS[0], BETAS[0]), np.inf
    for alpha in ALPHAS:
        for beta in BETAS:
            level, trend = _holt(filled[:until], alpha, beta)
            squares = float(np.mean((filled[1:until] - level[:-1] - DAMPING * trend[:-1]) ** 2))
            if squares < error:
                best, error = (alpha, beta), squares
    level, trend = _holt(filled, *best)
    reach = float(np.sum(DAMPING ** np.arange(1, horizon + 1)))
    peak = np.maximum(level + DAMPING * trend, level + reach * trend)
    return np.where(np.isfinite(row), peak, np.nan)


def _holt(row: Floats, alpha: float, beta: float) -> tuple[Floats, Floats]:
    levels, trends = np.empty(len(row)), np.empty(len(row))
    level, trend = float(row[0]), 0.0
    for index, value in enumerate(row.tolist()):
        promised = level + DAMPING * trend
        error = value - promised
        level = promised + alpha * error
        trend = DAMPING * trend + alpha * beta * error
        levels[index], trends[index] = level, trend
    return levels, trends


def _filled(row: Floats) -> Floats:
    """Gaps take the last known value, those at the begin the first known one."""
    known = np.isfinite(row)
    index = np.maximum.accumulate(np.where(known, np.arange(len(row)), -1))
    index = np.where(index < 0, int(np.argmax(known)), index)
    return row[index]
