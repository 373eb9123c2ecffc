"""Streaming surge detection on counts of arrivals in short intervals (a fifth of a second).

In so short an interval hardly anything arrives, and counts of few scatter with a long upper tail. A
sample is therefore not judged by its rate but by its count: with Anscombe's transform
2 * sqrt(count + 3/8) a Poisson count has a standard deviation of one, whatever its mean. Sums over the
latest one, two, five and ten intervals are looked at: a violent surge shows in one, a moderate one in ten.

What is expected follows the arrivals with a level and a slope (Holt's filter in continuous time), as
it was before the interval in question. Arrivals that scatter more than Poisson's raise the scale.
O(1) time and memory per sample.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from ml.surges.detector import MAX_SEVERITY, Surge

UNSURE = 1.0  # standard deviations by which the rate of a surge is taken to be less than seen


@dataclass(frozen=True, slots=True)
class ArrivalSettings:
    """windows: sums over so many intervals. certain: a score above it is a surge, if the arrivals are
    also, by what is sure of them, `least_factor` times the expected ones. level_s, slope_s, scale_s:
    memories. clip: scores beyond it teach no more. suspicious, full: the scores, over one
    second, of severity 0 and 5. warmup: intervals before anything is flagged. hold_s, adopt_s: as of
    `SurgeSettings`. gap_s: after so long without samples everything begins anew.
    """

    windows: tuple[int, ...] = (1, 2, 5, 10)
    certain: float = 5.5
    least_factor: float = 1.5
    level_s: float = 6.0
    slope_s: float = 12.0
    scale_s: float = 60.0
    clip: float = 3.0
    suspicious: float = 4.5
    full: float = 15.0
    warmup: int = 50
    hold_s: float = 5.0
    adopt_s: float = 20.0
    gap_s: float = 3.0


@dataclass(frozen=True, slots=True)
class _Interval:
    """One sample, and what was expected before it: arrivals per second and their growth."""

    count: float
    seconds: float
    level: float
    slope: float


class ArrivalSurge:
    """Feed it one series of arrivals, interval after interval."""

    def __init__(self, settings: ArrivalSettings | None = None) -> None:
        self.settings = settings or ArrivalSettings()
        self.reset()

    def reset(self) -> None:
        """Forget everything: what follows is another series."""
        self._early: list[tuple[float, float]] = []
        self._recent: deque[_Interval] = deque(maxlen=max(self.settings.windows))
        self._level = math.nan
        self._slope = 0.0
        self._scales = dict.fromkeys(self.settings.windows, 1.0)
        self._last_s = math.nan
        self._active = False
        self._severity = 0.0
        self._began_s = self._certain_s = -math.inf

    def update(self, t_s: float, count: float, seconds: float) -> Surge:
        """`count` arrivals in the `seconds` that ended at `t_s`. ValueError when time goes back."""
        if t_s <= self._last_s:
            raise ValueError(f"a sample at {t_s} s comes after one at {self._last_s} s")
        if not (math.isfinite(count) and count >= 0 and seconds > 0):
            return Surge(0.0, self._severity, self._active)
        if seconds > self.settings.gap_s:
            self.reset()
            self._last_s = t_s
            return Surge(0.0, 0.0, False)
        self._last_s = t_s
        if math.isnan(self._level):
            return self._warm_up(count, seconds)
        interval = _Interval(count, seconds, self._level, self._slope)
        self._recent.append(interval)
        score, severity = self._look()
        self._judge(t_s, severity)
        self._learn(interval)
        return Surge(score, self._severity, self._active)

    def _warm_up(self, count: float, seconds: float) -> Surge:
        self._early.append((count, seconds))
        if len(self._early) >= self.settings.warmup:
            # The median over groups: a spike while warming up must not set the level.
            groups = [self._early[i::5] for i in range(5)]
            self._level = median(sum(c for c, _ in g) / sum(s for _, s in g) for g in groups)
            self._early = []
        return Surge(0.0, 0.0, False)

    def _look(self) -> tuple[float, float]:
        """The highest score of all windows, and the severity that it justifies: 0 when it is no surge."""
        best, severity = 0.0, 0.0
        for size, count, expected, seconds in self._sums():
            scale = max(1.0, self._scales[size])
            score = _score(count, expected) / scale
            best = max(best, score)
            much = _sure(count) >= self.settings.least_factor * expected
            if score >= self.settings.certain and much:
                severity = max(severity, self._graded(count, expected, seconds, scale))
        return best, severity

    def _sums(self) -> list[tuple[int, float, float, float]]:
        """(window, arrivals, expected arrivals, seconds) of every window that is filled."""
        found = []
        count = seconds = 0.0
        for size, one in enumerate(reversed(self._recent), start=1):
            count += one.count
            seconds += one.seconds
            if size in self._scales:
                # Expected with what was known before the window began.
                rate = max(0.0, one.level + one.slope * seconds / 2)
                found.append((size, count, rate * seconds, seconds))
        return found

    def _graded(self, count: float, expected: float, seconds: float, scale: float) -> float:
        """0..5 by the score that the surge would have over one second, by what is sure of it."""
        rate = expected / seconds
        score = (_sure(count) / seconds - rate) / (math.sqrt(max(rate, 1.0)) * scale)
        settings = self.settings
        share = (score - settings.suspicious) / (settings.full - settings.suspicious)
        return min(MAX_SEVERITY, max(1.0, MAX_SEVERITY * share))

    def _judge(self, t_s: float, severity: float) -> None:
        settings = self.settings
        if severity > 0.0:
            if not self._active:
                self._active, self._began_s = True, t_s
            self._certain_s = t_s
            self._severity = max(self._severity, severity)
        if not self._active:
            return
        if t_s - self._began_s >= settings.adopt_s:
            self._adopt()
        elif t_s - self._certain_s >= settings.hold_s:
            self._active, self._severity = False, 0.0

    def _adopt(self) -> None:
        """What has lasted so long is normal from now on."""
        seconds = sum(one.seconds for one in self._recent)
        self._level = sum(one.count for one in self._recent) / seconds
        self._slope = 0.0
        self._recent.clear()
        self._active, self._severity = False, 0.0

    def _learn(self, interval: _Interval) -> None:
        settings, seconds = self.settings, interval.seconds
        if self._active:
            self._slope *= math.exp(-seconds / settings.slope_s)
            return  # the level waits: either the surge ends, or it is adopted as a whole
        promised = max(0.0, self._level + self._slope * seconds)
        most = settings.clip * math.sqrt(max(promised * seconds, 0.25)) / seconds
        most *= max(1.0, self._scales[min(self._scales)])
        error = max(-most, min(most, interval.count / seconds - promised))
        gain = -math.expm1(-seconds / settings.level_s)
        steer = -math.expm1(-seconds / settings.slope_s)
        self._level = promised + gain * error
        self._slope += steer * gain * error / seconds
        share = -math.expm1(-seconds / settings.scale_s)
        for size, count, expected, _ in self._sums():
            score = min(settings.clip * self._scales[size], abs(_score(count, expected)))
            self._scales[size] += share * (1.2533 * score - self._scales[size])


def _sure(count: float) -> float:
    """What the mean of a count is at least, by `UNSURE` standard deviations."""
    return max(0.0, math.sqrt(count + 0.375) - UNSURE / 2) ** 2


def _score(count: float, expected: float) -> float:
    """Anscombe's: standard deviations of a Poisson count above (or below) what is expected."""
    return 2.0 * (math.sqrt(count + 0.375) - math.sqrt(expected + 0.375))
