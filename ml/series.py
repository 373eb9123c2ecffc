"""The observed history of one target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Samples of one target (a router), all arrays of the same length, times ascending.

    NaN marks a missing sample. A rate belongs to the interval that ends at its time.

    times_s: Unix time, seconds. count: live connections. new_per_s: connections opened per second.
    mean_duration_s: mean duration in seconds of the connections that closed in the interval.
    """

    target: str
    times_s: Floats
    count: Floats
    new_per_s: Floats
    mean_duration_s: Floats

    def __post_init__(self) -> None:
        for name in ("times_s", "count", "new_per_s", "mean_duration_s"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 1:
                raise ValueError(f"series {self.target!r}: {name} must be one-dimensional")
            object.__setattr__(self, name, values)
        size = len(self.times_s)
        for name in ("count", "new_per_s", "mean_duration_s"):
            if len(getattr(self, name)) != size:
                raise ValueError(
                    f"series {self.target!r}: {name} has {len(getattr(self, name))} samples, "
                    f"times_s has {size}; pass NaN where a sample is missing"
                )
        if not np.isfinite(self.times_s).all():
            raise ValueError(f"series {self.target!r}: every time must be finite")
        if size > 1 and (self.times_s[1:] <= self.times_s[:-1]).any():
            raise ValueError(f"series {self.target!r}: times must ascend, without repeats")

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times_s[-1] - self.times_s[0]) if len(self) else 0.0

    def until(self, end_s: float) -> Series:
        """The samples at or before `end_s` (views, no copy)."""
        end = int(np.searchsorted(self.times_s, end_s, side="right"))
        return self if end == len(self) else self._slice(0, end)

    def since(self, start_s: float) -> Series:
        """The samples at or after `start_s` (views, no copy)."""
        start = int(np.searchsorted(self.times_s, start_s, side="left"))
        return self if start == 0 else self._slice(start, len(self))

    def resampled(self, step_s: float) -> Series:
        """The series on a regular grid that ends at its last sample.

        Each sample goes to the nearest grid point, so a poll that jitters by less than half a
        step loses nothing. Several samples at one point: the last count, the mean of the rates
        and of the durations. None: NaN.
        """
        if step_s <= 0:
            raise ValueError(f"step_s must be positive, not {step_s}")
        if not len(self):
            return self
        back = steps_back(self.times_s, float(self.times_s[-1]), step_s)
        size = int(back[0]) + 1
        times = self.times_s[-1] - step_s * np.arange(size - 1, -1, -1, dtype=np.float64)
        count, new, duration = on_grid(self, size, step_s)
        return Series(self.target, times, count, new, duration)

    def _slice(self, start: int, end: int) -> Series:
        return Series(
            self.target,
            self.times_s[start:end],
            self.count[start:end],
            self.new_per_s[start:end],
            self.mean_duration_s[start:end],
        )


def steps_back(times_s: Floats, anchor_s: float, step_s: float) -> npt.NDArray[np.int64]:
    """How many grid steps before the anchor each time lies, rounded to the nearest."""
    return np.floor((anchor_s - times_s) / step_s + 0.5).astype(np.int64)


def on_grid(series: Series, size: int, step_s: float) -> tuple[Floats, Floats, Floats]:
    """(count, new_per_s, mean_duration_s) at the last `size` grid points, oldest first."""
    anchor_s = float(series.times_s[-1])
    first = int(np.searchsorted(series.times_s, anchor_s - (size - 0.5) * step_s, side="right"))
    back = steps_back(series.times_s[first:], anchor_s, step_s)
    keep = slice(first + int(np.count_nonzero(back >= size)), None)
    slot = size - 1 - back[back < size]
    channels = (series.count[keep], series.new_per_s[keep], series.mean_duration_s[keep])
    if len(slot) < 2 or (slot[1:] > slot[:-1]).all():
        filled = []
        for values in channels:
            row = np.full(size, np.nan)
            row[slot] = values
            filled.append(row)
        return filled[0], filled[1], filled[2]
    count = np.full(size, np.nan)
    known = np.isfinite(channels[0])
    count[slot[known]] = channels[0][known]  # numpy keeps the last of repeated indices
    return count, _means(slot, channels[1], size), _means(slot, channels[2], size)


def _means(slot: npt.NDArray[np.int64], values: Floats, size: int) -> Floats:
    known = np.isfinite(values)
    total = np.bincount(slot[known], weights=values[known], minlength=size)
    number = np.bincount(slot[known], minlength=size)
    means = np.full(size, np.nan)
    np.divide(total, number, out=means, where=number > 0)
    return means
