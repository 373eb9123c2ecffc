"""The limits under which the recorded series are watched for breaches.

Recorded series drift: a limit from the training part is never reached in one test part and always
exceeded in another. As capacity follows demand, each limit is set anew every day, to a quantile
of the series' own 24 hours before; each day under one limit is watched for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ml.breaches.claims import Watch, watch
from ml.evaluation.dataset import DataSet

LEVELS = (0.9, 0.95, 0.98)
TRAINING_LEVELS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.995)
DAY_S = 86_400.0
MIN_KNOWN_SHARE = 0.5


class Limits(Protocol):
    """Which limits a set is watched under."""

    def __call__(
        self, data: DataSet, start_s: float, end_s: float, *, training: bool
    ) -> list[Watch]:
        """The watches of [start_s, end_s], under many limits for training, the stated ones otherwise."""
        ...


def daily(data: DataSet, start_s: float, end_s: float, *, training: bool) -> list[Watch]:
    """Per series, day and level one watch; days of 24 h from start_s. The horizon is the set's longest.

    Days after such with less than half of the samples known, or without any change, have no limit.
    """
    times = data.times_s
    day = round(DAY_S / data.step_s)
    begin = int(np.searchsorted(times, start_s, side="left"))
    end = int(np.searchsorted(times, end_s, side="right"))
    horizon = data.horizon_steps[-1]
    watches = []
    for row, values in enumerate(data.values):
        for first in range(max(begin, day), end, day):
            before = values[first - day : first]
            if np.isfinite(before).mean() < MIN_KNOWN_SHARE:
                continue
            if np.nanmax(before) == np.nanmin(before):
                continue
            last = min(first + day, end)
            for level in TRAINING_LEVELS if training else LEVELS:
                limit = float(np.nanquantile(before, level))
                watches.append(watch(row, values, limit, horizon, data.step_s, first, last))
    return watches


def constant(limit: float, training_limits: Sequence[float]) -> Limits:
    """One limit for all series and all the time, as a router has."""

    def watches(data: DataSet, start_s: float, end_s: float, *, training: bool) -> list[Watch]:
        first = int(np.searchsorted(data.times_s, start_s, side="left"))
        last = int(np.searchsorted(data.times_s, end_s, side="right"))
        horizon = data.horizon_steps[-1]
        return [
            watch(row, values, one, horizon, data.step_s, first, last)
            for row, values in enumerate(data.values)
            for one in (training_limits if training else (limit,))
        ]

    return watches
