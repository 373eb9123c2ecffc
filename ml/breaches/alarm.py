"""When a breach probability becomes an alarm: a level, chosen for a budget of false alarms.

An alarm is a claim that the threshold will be crossed within the horizon. It stands for one horizon;
no other is raised meanwhile (hold-off). A probability may have to reach the level in several samples
in a row. Level and number are chosen on calibration data, never on what they are judged by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.claims import Joined, Tally, tally
from ml.series import Floats

LEVELS = 80  # tried per curve
PERSISTENCE = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """level: least probability (or score) of an alarm. samples: so many in a row must reach it.
    hold_s: how long an alarm stands, the horizon of the probability.
    """

    level: float
    samples: int
    hold_s: float

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"an alarm needs at least one sample, not {self.samples}")
        if self.hold_s < 0:
            raise ValueError(f"hold_s must not be negative: {self.hold_s}")


class Alarm:
    """One target's alarm under a rule, sample after sample. O(1)."""

    def __init__(self, rule: AlarmRule) -> None:
        self.rule = rule
        self._row = 0
        self._until_s = -math.inf
        self._last_s = -math.inf

    def standing(self, now_s: float) -> bool:
        """Whether an alarm raised earlier still claims a crossing."""
        return now_s < self._until_s

    def update(self, t_s: float, probability: float, *, above: bool) -> bool:
        """Whether an alarm is raised at this sample. above: the threshold is exceeded already.

        A breach ends the claim: the next one can be warned of at once. An unknown probability (NaN) ends the row.
        ValueError when time goes back.
        """
        if t_s <= self._last_s:
            raise ValueError(f"a sample at {t_s} s comes after one at {self._last_s} s")
        self._last_s = t_s
        self._row = self._row + 1 if probability >= self.rule.level else 0
        if above:
            self._until_s = -math.inf
            return False
        if self._row < self.rule.samples or self.standing(t_s):
            return False
        self._until_s = t_s + self.rule.hold_s
        return True


@dataclass(frozen=True, slots=True)
class Point:
    """A rule and what it gave."""

    rule: AlarmRule
    tally: Tally


def persistent(score: Floats, samples: int) -> Floats:
    """The least of the last `samples` scores at each sample: shape (n,), as `score`."""
    result = score.copy()
    for back in range(1, samples):
        result[back:] = np.minimum(result[back:], score[:-back])
        result[:back] = -np.inf
    return result


def at(score: Floats, field: Joined, rule: AlarmRule) -> Point:
    """What a rule gives on `score`, shape (n,) of the field."""
    return Point(rule, tally(persistent(score, rule.samples) >= rule.level, field))


def curve(score: Floats, field: Joined, samples: Sequence[int] = (1,)) -> list[Point]:
    """What each of many levels gives, and each number of samples in a row."""
    points = []
    for number in samples:
        lasting = persistent(score, number)
        pooled = lasting[field.eligible]
        pooled = np.sort(pooled[pooled > -np.inf])[::-1]
        if not len(pooled):
            continue
        # Ranks in geometric steps: the rare alarms are what budgets are about.
        rank = np.unique(np.geomspace(1, len(pooled), LEVELS).astype(np.int64)) - 1
        for level in np.unique(pooled[rank])[::-1].tolist():
            rule = AlarmRule(level, number, field.horizon * field.step_s)
            points.append(Point(rule, tally(lasting >= level, field)))
    return points


def within(points: Sequence[Point], false_per_day: float) -> Point | None:
    """The point with the best F1 of those that keep to so many false alarms a day."""
    kept = [point for point in points if point.tally.false_per_day <= false_per_day]
    return max(kept, key=lambda point: point.tally.f1, default=None)


def earliest(points: Sequence[Point], false_per_day: float) -> Point | None:
    """The point with the lowest level of those that keep to the budget: most events, longest leads."""
    kept = [point for point in points if point.tally.false_per_day <= false_per_day]
    return min(kept, key=lambda point: (point.rule.level, point.rule.samples), default=None)


def choose(
    score: Floats,
    field: Joined,
    false_per_day: float,
    samples: Sequence[int] = PERSISTENCE,
) -> AlarmRule:
    """The rule with the best F1 on calibration data within a budget of false alarms a day.

    When nothing keeps to the budget, the strictest rule of all: above any score that was seen.
    """
    found = within(curve(score, field, samples), false_per_day)
    if found is not None:
        return found.rule
    seen = score[field.eligible & np.isfinite(score)]
    top = float(seen.max()) if len(seen) else 1.0
    return AlarmRule(float(np.nextafter(top, np.inf)), 1, field.horizon * field.step_s)
