"""Streaming surge detection: is a sample far above what the previous ones promised?

A level with a slope (Holt's filter in continuous time) follows the series, so that ramps and
daily curves are no surges; an exponentially weighted mean absolute error gives the scale. Both
learn from errors clipped at a few scales, so that a surge neither drags the level along nor
blinds the detector. A shift that lasts becomes the new normal. O(1) time and memory per sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

MAX_SEVERITY = 5.0


@dataclass(frozen=True, slots=True)
class Surge:
    """score: robust z of the sample against its prediction (0 while warming up or for a missing
    sample). severity: 0..5, growing with the score while a surge is active, else 0. active: a
    surge is on.
    """

    score: float
    severity: float
    active: bool


@dataclass(frozen=True, slots=True)
class SurgeSettings:
    """level_s, slope_s, scale_s: memories in seconds. clip: errors beyond this many scales teach no
    more. suspicious: a score above it in two consecutive samples is a surge; certain: in a
    single one; full: the score of severity 5. warmup: samples before anything is flagged.
    hold_s: a surge stays active at least so long. adopt_s: a shift that lasted so long is the new
    normal. hold_off_s: after a surge, no other unless its score is `certain`. min_scale: the least
    scale in units of the series; relative_scale: the least one as a share of the level's root
    (counts spread with their root).
    """

    level_s: float = 4.0
    slope_s: float = 8.0
    scale_s: float = 60.0
    clip: float = 3.0
    suspicious: float = 4.5
    certain: float = 6.5
    full: float = 15.0
    warmup: int = 10
    hold_s: float = 5.0
    adopt_s: float = 20.0
    hold_off_s: float = 15.0
    min_scale: float = 1.0
    relative_scale: float = 0.5


class SurgeDetector:
    """Feed it the samples of one series: new connections per second for the quickest answer (a
    surge of arrivals shows there at once), or live connections.
    """

    def __init__(self, settings: SurgeSettings | None = None) -> None:
        self.settings = settings or SurgeSettings()
        self._early: list[float] = []  # at most `warmup` samples
        self._last_s = math.nan
        self._level = math.nan
        self._slope = 0.0
        self._scale = self.settings.min_scale
        self._suspect = False
        self._shift: list[float] = []  # the latest three samples of a lasting shift
        self._began_s = -math.inf
        self._outside_since_s = math.nan
        self._ended_s = -math.inf
        self._active = False
        self._severity = 0.0

    def update(self, t_s: float, value: float) -> Surge:
        """Take one sample (NaN: missing). Times ascend; ValueError when one does not."""
        if not math.isnan(self._last_s) and t_s <= self._last_s:
            raise ValueError(f"sample at {t_s} s comes after one at {self._last_s} s")
        if not math.isfinite(value):
            return Surge(0.0, self._severity, self._active)
        if math.isnan(self._level):
            return self._warm_up(t_s, value)
        settings = self.settings
        elapsed = t_s - self._last_s
        self._last_s = t_s
        # After a long gap the old slope says nothing.
        promised = self._level + self._slope * min(elapsed, settings.level_s)
        scale = self._noise(promised)
        error = value - promised
        score = error / scale
        self._judge(t_s, score)
        self._learn(elapsed, promised, error, scale)
        self._rebase(t_s, value, score)
        return Surge(score, self._severity, self._active)

    def _warm_up(self, t_s: float, value: float) -> Surge:
        self._early.append(value)
        self._last_s = t_s
        if len(self._early) >= self.settings.warmup:
            values = self._early
            # One outlier among the first samples must not set the level, and ten samples of an
            # autocorrelated series look calmer than the series is.
            self._level = median(values)
            robust = 1.4826 * median(abs(sample - self._level) for sample in values)
            ordered = sorted(values)
            self._scale = max(robust, 0.75 * (ordered[-2] - ordered[1]))
            self._early = []
        return Surge(0.0, 0.0, False)

    def _noise(self, level: float) -> float:
        root = math.sqrt(max(level, 0.0))
        return max(self._scale, self.settings.min_scale, self.settings.relative_scale * root)

    def _judge(self, t_s: float, score: float) -> None:
        settings = self.settings
        suspicious = score >= settings.suspicious
        held_off = t_s - self._ended_s < settings.hold_off_s
        starts = score >= settings.certain or (suspicious and self._suspect and not held_off)
        self._suspect = suspicious
        if self._active:
            if not suspicious and t_s - self._began_s >= settings.hold_s:
                self._end(t_s)
            else:
                self._severity = max(self._severity if not suspicious else 0.0, self._graded(score))
        elif starts:
            self._active, self._began_s = True, t_s
            self._severity = self._graded(score)

    def _graded(self, score: float) -> float:
        settings = self.settings
        share = (score - settings.suspicious) / (settings.full - settings.suspicious)
        return min(MAX_SEVERITY, max(1.0, MAX_SEVERITY * share))

    def _end(self, t_s: float) -> None:
        self._active, self._severity, self._ended_s = False, 0.0, t_s

    def _learn(self, elapsed: float, promised: float, error: float, scale: float) -> None:
        settings = self.settings
        clipped = max(-settings.clip * scale, min(settings.clip * scale, error))
        if self._active:
            clipped = 0.0  # the level waits: either the surge ends, or it is adopted as a whole
        gain = -math.expm1(-elapsed / settings.level_s)
        self._level = promised + gain * clipped
        steer = -math.expm1(-elapsed / settings.slope_s)
        self._slope += steer * gain * clipped / max(elapsed, 1e-9)
        if self._active:
            self._slope *= math.exp(-elapsed / settings.slope_s)
        else:
            share = -math.expm1(-elapsed / settings.scale_s)
            self._scale += share * (1.2533 * abs(clipped) - self._scale)

    def _rebase(self, t_s: float, value: float, score: float) -> None:
        """A shift, up or down, that lasts `adopt_s` becomes the level."""
        if abs(score) < self.settings.suspicious:
            self._outside_since_s = math.nan
            self._shift.clear()
            return
        self._shift = [*self._shift[-2:], value]
        if math.isnan(self._outside_since_s):
            self._outside_since_s = t_s
        elif t_s - self._outside_since_s >= self.settings.adopt_s:
            self._level, self._slope = median(self._shift), 0.0
            self._outside_since_s = math.nan
            self._shift.clear()
            if self._active:
                self._end(t_s)
