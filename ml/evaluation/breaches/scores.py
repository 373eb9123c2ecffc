"""What a method's scores are worth on a test part: at its own rule, and at equal realised rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from ml.breaches.alarm import Point, at, choose, curve, within
from ml.breaches.claims import Joined
from ml.series import Floats

RATES = (0.5, 1.0, 2.0, 4.0)  # false alarms a day and series, realised
SHARES = (0.005, 0.01, 0.02, 0.05)  # of the forecasts without a crossing that warn
BUDGET_INDEX = 2  # the rate for which every method's rule is chosen on calibration data


@dataclass(frozen=True, slots=True)
class AtRate:
    """What a method gives when its level is set, on the test part, to keep to a realised rate.

    rate: asked for. false_rate: realised, in the same unit. f1, recall, and percentiles of the leads of
    what was warned of: then. NaN where nothing was, and for single forecasts.
    """

    rate: float
    false_rate: float
    f1: float
    recall: float
    lead_p10_s: float = nan
    lead_p50_s: float = nan
    lead_p90_s: float = nan


@dataclass(frozen=True, slots=True)
class MethodScore:
    """method: ours, a learning peer or a simple rule; variant: which of its variants, chosen on
    calibration data. level, samples: its rule, chosen there for the rate at `BUDGET_INDEX`; recall,
    precision, f1, false_per_day and leads: what that rule gave on the test part. matched: at equal
    realised false alarms a day and series. forecasts: each forecast for itself, at equal shares of
    false warnings.
    """

    method: str
    variant: str
    learning: bool
    level: float
    samples: int
    recall: float
    precision: float
    f1: float
    false_per_day: float
    lead_p10_s: float
    lead_p50_s: float
    lead_p90_s: float
    matched: tuple[AtRate, ...]
    forecasts: tuple[AtRate, ...]

    @property
    def mean_f1(self) -> float:
        """Mean F1 over the realised rates."""
        return float(np.mean([one.f1 for one in self.matched]))


def scored(
    method: str,
    variant: str,
    learning: bool,
    known: Floats,
    calibration: Joined,
    score: Floats,
    field: Joined,
    rates: tuple[float, ...],
) -> MethodScore:
    """known: its score on the calibration watches, there the rule is chosen; score: on the test watches."""
    rule = choose(known, calibration, rates[BUDGET_INDEX])
    given = at(score, field, rule).tally
    points = curve(score, field)
    return MethodScore(
        method,
        variant,
        learning,
        rule.level,
        rule.samples,
        given.recall,
        given.precision,
        given.f1,
        given.false_per_day,
        given.lead_s(10),
        given.lead_s(50),
        given.lead_s(90),
        tuple(at_rate(points, rate) for rate in rates),
        tuple(_at_share(score, field, share) for share in SHARES),
    )


def at_rate(points: Sequence[Point], rate: float) -> AtRate:
    """The best F1 of a curve within a realised rate."""
    found = within(points, rate)
    if found is None:
        return AtRate(rate, 0.0, 0.0, 0.0)
    given = found.tally
    leads = (given.lead_s(percent) for percent in (10, 50, 90))
    return AtRate(rate, given.false_per_day, given.f1, given.recall, *leads)


def _at_share(score: Floats, field: Joined, share: float) -> AtRate:
    """Every forecast below the limit for itself: does it warn, was the limit crossed?"""
    known = field.below & field.judged
    crossed, made = field.crosses[known], score[known]
    calm = np.sort(made[~crossed])[::-1]
    if not len(calm) or not crossed.any():
        return AtRate(share, 0.0, 0.0, 0.0)
    level = calm[min(int(share * len(calm)), len(calm) - 1)]
    hits, wrong = int((made[crossed] > level).sum()), int((calm > level).sum())
    f1 = 2.0 * hits / (hits + wrong + int(crossed.sum()))
    return AtRate(share, wrong / len(calm), f1, hits / int(crossed.sum()))
