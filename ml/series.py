"""The observed history of one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# The channels of live connections: what lets a queue model see farther than the count alone.
NEW_PER_S = "new_per_s"
MEAN_DURATION_S = "mean_duration_s"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Samples of one metric of one target, all arrays of the same length, times ascending.

    NaN marks a missing sample. A rate belongs to the interval that ends at its time.

    times_s: Unix time, seconds. values: what is forecast (live connections, CPU percent, requests
    per minute, …), not negative. channels: further series on the same times that help. Known to the
    models: "new_per_s", connections opened per second, and "mean_duration_s", the mean duration
    in seconds of the connections that closed in the interval; and those named in
    `ml.settings.Settings.companions`.
    """

    target: str
    times_s: Floats
    values: Floats
    channels: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_s", self._checked("times_s", self.times_s))
        object.__setattr__(self, "values", self._checked("values", self.values))
        channels = {name: self._checked(name, one) for name, one in self.channels.items()}
        object.__setattr__(self, "channels", channels)
        size = len(self.times_s)
        for name, one in {"values": self.values, **channels}.items():
            if len(one) != size:
                raise ValueError(
                    f"series {self.target!r}: {name} has {len(one)} samples, "
                    f"times_s has {size}; pass NaN where a sample is missing"
                )
        if not np.isfinite(self.times_s).all():
            raise ValueError(f"series {self.target!r}: every time must be finite")
        if size > 1 and (self.times_s[1:] <= self.times_s[:-1]).any():
            raise ValueError(f"series {self.target!r}: times must ascend, without repeats")

    def _checked(self, name: str, given: npt.ArrayLike) -> Floats:
        values = np.asarray(given, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(f"series {self.target!r}: {name} must be one-dimensional")
        return values

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times_s[-1] - self.times_s[0]) if len(self) else 0.0

    def channel(self, name: str) -> Floats:
        """A channel by name, NaN throughout where it is not recorded."""
        found = self.channels.get(name)
        return np.full(len(self), np.nan) if found is None else found

    def until(self, end_s: float) -> Series:
        """The samples at or before `end_s` (views, no copy)."""
        if not len(self.times_s) or self.times_s[-1] <= end_s:
            return self
        return self._slice(0, int(np.searchsorted(self.times_s, end_s, side="right")))

    def since(self, start_s: float) -> Series:
        """The samples at or after `start_s` (views, no copy)."""
        start = int(np.searchsorted(self.times_s, start_s, side="left"))
        return self if start == 0 else self._slice(start, len(self))

    def copy(self) -> Series:
        """The same samples in arrays of their own."""
        channels = {name: one.copy() for name, one in self.channels.items()}
        return Series(self.target, self.times_s.copy(), self.values.copy(), channels)

    def resampled(self, step_s: float) -> Series:
        """The series on a regular grid that ends at its last sample.

        Each sample goes to the nearest grid point, so a poll that jitters by less than half a
        step loses nothing. Several samples at one point: the last value, the mean of each channel.
        None: NaN.
        """
        if step_s <= 0:
            raise ValueError(f"step_s must be positive, not {step_s}")
        if not len(self):
            return self
        back = steps_back(self.times_s, float(self.times_s[-1]), step_s)
        size = int(back[0]) + 1
        times = self.times_s[-1] - step_s * np.arange(size - 1, -1, -1, dtype=np.float64)
        values, channels = on_grid(self, size, step_s, tuple(self.channels))
        return Series(self.target, times, values, dict(zip(self.channels, channels, strict=True)))

    def _slice(self, start: int, end: int) -> Series:
        # Already checked: a view of what is sound is sound, and this is called for every target in
        # every cycle.
        view = object.__new__(Series)
        object.__setattr__(view, "target", self.target)
        object.__setattr__(view, "times_s", self.times_s[start:end])
        object.__setattr__(view, "values", self.values[start:end])
        channels = {name: one[start:end] for name, one in self.channels.items()}
        object.__setattr__(view, "channels", channels)
        return view


def connections_series(
    target: str, times_s: Floats, count: Floats, new_per_s: Floats, mean_duration_s: Floats
) -> Series:
    """Live connections with both channels; arguments as of `Series`."""
    return Series(target, times_s, count, {NEW_PER_S: new_per_s, MEAN_DURATION_S: mean_duration_s})


def companions(series: Iterable[Series]) -> tuple[str, ...]:
    """The channels of any series that are other metrics of its target, for `ml.settings.Settings`."""
    found = dict.fromkeys(name for one in series for name in one.channels)
    return tuple(name for name in found if name not in (NEW_PER_S, MEAN_DURATION_S))


def steps_back(times_s: Floats, anchor_s: float, step_s: float) -> npt.NDArray[np.int64]:
    """How many grid steps before the anchor each time lies, rounded to the nearest."""
    return np.floor((anchor_s - times_s) / step_s + 0.5).astype(np.int64)


def on_grid(
    series: Series, size: int, step_s: float, channels: tuple[str, ...]
) -> tuple[Floats, list[Floats]]:
    """Values and the named channels at the last `size` grid points, oldest first.

    A channel that is not recorded is NaN throughout.
    """
    anchor_s = float(series.times_s[-1])
    first = int(np.searchsorted(series.times_s, anchor_s - (size - 0.5) * step_s, side="right"))
    back = steps_back(series.times_s[first:], anchor_s, step_s)
    keep = slice(first + int(np.count_nonzero(back >= size)), None)
    slot = size - 1 - back[back < size]
    distinct = len(slot) < 2 or bool((slot[1:] > slot[:-1]).all())
    values = np.full(size, np.nan)
    given = series.values[keep]
    if distinct:
        values[slot] = given
    else:
        known = np.isfinite(given)
        values[slot[known]] = given[known]  # numpy keeps the last of repeated indices
    rows = []
    for name in channels:
        recorded = series.channels.get(name)
        if recorded is None:
            rows.append(np.full(size, np.nan))
        elif distinct:
            row = np.full(size, np.nan)
            row[slot] = recorded[keep]
            rows.append(row)
        else:
            rows.append(_means(slot, recorded[keep], size))
    return values, rows


def _means(slot: npt.NDArray[np.int64], values: Floats, size: int) -> Floats:
    known = np.isfinite(values)
    total = np.bincount(slot[known], weights=values[known], minlength=size)
    number = np.bincount(slot[known], minlength=size)
    means = np.full(size, np.nan)
    np.divide(total, number, out=means, where=number > 0)
    return means
