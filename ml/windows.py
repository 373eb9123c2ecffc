"""Rows of equally long windows: the one shape in which models see the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ml.series import Floats, Series, on_grid


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Row r holds the last `lookback` grid samples of targets[r] up to times_s[r], oldest first.

    times_s: shape (rows,), Unix seconds. values: shape (rows, lookback), C-contiguous; NaN where no
    sample is known, as before the series began. channels: name → alike; only those that at least
    one of the series has.
    """

    targets: tuple[str, ...]
    times_s: Floats
    values: Floats
    channels: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times_s)

    def channel(self, name: str) -> Floats:
        """A channel by name, shape (rows, lookback), NaN throughout where no series has it."""
        found = self.channels.get(name)
        return np.full(self.values.shape, np.nan) if found is None else found

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Windows:
        """The chosen rows, copied; the windows themselves when all are chosen."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if len(index) == len(self) and bool((index == np.arange(len(self))).all()):
            return self
        return Windows(
            tuple(self.targets[i] for i in index),
            self.times_s[index],
            self.values[index],
            {name: one[index] for name, one in self.channels.items()},
        )

    def earlier(self, back: int, step_s: float) -> Windows:
        """The same rows `back` steps before, on the part of the window that reaches so far back."""
        return Windows(
            self.targets,
            self.times_s - back * step_s,
            self.values[:, :-back],
            {name: one[:, :-back] for name, one in self.channels.items()},
        )


def latest(series: Sequence[Series], lookback: int, step_s: float) -> Windows:
    """One row per series: the window that ends at its last sample. No series may be empty."""
    rows = len(series)
    names = recorded(series)
    values = np.full((rows, lookback), np.nan)
    channels = {name: np.full((rows, lookback), np.nan) for name in names}
    times = np.array([one.times_s[-1] for one in series], dtype=np.float64)
    regular = _regular(series, times, lookback, step_s)
    for row, one in enumerate(series):
        if regular[row]:
            values[row] = one.values[-lookback:]
            for name in names:
                if name in one.channels:
                    channels[name][row] = one.channels[name][-lookback:]
            continue
        known, columns = on_grid(one, lookback, step_s, names)
        values[row] = known
        for name, column in zip(names, columns, strict=True):
            channels[name][row] = column
    return Windows(tuple(one.target for one in series), times, values, channels)


def _regular(
    series: Sequence[Series], ends_s: Floats, lookback: int, step_s: float
) -> npt.NDArray[np.bool_]:
    """Whose last `lookback` samples lie one by one at the grid's points: they need no sorting in."""
    stamps = np.full((len(series), lookback), np.nan)
    for row, one in enumerate(series):
        if len(one) >= lookback:
            stamps[row] = one.times_s[-lookback:]
    off = (stamps - ends_s[:, None]) / step_s + np.arange(lookback - 1, -1, -1)
    return np.asarray((np.abs(off) < 0.5).all(axis=1))


def rolling(series: Series, lookback: int, ends: npt.NDArray[np.int64]) -> Windows:
    """The windows of a series *already on its grid* that end at the samples with these indices."""

    def rows(values: Floats) -> Floats:
        padded = np.concatenate([np.full(lookback - 1, np.nan), values])
        return np.ascontiguousarray(sliding_window_view(padded, lookback)[ends])

    return Windows(
        (series.target,) * len(ends),
        series.times_s[ends],
        rows(series.values),
        {name: rows(series.channels[name]) for name in recorded([series])},
    )


def stacked(parts: Sequence[Windows]) -> Windows:
    """All rows of all parts, in order. Where a part lacks a channel, it is NaN."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.channels))
    return Windows(
        tuple(target for part in parts for target in part.targets),
        np.concatenate([part.times_s for part in parts]),
        np.concatenate([part.values for part in parts]),
        {name: np.concatenate([part.channel(name) for part in parts]) for name in names},
    )


def recorded(series: Sequence[Series]) -> tuple[str, ...]:
    """The channels that at least one of the series has, in the order in which they appear."""
    return tuple(dict.fromkeys(name for one in series for name in one.channels))
