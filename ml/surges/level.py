"""What the last samples promise for the next one: a level with a slope, and the usual error.

Holt's filter in continuous time follows the series, so that ramps and daily curves surprise nobody;
an exponentially weighted mean absolute error gives the scale. Both learn from errors clipped at a few
scales, so that an outlier neither drags the level along nor blinds. O(1) time and memory.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

MEAN_TO_DEVIATION = 1.2533  # of a normal variable: standard deviation over mean absolute value


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """level_steps, slope_steps, scale_steps: memories in sampling steps. clip: errors beyond this many
    scales teach no more. warmup: samples before anything is promised. min_scale: the least scale in
    units of the series; root_scale: the least one as a share of the level's root (counts
    spread with their root); share_scale: the least one as a share of the level.
    """

    level_steps: float = 4.0
    slope_steps: float = 8.0
    scale_steps: float = 60.0
    clip: float = 3.0
    warmup: int = 10
    min_scale: float = 1.0
    root_scale: float = 0.5
    share_scale: float = 1e-3


class Level:
    """Feed it the samples of one series, none missing."""

    __slots__ = ("_early", "_gap_s", "_gaps", "_last_s", "_level", "_scale", "_settings", "_slope")

    def __init__(self, settings: LevelSettings) -> None:
        self._settings = settings
        self._early: list[float] = []  # at most `warmup` samples
        self._gaps: list[float] = []  # between them
        self._gap_s = math.nan
        self._last_s = math.nan
        self._level = math.nan
        self._slope = 0.0  # per step
        self._scale = 0.0

    @property
    def ready(self) -> bool:
        """Whether there is a promise."""
        return not math.isnan(self._level)

    @property
    def step_s(self) -> float:
        """The sampling step: the median gap of the first samples. NaN until `ready`."""
        return self._gap_s

    def warm_up(self, t_s: float, value: float) -> None:
        """Take one of the first samples."""
        if self._early:
            self._gaps.append(t_s - self._last_s)
        self._early.append(value)
        self._last_s = t_s
        if len(self._early) >= self._settings.warmup:
            # One outlier among the first samples must not set the level, and few samples of an
            # autocorrelated series look calmer than the series is.
            self._level = median(self._early)
            robust = 1.4826 * median(abs(sample - self._level) for sample in self._early)
            ordered = sorted(self._early)
            self._scale = max(robust, 0.75 * (ordered[-2] - ordered[1]))
            self._gap_s = median(self._gaps)
            self._early, self._gaps = [], []

    def promise(self, t_s: float) -> tuple[float, float]:
        """(what is promised for t_s, the usual error of such promises)."""
        settings = self._settings
        # After a long gap the old slope says nothing.
        promised = self._level + self._slope * min(self._steps(t_s), settings.level_steps)
        root = settings.root_scale * math.sqrt(max(promised, 0.0))
        share = settings.share_scale * abs(promised)
        return promised, max(self._scale, settings.min_scale, root, share, 1e-12)

    def learn(self, t_s: float, promised: float, error: float, scale: float) -> None:
        """Follow a sample that missed its promise by `error`."""
        settings, steps = self._settings, self._steps(t_s)
        self._last_s = t_s
        clipped = max(-settings.clip * scale, min(settings.clip * scale, error))
        gain = -math.expm1(-steps / settings.level_steps)
        self._level = promised + gain * clipped
        steer = -math.expm1(-steps / settings.slope_steps)
        self._slope += steer * gain * clipped / max(steps, 1e-9)
        share = -math.expm1(-steps / settings.scale_steps)
        self._scale += share * (MEAN_TO_DEVIATION * abs(clipped) - self._scale)

    def wait(self, t_s: float, promised: float) -> None:
        """Learn nothing from this sample; the slope fades."""
        steps = self._steps(t_s)
        self._last_s = t_s
        self._level = promised
        self._slope *= math.exp(-steps / self._settings.slope_steps)

    def adopt(self, level: float) -> None:
        """This is the level now, without a slope."""
        self._level, self._slope = level, 0.0

    def _steps(self, t_s: float) -> float:
        return (t_s - self._last_s) / self._gap_s


class Peak:
    """The largest of the latest `size` values, in amortised constant time."""

    __slots__ = ("_falling", "_now", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._now = 0
        self._falling: deque[tuple[int, float]] = deque()  # (when, value), values falling

    def above(self, value: float) -> bool:
        """Whether `value` exceeds all of them."""
        return not self._falling or value > self._falling[0][1]

    def learn(self, value: float) -> None:
        """Take the next value."""
        self._now += 1
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        self._falling.append((self._now, value))
        if self._falling[0][0] <= self._now - self._size:
            self._falling.popleft()
