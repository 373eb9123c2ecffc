"""Ramps added to recorded series, and the same days without any.

The limit is above everything of the day before (by a share of that day's range), so that what crosses it is
the ramp: demand added in a straight line, as steep as would take the level of the moment to the limit within a
number of horizons, and on beyond it. A stretch that would cross without the ramp is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.breaches.claims import Watch, watch
from ml.evaluation.breaches.limits import DAY_S, MIN_KNOWN_SHARE
from ml.evaluation.dataset import DataSet
from ml.series import Floats, Series

HEADROOM = 0.25  # of the day's range
BEYOND = 1.5  # the ramp goes on to so many times the distance, and stays there
LEVEL_SAMPLES = 6  # the level of the moment is their mean
HISTORY_S = 8 * DAY_S


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """series: a stretch with a ramp in it, from `HISTORY_S` before. begin: the ramp's first sample,
    crossing: the first above the limit, both in the stretch. first: of the stretch in its set.
    rise: samples from the begin to the nominal crossing.
    """

    series: Series
    limit: float
    begin: int
    crossing: int
    first: int
    rise: int

    @property
    def climbed(self) -> float:
        """The share of the way to the limit that the ramp itself had gone at the crossing: where it is
        small, an ordinary burst has crossed.
        """
        return (self.crossing - self.begin) / self.rise


def injected(
    data: DataSet,
    start_s: float,
    end_s: float,
    number: int,
    seed: int,
    rises: tuple[float, float],
) -> list[Injected]:
    """About `number` ramps at random moments of random series within [start_s, end_s].

    rises: least and most horizons to the nominal crossing, drawn evenly in logarithms.
    """
    random = np.random.default_rng(seed)
    times, values = data.times_s, data.values
    horizon = data.horizon_steps[-1]
    day, history = round(DAY_S / data.step_s), round(HISTORY_S / data.step_s)
    earliest = max(int(np.searchsorted(times, start_s)), day)
    last = int(np.searchsorted(times, end_s, side="right"))
    result: list[Injected] = []
    for _ in range(4 * number):
        if len(result) == number:
            break
        rise = max(2, round(horizon * float(np.exp(random.uniform(*np.log(rises))))))
        length = round(BEYOND * rise) + horizon
        if last - length <= earliest:
            continue
        row = int(random.integers(len(values)))
        begin = int(random.integers(earliest, last - length))
        limit = limit_above(values[row], begin, day)
        first = max(0, begin - history)
        part = values[row, first : begin + length].copy()
        if limit is None or np.fmax.reduce(part[begin - first - horizon :]) > limit:
            continue
        level = float(np.nanmean(part[begin - first - LEVEL_SAMPLES : begin - first + 1]))
        climb = np.clip((np.arange(len(part)) - (begin - first)) / rise, 0.0, BEYOND)
        part += (limit - level) * climb
        above = np.flatnonzero(np.nan_to_num(part, nan=-np.inf) > limit)
        if not len(above) or above[0] <= begin - first + 1:
            continue
        stretch = Series(data.series[row].target, times[first : begin + length], part)
        result.append(Injected(stretch, limit, begin - first, int(above[0]), first, rise))
    return result


def limit_above(values: Floats, begin: int, day: int, headroom: float = HEADROOM) -> float | None:
    """The limit that the day before sample `begin` stays below; None where too little of it is known."""
    before = values[begin - day : begin + 1]
    if np.isfinite(before).mean() < MIN_KNOWN_SHARE or not np.isfinite(values[begin]):
        return None
    high, low = float(np.nanmax(before)), float(np.nanmin(before))
    return high + headroom * (high - low) if high > low else None


def calm(
    data: DataSet, start_s: float, end_s: float, headroom: float = HEADROOM, later_s: float = 0.0
) -> list[Watch]:
    """Every day of the part under the limit that a ramp at its begin would have. Days of 24 h from
    `later_s` after the part's begin, in order of time for each series.
    """
    times = data.times_s
    day = round(DAY_S / data.step_s)
    first = max(int(np.searchsorted(times, start_s + later_s)), day)
    last = int(np.searchsorted(times, end_s, side="right"))
    watches = []
    for row, values in enumerate(data.values):
        for begin in range(first, last, day):
            limit = limit_above(values, begin, day, headroom)
            if limit is not None:
                shape = (limit, data.horizon_steps[-1], data.step_s)
                watches.append(watch(row, values, *shape, begin, min(begin + day, last)))
    return watches
