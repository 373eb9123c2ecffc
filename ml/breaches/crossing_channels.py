"""What arrivals and durations add to the inputs of a crossing classifier, for live connections.

New connections lead the live ones: rate times mean duration is where the count is going (Little's
law). How soon depends on what closes: connections of about one mean duration close in the
order in which they came, so that the arrivals of one duration ago are the closings of the next seconds.
Distances to the limit are in units of its own root, the chance variation of a count of that size.
"""

from __future__ import annotations

import numpy as np

from ml.breaches.crossing_inputs import Ints
from ml.known_samples import mean_of_known
from ml.series import MEAN_DURATION_S, NEW_PER_S, Floats, Series
from ml.windows import Windows, rolling

LOOKBACK = 60
RATES = (1, 2, 3, 4, 6, 8, 12, 20, 40)  # samples whose mean is the rate of arrivals
CHANGES = (2, 4, 8, 15)  # samples against as many before
LAGS = (1, 2, 3, 5, 8, 12, 20, 40, 59)
PARTS = (0.25, 0.5, 0.75)  # of the mean duration ahead
PART_RATES = (2, 4, 8)
LINES, AHEADS = (3, 8), (5, 10, 20)  # samples of the slope of arrivals; how far it goes on
PEAK = 4  # samples of the highest rate in the window
_ROWS = 20_000  # at once: the windows of many rows fill the memory

COLUMNS: tuple[tuple[str, int], ...] = (
    ("room", -1),
    ("lasting", 0),
    *((f"equilibrium_{steps}", -1) for steps in RATES),
    *((f"arrivals_change_{steps}", 0) for steps in CHANGES),
    *((f"growth_{lag}", 0) for lag in LAGS),
    *((f"closing_{part}_{steps}", -1) for part in PARTS for steps in PART_RATES),
    *((f"slope_{steps}_{ahead}", -1) for steps in LINES for ahead in AHEADS),
    ("highest_equilibrium", -1),
)


def recorded(series: Series) -> bool:
    """Whether the series tells new connections and durations."""
    return NEW_PER_S in series.channels and MEAN_DURATION_S in series.channels


def channel_inputs(series: Series, ends: Ints, limit: float, horizon: int, step_s: float) -> Floats:
    """Shape (ends, len(COLUMNS)); a row depends on nothing after its own end. horizon: steps."""
    parts = [
        windows_channel_inputs(
            rolling(series, LOOKBACK, some), np.full(len(some), limit), horizon, step_s
        )
        for first in range(0, len(ends), _ROWS)
        if len(some := ends[first : first + _ROWS])
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(COLUMNS)))


def windows_channel_inputs(windows: Windows, limits: Floats, horizon: int, step_s: float) -> Floats:
    """The same from windows of `LOOKBACK` samples, with a limit for each row: limits (rows,)."""
    count = windows.values
    came = windows.channel(NEW_PER_S) * step_s  # per step from here on
    lasting = mean_of_known(windows.channel(MEAN_DURATION_S)) / step_s
    unit = np.sqrt(np.maximum(limits, 1.0))
    own = np.sqrt(np.maximum(mean_of_known(count[:, -10:]), 1.0))
    last = count[:, -1]
    total = _totals(came)

    def rate(first: int, size: int) -> Floats:
        """Arrivals per step over `size` samples, the newest of them `first` ago."""
        return np.asarray((total[:, first + size] - total[:, first]) / size)

    columns = [(limits - last) / unit, lasting / horizon]
    columns += [(limits - rate(0, steps) * lasting) / unit for steps in RATES]
    for steps in CHANGES:
        now, before = rate(0, steps), rate(steps, steps)
        columns.append((now - before) * np.sqrt(steps / np.maximum(now + before, 1.0 / steps)))
    columns += [(last - count[:, -1 - lag]) / own for lag in LAGS]
    for part in PARTS:
        ahead = part * lasting
        closing = _between(total, lasting - ahead, lasting)
        columns += [
            (limits - last - rate(0, steps) * ahead + closing) / unit for steps in PART_RATES
        ]
    for steps in LINES:
        now = rate(0, steps)
        slope = (now - rate(steps, steps)) / steps
        columns += [
            (limits - (now + slope * (ahead + steps / 2)) * lasting) / unit for ahead in AHEADS
        ]
    highest = np.fmax.reduce([rate(first, PEAK) for first in range(0, LOOKBACK - PEAK, 2)])
    columns.append((limits - highest * lasting) / unit)
    return np.stack(columns, axis=1)


def _totals(came: Floats) -> Floats:
    """Arrivals of the newest k samples, shape (rows, samples + 1); a missing one counts as the mean."""
    newest_first = came[:, ::-1]
    filled = np.where(np.isfinite(newest_first), newest_first, mean_of_known(came)[:, None])
    return np.concatenate([np.zeros((len(came), 1)), np.cumsum(filled, axis=1)], axis=1)


def _between(total: Floats, since: Floats, until: Floats) -> Floats:
    """Arrivals from `until` to `since` steps ago, (rows,): linear within a step, at most the window."""

    def before(age: Floats) -> Floats:
        inside = np.clip(np.nan_to_num(age), 0.0, total.shape[1] - 1.0)
        low = np.minimum(inside.astype(np.int64), total.shape[1] - 2)
        row = np.arange(len(total))
        part = inside - low
        return np.asarray(total[row, low] * (1.0 - part) + total[row, low + 1] * part)

    return np.where(np.isfinite(until), before(until) - before(since), np.nan)
