"""When does a surge begin, how severe is it, and when is it over?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ml.surges.level import LevelSettings
from ml.surges.tail import KEPT, MEMORY

DAY_S = 86_400.0
MAX_SEVERITY = 5.0


@dataclass(frozen=True, slots=True)
class SurgeSettings:
    """Which samples are a surge. Times are in sampling steps.

    sudden_a_day: an error that the tail has so many times a day, by extrapolation, or more often, is no
    surge. ordinary_a_day, ordinary_share: nor is one of a size (at least `similar` times the error)
    that really came more often than so many times a day and than in that share of the samples. startling:
    unless the value, and its distance from what is usual at its time, both have so many decades.
    least: nor one of fewer scales. peak_samples: nor one that does not exceed all of so many before.
    known: errors from which on all that is asked; before, one error beyond `certain` scales or
    two in a row beyond `suspicious` are a surge. full: the error, in scales, of severity 5.

    hold_steps: a surge stays active at least so long. adopt_steps: a shift that lasted so long is the
    new normal. hold_off_steps: after a surge, no other unless its error is `certain`.
    both: drops are looked for as well. most: decades beyond which one view says no more. kept,
    kept_errors, memory, apart_steps: see `ml.surges.tail.Tail`.
    """

    level: LevelSettings = field(default_factory=LevelSettings)
    sudden_a_day: float = 1.5
    ordinary_a_day: float = 3.0
    ordinary_share: float = 2e-3
    similar: float = 0.85
    least: float = 6.5
    peak_samples: int = 120
    startling: float = 3.0
    known: int = 1000
    suspicious: float = 4.5
    certain: float = 6.5
    full: float = 15.0
    hold_steps: float = 5.0
    adopt_steps: float = 20.0
    hold_off_steps: float = 15.0
    both: bool = False
    most: float = 8.0
    kept: int = KEPT
    kept_errors: int = 200
    memory: int = MEMORY
    apart_steps: int = 20

    @classmethod
    def measured(cls, both: bool = False) -> SurgeSettings:
        """For a series that does not count events: its scale has no floor but its own noise."""
        level = replace(LevelSettings(), min_scale=0.0, root_scale=0.0)
        return cls(level=level, both=both)


class Rule:
    """The state of one series' surge: one that is on, or the last one."""

    __slots__ = ("_active_steps", "_quiet_steps", "_settings", "_suspect", "active", "severity")

    def __init__(self, settings: SurgeSettings) -> None:
        self._settings = settings
        self._suspect = False
        self._active_steps = 0.0
        self._quiet_steps = math.inf
        self.active = False
        self.severity = 0.0

    def decades(self, step_s: float) -> float:
        """From how many decades of improbability an error is sudden, for samples every step_s."""
        return max(0.0, -math.log10(self._settings.sudden_a_day * step_s / DAY_S))

    def ordinary(self, count: int, step_s: float) -> float:
        """How often, in `count` samples, a size may have come without being ordinary."""
        days = max(1.0, count * step_s / DAY_S)
        return max(self._settings.ordinary_a_day * days, self._settings.ordinary_share * count)

    def young(self, steps: float, z: float) -> None:
        """Judge a sample by its error in scales, while little is known of the series."""
        size = abs(z) if self._settings.both else z
        suspicious = size >= self._settings.suspicious
        sure = size >= self._settings.certain
        self._go_on(steps, size, suspicious, sure or (suspicious and self._suspect))
        self._suspect = suspicious

    def known(
        self,
        steps: float,
        z: float,
        *,
        rare: bool,
        ordinary: bool,
        startling: bool,
        new: bool,
        unexplained: bool,
    ) -> None:
        """Judge a sample by its error and by what else is known of it."""
        size = abs(z) if self._settings.both else z
        sudden = (rare and not ordinary) or startling
        starts = sudden and new and unexplained and size >= self._settings.least
        self._go_on(steps, size, size >= self._settings.suspicious, starts)

    def end(self) -> None:
        """The surge, if there is one, is over."""
        if self.active:
            self.active, self.severity, self._quiet_steps = False, 0.0, 0.0

    def _go_on(self, steps: float, size: float, suspicious: bool, starts: bool) -> None:
        settings = self._settings
        self._quiet_steps += steps
        if self.active:
            self._active_steps += steps
            if not suspicious and self._active_steps >= settings.hold_steps:
                self.end()
            else:
                self.severity = max(self.severity if not suspicious else 0.0, self._graded(size))
            return
        held_off = self._quiet_steps < settings.hold_off_steps and size < settings.certain
        if starts and not held_off:
            self.active, self._active_steps = True, 0.0
            self.severity = self._graded(size)

    def _graded(self, size: float) -> float:
        settings = self._settings
        share = (size - settings.suspicious) / (settings.full - settings.suspicious)
        return min(MAX_SEVERITY, max(1.0, MAX_SEVERITY * share))
