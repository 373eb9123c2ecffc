"""What is unusual about a sample, seen from three sides: the value, the last day, the calendar.

Each view gives a signed residual in the units of the series, or NaN when it has nothing to compare
with, in constant time and memory. It first judges a sample and then learns it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

from ml.surges.tail import Evidence

DAY_S, WEEK_S = 86_400.0, 604_800.0
# Weight of the newest visit in the rise of a half hour: what came once explains half of its height, what
# came on two days three quarters.
RECURRING = 0.5


class Novelty:
    """Distance to the nearest value that was seen before.

    What was seen is kept as `size` prototypes. A sample near one pulls it along by `gain`; one farther than `far`
    times the usual distance takes the place of the prototype that was longest not met.
    """

    __slots__ = ("_distance", "_far", "_gain", "_met", "_now", "_prototypes", "_size")

    def __init__(self, size: int = 32, far: float = 4.0, gain: float = 0.1) -> None:
        self._size = size
        self._far = far
        self._gain = gain
        self._prototypes: list[float] = []  # ascending
        self._met: list[int] = []  # when each was last met, in samples
        self._now = 0
        self._distance = 0.0  # the usual distance

    def residual(self, value: float) -> float:
        """value minus the nearest prototype."""
        if not self._prototypes:
            return math.nan
        return value - self._prototypes[self._nearest(value)]

    def learn(self, value: float) -> None:
        """Remember one value."""
        self._now += 1
        if not self._prototypes:
            self._insert(value)
            return
        nearest = self._nearest(value)
        away = value - self._prototypes[nearest]
        share = max(1.0 / (self._now - 1), 0.002)
        self._distance += share * (abs(away) - self._distance)
        if len(self._prototypes) < self._size:
            if abs(away) > self._distance:
                self._insert(value)
                return
        elif abs(away) > self._far * self._distance:
            oldest = self._met.index(min(self._met))
            del self._prototypes[oldest], self._met[oldest]
            self._insert(value)
            return
        self._met[nearest] = self._now
        # Between its neighbours it stays: it moves towards a value to which it is the nearest.
        self._prototypes[nearest] += self._gain * away

    def _nearest(self, value: float) -> int:
        at = bisect_left(self._prototypes, value)
        if at == len(self._prototypes):
            return at - 1
        if at > 0 and value - self._prototypes[at - 1] <= self._prototypes[at] - value:
            return at - 1
        return at

    def _insert(self, value: float) -> None:
        at = bisect_left(self._prototypes, value)
        self._prototypes.insert(at, value)
        self._met.insert(at, self._now)


class Shift:
    """The mean of the latest `short` samples against that of the `long` before them."""

    __slots__ = ("_at", "_long", "_long_sum", "_ring", "_short", "_short_sum")

    def __init__(self, short: int = 24, long: int = 288) -> None:
        self._short, self._long = short, long
        self._ring: list[float] = []
        self._at = 0  # where the oldest is, once the ring is full
        self._short_sum = self._long_sum = 0.0

    def residual(self, value: float) -> float:
        """The shift with `value` as the newest; NaN until a short and some longer past are there."""
        short, size = self._short, len(self._ring)
        if size <= short:
            return math.nan
        leaving = self._back(short)
        recent = (self._short_sum + value - leaving) / short
        before, number = self._long_sum + leaving, size - short + 1
        if number > self._long:
            before, number = before - self._ring[self._at], self._long
        return recent - before / number

    def learn(self, value: float) -> None:
        """Move the windows on by one sample."""
        ring, full = self._ring, self._short + self._long
        if len(ring) >= self._short:
            leaving = self._back(self._short)
            self._short_sum -= leaving
            self._long_sum += leaving
        self._short_sum += value
        if len(ring) < full:
            ring.append(value)
            return
        self._long_sum -= ring[self._at]
        ring[self._at] = value
        self._at += 1
        if self._at == full:  # sums that are only added to and taken from drift
            self._at = 0
            self._short_sum = math.fsum(ring[-self._short :])
            self._long_sum = math.fsum(ring[: self._long])

    def _back(self, steps: int) -> float:
        """The sample `steps` ago; 1 is the newest."""
        return self._ring[(self._at - steps) % len(self._ring)]


class Season:
    """Against the same half hour of earlier days and of the same weekday in earlier weeks.

    Unix time. When a half hour is over, its mean enters the profile with weight `gain`, the rise within
    it with weight `RECURRING`. 16 × 48 numbers, whatever the sampling.
    """

    __slots__ = ("_day", "_week")

    def __init__(self, bins_a_day: int = 48, gain: float = 0.35) -> None:
        self._day = _Profile(DAY_S, bins_a_day, gain)
        self._week = _Profile(WEEK_S, 7 * bins_a_day, gain)

    def residual(self, t_s: float, value: float) -> float:
        """value minus the nearer of what is usual for the time of day and of the week; NaN before the
        second day.
        """
        day, week = value - self._day.usual(t_s), value - self._week.usual(t_s)
        return week if abs(week) < abs(day) else day

    def rise(self, t_s: float) -> float:
        """By how much the series repeatedly rises at this time of day or of the week; 0 before the
        second day.
        """
        return max(self._day.rise(t_s), self._week.rise(t_s))

    def learn(self, t_s: float, value: float) -> None:
        """Add a sample to its half hour."""
        self._day.learn(t_s, value)
        self._week.learn(t_s, value)


class _Profile:
    __slots__ = (
        "_bins",
        "_current",
        "_gain",
        "_high",
        "_low",
        "_means",
        "_number",
        "_period_s",
        "_rises",
        "_sum",
    )

    def __init__(self, period_s: float, bins: int, gain: float) -> None:
        self._period_s, self._bins, self._gain = period_s, bins, gain
        self._means = [math.nan] * bins
        self._rises = [0.0] * bins
        self._current = -1
        self._sum, self._number = 0.0, 0
        self._high, self._low = -math.inf, math.inf

    def usual(self, t_s: float) -> float:
        return self._means[self._bin(t_s)]

    def rise(self, t_s: float) -> float:
        return self._rises[self._bin(t_s)]

    def learn(self, t_s: float, value: float) -> None:
        now = self._bin(t_s)
        if now != self._current:
            mean = math.inf
            if self._number:
                mean = self._sum / self._number
                self._enter(mean)
            self._current, self._sum, self._number = now, 0.0, 0
            # A burst that fills its half hour rises above the one before.
            self._high, self._low = -math.inf, mean
        self._sum += value
        self._number += 1
        self._high, self._low = max(self._high, value), min(self._low, value)

    def _enter(self, mean: float) -> None:
        at, known = self._current, self._means[self._current]
        self._means[at] = mean if math.isnan(known) else known + self._gain * (mean - known)
        self._rises[at] += RECURRING * (self._high - self._low - self._rises[at])

    def _bin(self, t_s: float) -> int:
        return int((t_s % self._period_s) / self._period_s * self._bins) % self._bins


class Seen(NamedTuple):
    """Decades of improbability of a sample in each view, and the rise that its time repeatedly has."""

    novelty: float
    shift: float
    season: float
    rise: float


class Views:
    """The three views, each calibrated by the tail of its own residuals."""

    __slots__ = ("_novel", "_novelty", "_season", "_seasonal", "_shift", "_shifted")

    def __init__(self, both: bool, most: float, kept: int, memory: int) -> None:
        self._novelty, self._shift, self._season = Novelty(), Shift(), Season()
        self._novel = Evidence(both, most, kept, memory)
        self._shifted = Evidence(both, most, kept, memory)
        self._seasonal = Evidence(both, most, kept, memory)

    def judge(self, t_s: float, value: float) -> Seen:
        """What each view says of one sample; then it is learned."""
        novel = self._novelty.residual(value)
        shift = self._shift.residual(value)
        season = self._season.residual(t_s, value)
        seen = Seen(
            self._novel.decades(novel),
            self._shifted.decades(shift),
            self._seasonal.decades(season),
            self._season.rise(t_s),
        )
        self._novel.learn(novel)
        self._shifted.learn(shift)
        self._seasonal.learn(season)
        self._novelty.learn(value)
        self._shift.learn(value)
        self._season.learn(t_s, value)
        return seen
