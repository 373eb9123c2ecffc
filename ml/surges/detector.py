"""Streaming surge detection: is a sample far above what the series' own past makes likely?

Two questions are asked of every sample, and both answers are tail probabilities learned from the series
itself, so that scores compare between series of any unit and noise:

- sudden: how rare is the error against the level and slope of the last samples (`surge_level`)?
- unusual: how rare are its value, its shift against what was before, its distance from the same time
  of other days (`surge_views`), taken together?

The score is the rarer of the two. A surge begins (`surge_rule`) at a sudden sample that is higher than
anything just before, and that neither the time of day nor the sizes which the series reaches now and then explain.
A surge neither drags the level along nor blinds the detector; one that lasts becomes the new
normal. O(1) time and memory per sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from ml.surges.level import Level, Peak
from ml.surges.rule import MAX_SEVERITY, Rule, SurgeSettings
from ml.surges.tail import Evidence, Tail, combined
from ml.surges.views import Seen, Views

__all__ = ["MAX_SEVERITY", "Surge", "SurgeDetector", "SurgeSettings"]

OWN_RECORD = 0.7  # weight of the calibrated part of the score
KEPT_COMBINED = 100


@dataclass(frozen=True, slots=True)
class Surge:
    """score: decades of improbability (-log10 of the tail probability) of the sample, 0 while warming
    up or for a missing sample. severity: 0..5, growing with the error in scales while a surge is
    active, else 0. active: a surge is on.
    """

    score: float
    severity: float
    active: bool


class SurgeDetector:
    """Feed it the samples of one series: new connections per second for the quickest answer (a
    surge of arrivals shows there at once), or live connections. For utilisations, and whatever else
    does not count events, give `SurgeSettings.measured()`.
    """

    def __init__(self, settings: SurgeSettings | None = None) -> None:
        self.settings = own = settings or SurgeSettings()
        self._level = Level(own.level)
        self._sudden = Evidence(own.both, own.most, own.kept_errors, own.memory, own.apart_steps)
        self._views = Views(own.both, own.most, own.kept, own.memory)
        self._combined = Tail(KEPT_COMBINED, own.memory)
        self._peak = Peak(own.peak_samples)
        self._trough = Peak(own.peak_samples)
        self._rule = Rule(own)
        self._last_s = math.nan
        self._shift: list[float] = []  # the latest three samples of a lasting shift
        self._outside = 0.0  # steps that the samples have been outside

    def update(self, t_s: float, value: float) -> Surge:
        """Take one sample (NaN: missing). Times ascend; ValueError when one does not."""
        if t_s <= self._last_s:
            raise ValueError(f"sample at {t_s} s comes after one at {self._last_s} s")
        rule = self._rule
        if not math.isfinite(value):
            return Surge(0.0, rule.severity, rule.active)
        elapsed_s, self._last_s = t_s - self._last_s, t_s
        views = self._views.judge(t_s, value)
        if not self._level.ready:
            self._level.warm_up(t_s, value)
            self._remember(value)
            return Surge(0.0, 0.0, False)
        steps = elapsed_s / self._level.step_s
        promised, scale = self._level.promise(t_s)
        error = value - promised
        z = error / scale
        sudden = self._sudden.decades(z)
        highest = self._peak.above(value) or (self.settings.both and self._trough.above(-value))
        if self._sudden.count < self.settings.known:
            rule.young(steps, z)
        else:
            often = self._sudden.larger(z, self.settings.similar)
            rule.known(
                steps,
                z,
                rare=sudden >= rule.decades(self._level.step_s),
                ordinary=often > rule.ordinary(self._sudden.count, self._level.step_s),
                startling=views.novelty >= self.settings.startling
                and views.season >= self.settings.startling,
                new=highest,
                unexplained=self.settings.similar * abs(error) > views.rise,
            )
        score = self._score(z, sudden, views)
        self._sudden.learn(z)
        if rule.active:
            self._level.wait(t_s, promised)  # the surge ends, or is adopted as a whole
        else:
            self._level.learn(t_s, promised, error, scale)
            self._remember(value)
        self._rebase(steps, value, z)
        return Surge(score, rule.severity, rule.active)

    def _score(self, z: float, sudden: float, views: Seen) -> float:
        """One number for all that is known of a sample.

        Fisher's combination takes the views for independent, which they are not: alone it is overconfident (a
        third of ordinary samples had two decades). How rare the combination itself was so far is calibrated, but
        slower to tell anomalies apart. The score is a weighted geometric mean of both probabilities.
        """
        # A record of n samples vouches for hardly less than a tenth of 1/n.
        vouched = math.log10((self._sudden.count + 1) / (self._sudden.larger(z, 1.0) + 1)) + 1.0
        found = combined(views.novelty + views.shift + views.season, 3)
        found = max(found, min(sudden, vouched))
        own = self._combined.decades(found)
        self._combined.add(found)
        return OWN_RECORD * own + (1.0 - OWN_RECORD) * found

    def _remember(self, value: float) -> None:
        self._peak.learn(value)
        self._trough.learn(-value)

    def _rebase(self, steps: float, value: float, z: float) -> None:
        """A shift, up or down, that lasts `adopt_steps` becomes the level."""
        if abs(z) < self.settings.suspicious:
            self._outside = 0.0
            self._shift.clear()
            return
        if self._shift:
            self._outside += steps
        self._shift = [*self._shift[-2:], value]
        if self._outside >= self.settings.adopt_steps:
            level = median(self._shift)
            self._level.adopt(level)
            self._remember(level)
            self._outside = 0.0
            self._shift.clear()
            self._rule.end()
