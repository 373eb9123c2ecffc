"""What a crossing classifier sees of a series and a limit: the same for training and serving.

Everything is relative: distances to the limit in units of the series' own mean absolute difference,
shares, logarithms, angles. A column that depends on the limit can only fall (DIRECTION -1) or
only rise (+1) with the risk that a lower limit brings, so that a model with these constraints never
says that a higher limit is likelier to be crossed. Short columns see the last `SPAN` samples; long
ones the history, as far as it reaches (NaN beyond).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ml.known_samples import mean_of_known, slope_of_known
from ml.series import Floats

Ints = npt.NDArray[np.int64]
SPAN = 60
LAGS = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 59)
SIZES = (3, 6, 12, 30, 60)
LINES = (4, 8, 15, 30, 60)
SHARES_S = (3600.0, 21_600.0, 86_400.0, 604_800.0)
BACK_S = (3600.0, 7200.0, 21_600.0, 86_400.0, 172_800.0, 604_800.0)
DAY_S, WEEK_DAYS, HOUR_S = 86_400.0, 7, 3600.0
_RESAMPLED = 20  # earlier stretches of one horizon whose rise is compared with the distance
_LONG_AGO = 1 << 40

_SHORT: tuple[tuple[str, int], ...] = (
    ("distance", -1),
    ("distance_10", -1),
    ("distance_horizon", -1),
    ("distance_relative", -1),
    ("distance_deviation", -1),
    ("scale_change", 0),
    ("scale_relative", 0),
    *((f"lag_{lag}", 0) for lag in LAGS),
    *(
        column
        for size in SIZES
        for column in (
            (f"highest_{size}", -1),
            (f"mean_{size}", -1),
            (f"above_lowest_{size}", 0),
            (f"share_above_{size}", 1),
        )
    ),
    *(column for size in LINES for column in ((f"slope_{size}", 0), (f"line_{size}", -1))),
    ("since_above", -1),
    ("rose_as_much", 1),
)
_LONG: tuple[tuple[str, int], ...] = (
    *((f"share_{span_s:.0f}_s", 1) for span_s in SHARES_S),
    ("since_above_long", -1),
    *(
        column
        for back_s in BACK_S
        for column in (
            (f"peak_{back_s:.0f}_s", -1),
            (f"shifted_peak_{back_s:.0f}_s", -1),
            (f"change_{back_s:.0f}_s", 0),
        )
    ),
    ("crossed_at_this_time", 1),
    ("day_sine", 0),
    ("day_cosine", 0),
    ("weekday", 0),
    ("hour_sine", 0),
    ("hour_cosine", 0),
)
NAMES: tuple[str, ...] = tuple(name for name, _ in _SHORT + _LONG)
DIRECTIONS: tuple[int, ...] = tuple(direction for _, direction in _SHORT + _LONG)
SHORT_COLUMNS = len(_SHORT)


def crossing_inputs(
    values: Floats, times_s: Floats, ends: Ints, limit: float, horizon: int, step_s: float
) -> Floats:
    """The inputs of one series at the samples `ends`, shape (ends, len(NAMES)).

    values, times_s: the series on its grid up to at least the last end, shape (n,); a row depends on
    nothing after its own end. The value at every end must be known. horizon: steps.
    """
    padded = np.concatenate([np.full(SPAN - 1, np.nan), values])
    windows = sliding_window_view(padded, SPAN)[ends]
    scale = _scale(windows)
    short = _short(windows, scale, np.full(len(ends), limit), horizon)
    return np.concatenate(
        [short, _long(values, times_s, ends, scale, limit, horizon, step_s)], axis=1
    )


def recent_inputs(windows: Floats, times_s: Floats, limits: Floats, horizon: int) -> Floats:
    """The same columns where only the last `SPAN` samples are at hand, shape (rows, len(NAMES)).

    windows: (rows, SPAN), the newest value known. times_s: of the newest, (rows,). limits: (rows,).
    What needs a longer history is NaN, but for the clock.
    """
    short = _short(windows, _scale(windows), limits, horizon)
    inputs = np.full((len(windows), len(NAMES)), np.nan)
    inputs[:, :SHORT_COLUMNS] = short
    clock = _clock(times_s)
    inputs[:, -len(clock) :] = np.stack(clock, axis=1)
    return inputs


def _scale(windows: Floats) -> Floats:
    """The mean absolute difference of each window; never 0."""
    least = 1e-3 * np.abs(windows[:, -1]) + 1e-9
    return np.maximum(mean_of_known(np.abs(np.diff(windows, axis=1))), least)


def _short(windows: Floats, scale: Floats, limit: Floats, horizon: int) -> Floats:
    """limit: (rows,)."""
    last = windows[:, -1]
    distance = limit - last
    recent = np.maximum(mean_of_known(np.abs(np.diff(windows[:, -11:], axis=1))), 0.05 * scale)
    deviation = np.sqrt(mean_of_known((windows - mean_of_known(windows)[:, None]) ** 2))
    columns = [
        distance / scale,
        distance / recent,
        distance / (scale * np.sqrt(horizon)),
        distance / np.maximum(np.abs(limit), 1e-9),
        distance / np.maximum(deviation, 0.1 * scale),
        np.log(recent / scale),
        np.log(scale / np.maximum(np.abs(last), 1e-9)),
    ]
    columns += [(last - windows[:, -1 - lag]) / scale for lag in LAGS]
    above = windows > limit[:, None]  # NaN: not above
    for size in SIZES:
        part = windows[:, -size:]
        columns += [
            (limit - np.fmax.reduce(part, axis=1)) / scale,
            (limit - mean_of_known(part)) / scale,
            (last - np.fmin.reduce(part, axis=1)) / scale,
            above[:, -size:].mean(axis=1),
        ]
    for size in LINES:
        slope = slope_of_known(windows[:, -size:])
        columns += [slope / scale, (distance - slope * horizon) / scale]
    found = above.any(axis=1)
    columns.append(np.log1p(np.where(found, np.argmax(above[:, ::-1], axis=1), SPAN)))
    columns.append(_rose_as_much(windows, distance, horizon))
    return np.stack(columns, axis=1)


def _rose_as_much(windows: Floats, distance: Floats, horizon: int) -> Floats:
    """Share of earlier stretches of one horizon in the window that rose by more than the distance."""
    starts = SPAN - horizon - 1
    if starts < 4:
        return np.full(len(windows), np.nan)
    rose = [
        np.fmax.reduce(windows[:, start + 1 : start + 1 + horizon], axis=1) - windows[:, start]
        for start in range(0, starts, max(1, starts // _RESAMPLED))
    ]
    rises = np.stack(rose, axis=1)
    return mean_of_known(np.where(np.isfinite(rises), rises > distance[:, None], np.nan))


def _long(
    values: Floats,
    times_s: Floats,
    ends: Ints,
    scale: Floats,
    limit: float,
    horizon: int,
    step_s: float,
) -> Floats:
    above = np.nan_to_num(values, nan=-np.inf) > limit
    total = np.concatenate([[0], np.cumsum(above)])
    columns: list[Floats] = []
    for span_s in SHARES_S:
        begin = np.maximum(0, ends + 1 - round(span_s / step_s))
        columns.append((total[ends + 1] - total[begin]) / np.maximum(ends + 1 - begin, 1))
    index = np.arange(len(values), dtype=np.int64)
    last_above = np.maximum.accumulate(np.where(above, index, -_LONG_AGO))
    most = 10 * round(DAY_S / step_s)
    columns.append(np.log1p(np.minimum(ends - last_above[ends], most)))
    # Of what followed an earlier moment only what is known by now may be seen.
    peak_after = _peaks_after(values, horizon, len(ends))
    last = values[ends]
    for back_s in BACK_S:
        back = round(back_s / step_s)
        known = (ends >= back) & (back >= horizon)
        then = np.where(known, ends - back, 0)
        peak = np.where(known, peak_after(then), np.nan)
        change = last - np.where(known, values[then], np.nan)
        columns += [(limit - peak) / scale, (limit - peak - change) / scale, change / scale]
    columns.append(_crossed_before(peak_after, ends, limit, round(DAY_S / step_s), horizon))
    columns += _clock(times_s[ends])
    return np.stack(columns, axis=1)


def _peaks_after(values: Floats, horizon: int, rows: int) -> Callable[[Ints], Floats]:
    """The highest of the `horizon` samples after each of some; of all at once where many rows ask."""
    following = np.concatenate([values[1:], np.full(horizon, np.nan)])
    windows = sliding_window_view(following, horizon)
    if rows * (len(BACK_S) + WEEK_DAYS) < len(values):
        return lambda at: np.asarray(np.fmax.reduce(windows[at], axis=1))
    peaks = np.fmax.reduce(windows, axis=1)
    return lambda at: np.asarray(peaks[at])


def _crossed_before(
    peak_after: Callable[[Ints], Floats], ends: Ints, limit: float, day: int, horizon: int
) -> Floats:
    """Share of the last seven days on which the limit was crossed within a horizon of this time."""
    crossed, days = np.zeros(len(ends)), np.zeros(len(ends))
    for number in range(1, WEEK_DAYS + 1):
        known = (ends >= number * day) & (number * day >= horizon)
        then = np.where(known, ends - number * day, 0)
        crossed += np.where(known, np.nan_to_num(peak_after(then), nan=-np.inf) > limit, 0.0)
        days += known
    return np.where(days > 0, crossed / np.maximum(days, 1), np.nan)


def _clock(times_s: Floats) -> list[Floats]:
    day = 2 * np.pi * (times_s % DAY_S) / DAY_S
    hour = 2 * np.pi * (times_s % HOUR_S) / HOUR_S
    weekday = (np.floor(times_s / DAY_S) + 3) % 7  # 1 January 1970 was a Thursday; Monday is 0
    return [np.sin(day), np.cos(day), weekday, np.sin(hour), np.cos(hour)]
