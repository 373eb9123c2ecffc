"""What tells a ramp from an ordinary day: its rise beside every rise of the day before.

Columns beside those of `ml.breaches.crossing_inputs`, for limits that the ordinary day does not reach. A
rise over k samples is compared with the usual and with the largest rise over as many samples within the
24 hours before; the level with that day's mean and maximum, as a share of the way to the limit.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from ml.breaches.crossing_inputs import DAY_S, Ints
from ml.series import Floats

RISES = (2, 4, 8, 16, 32)  # samples
LEVELS = (1, 3, 6, 12)  # samples whose mean is the level
MOST = 20.0  # ways to the limit

COLUMNS: tuple[tuple[str, int], ...] = (
    *(
        column
        for rise in RISES
        for column in (
            (f"rise_{rise}_usual", 0),
            (f"rise_{rise}_highest", 0),
            (f"rise_{rise}_goes_on", -1),
        )
    ),
    *(
        column
        for level in LEVELS
        for column in ((f"way_from_highest_{level}", 1), (f"way_from_mean_{level}", 1))
    ),
)


def ramp_inputs(values: Floats, ends: Ints, limit: float, horizon: int, step_s: float) -> Floats:
    """Shape (ends, len(COLUMNS)); a row depends on nothing after its own end, and on two days before it.

    values: the series on its grid, (n,), NaN = missing. horizon: steps.
    """
    if not len(ends):
        return np.zeros((0, len(COLUMNS)))
    day = round(DAY_S / step_s)
    begin = max(0, int(ends.min()) - 2 * day)
    part, at = values[begin : int(ends.max()) + 1], ends - begin
    last = part[at]
    columns: list[Floats] = []
    for rise in RISES:
        level = _mean(part, max(1, rise // 4))
        rose = _later(level, 0) - _later(level, rise)
        before = _later(rose, rise)
        usual = np.sqrt(np.maximum(np.nan_to_num(_mean(before**2, day)[at]), 0.0)) + 1e-9
        columns += [
            rose[at] / usual,
            (rose[at] - _highest(before, day)[at]) / usual,
            (limit - last - rose[at] * horizon / rise) / usual,
        ]
    highest = _later(_highest(part, day), horizon)[at]
    mean = _mean(part, day)[at]
    for size in LEVELS:
        level = _mean(part, size)[at]
        columns += [_way(level, highest, limit), _way(level, mean, limit)]
    made = np.stack(columns, axis=1)
    made[~np.isfinite(made)] = np.nan
    return np.clip(made, -1e6, 1e6)


def _way(level: Floats, start: Floats, limit: float) -> Floats:
    """The share of the way from the start to the limit that the level has gone; 0 below the start."""
    way = np.maximum(level - start, 0.0) / np.maximum(limit - start, 1e-9)
    return np.minimum(np.where(np.isfinite(start), way, np.nan), MOST)


def _later(values: Floats, steps: int) -> Floats:
    """Each value `steps` samples later, NaN before."""
    if not steps:
        return values
    return np.concatenate([np.full(min(steps, len(values)), np.nan), values[:-steps]])


def _mean(values: Floats, size: int) -> Floats:
    """Over the known ones of the last `size` samples; NaN where none is."""
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    number = np.concatenate([[0], np.cumsum(known)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(0, end - size)
    count = number[end] - number[begin]
    mean: Floats = np.divide(
        total[end] - total[begin], count, out=np.full(len(values), np.nan), where=count > 0
    )
    return mean


def _highest(values: Floats, size: int) -> Floats:
    """Of the known ones of the last `size` samples; -inf where none is."""
    known = np.where(np.isfinite(values), values, -np.inf)
    # origin: moves the window of a centred filter back so that it ends at its sample
    found = maximum_filter1d(known, size, mode="constant", cval=-np.inf, origin=(size - 1) // 2)
    return np.asarray(found, dtype=np.float64)
