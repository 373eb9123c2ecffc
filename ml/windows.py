"""Rows of equally long windows: the one shape in which models see the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ml.series import Floats, Series, on_grid


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Row r holds the last `lookback` grid samples of targets[r] up to times_s[r], oldest first.

    times_s: shape (rows,), Unix seconds. count, new_per_s, mean_duration_s: shape (rows, lookback),
    C-contiguous; NaN where no sample is known, as before the series began.
    """

    targets: tuple[str, ...]
    times_s: Floats
    count: Floats
    new_per_s: Floats
    mean_duration_s: Floats

    def __len__(self) -> int:
        return len(self.times_s)

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Windows:
        """The chosen rows, copied."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Windows(
            tuple(self.targets[i] for i in index),
            self.times_s[index],
            self.count[index],
            self.new_per_s[index],
            self.mean_duration_s[index],
        )


def latest(series: Sequence[Series], lookback: int, step_s: float) -> Windows:
    """One row per series: the window that ends at its last sample. No series may be empty."""
    rows = len(series)
    count = np.empty((rows, lookback))
    new = np.empty((rows, lookback))
    duration = np.empty((rows, lookback))
    for row, one in enumerate(series):
        count[row], new[row], duration[row] = on_grid(one, lookback, step_s)
    times = np.array([one.times_s[-1] for one in series], dtype=np.float64)
    return Windows(tuple(one.target for one in series), times, count, new, duration)


def rolling(series: Series, lookback: int, ends: npt.NDArray[np.int64]) -> Windows:
    """The windows of a series *already on its grid* that end at the samples with these indices."""

    def rows(values: Floats) -> Floats:
        padded = np.concatenate([np.full(lookback - 1, np.nan), values])
        return np.ascontiguousarray(sliding_window_view(padded, lookback)[ends])

    return Windows(
        (series.target,) * len(ends),
        series.times_s[ends],
        rows(series.count),
        rows(series.new_per_s),
        rows(series.mean_duration_s),
    )


def stacked(parts: Sequence[Windows]) -> Windows:
    """All rows of all parts, in order."""
    return Windows(
        tuple(target for part in parts for target in part.targets),
        np.concatenate([part.times_s for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.new_per_s for part in parts]),
        np.concatenate([part.mean_duration_s for part in parts]),
    )
