"""Linear filters of a window: each is a column of weights over its samples, oldest first.

A level filter's weights sum to 1, a slope filter's to 0. Recursive filters (exponential smoothing, Holt's
damped trend) are written out as the weights that they come to on a window of this length, so that
all filters of all rows are one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.series import Floats


def lag(size: int, steps: int) -> Floats:
    """The sample `steps` before the last; the oldest where the window is shorter."""
    weights = np.zeros(size)
    weights[max(0, size - 1 - steps)] = 1.0
    return weights


def mean(size: int, steps: int) -> Floats:
    """The mean of the last `steps` samples."""
    weights = np.zeros(size)
    weights[-steps:] = 1.0 / min(steps, size)
    return weights


def slope(size: int, steps: int) -> Floats:
    """The least-squares slope per step of the last `steps` samples."""
    lever = np.arange(min(steps, size), dtype=np.float64)
    lever -= lever.mean()
    weights = np.zeros(size)
    weights[-len(lever) :] = lever / (lever**2).sum()
    return weights


def smoothed(size: int, memory_steps: float) -> Floats:
    """Simple exponential smoothing with weight 1 / memory for the newest sample, shape (size, size).

    Column j is the level after sample j.
    """
    share = 1.0 / memory_steps
    levels = np.zeros((size, size))
    levels[0, 0] = 1.0
    for j in range(1, size):
        levels[:, j] = (1.0 - share) * levels[:, j - 1]
        levels[j, j] += share
    return levels


def holt(
    size: int, level_share: float, trend_share: float, damping: float
) -> tuple[Floats, Floats]:
    """Holt's damped trend (Gardner and McKenzie 1985): (levels, trends), both (size, size).

    Column j is what is known after sample j; the forecast k steps on is level + trend times
    damping + … + damping^k.
    """
    levels, trends = np.zeros((size, size)), np.zeros((size, size))
    levels[0, 0] = 1.0
    for j in range(1, size):
        expected = levels[:, j - 1] + damping * trends[:, j - 1]
        levels[:, j] = (1.0 - level_share) * expected
        levels[j, j] += level_share
        trends[:, j] = (
            trend_share * (levels[:, j] - levels[:, j - 1])
            + (1.0 - trend_share) * damping * trends[:, j - 1]
        )
    return levels, trends


def same_phase(size: int, period: int, ahead: int, most: int) -> tuple[Floats, Floats] | None:
    """What followed at the same phase of earlier periods of the window: (level, change).

    level: the mean of the samples that lie a whole number of periods before `ahead` steps after the
    last one. change: the mean of their differences from the sample `ahead` steps before each.
    At most the `most` latest periods; None when the window holds fewer than two.
    """
    level, change = np.zeros(size), np.zeros(size)
    number = 0
    times = max(1, -(-ahead // period))
    while number < most and times * period <= size - 1:
        level[size - 1 + ahead - times * period] += 1.0
        change[size - 1 + ahead - times * period] += 1.0
        change[size - 1 - times * period] -= 1.0
        number += 1
        times += 1
    if number < 2:
        return None
    return level / number, change / number


def bank(columns: Sequence[Floats]) -> Floats:
    """The filters side by side, shape (size, filters)."""
    return np.stack(columns, axis=1)
