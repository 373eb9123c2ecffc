"""All that is measured of breach predictions, in one place, as figures and as JSON.

`natural` compares on recorded series, `ramps` injects ramps into them, `on_testbed` simulates umbra's
own routers. Each returns a frozen dataclass; `as_json` makes plain lists and numbers of any.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation.bootstrap import Interval
from ml.evaluation.breaches.limits import constant
from ml.evaluation.breaches.natural import SEEDS, SetBreaches, natural
from ml.evaluation.breaches.ramps import RampScore, ramps
from ml.evaluation.breaches.scores import MethodScore
from ml.evaluation.breaches.testbed import (
    DURATION_SPREAD,
    LIMIT,
    TRAINING_LIMITS,
    simulated_runs,
)

GOAL = 1.25  # F1 against the best simple rule
MIN_EVENTS = 20  # with fewer a set says nothing of F1
# A day is an hour there: budgets are false alarms an hour and router.
TESTBED_RATES = (12.0, 24.0, 48.0, 96.0)
TESTBED_SEEDS, TESTBED_HOURS = tuple(range(14)), 5.0


@dataclass(frozen=True, slots=True)
class TestbedScore:
    """hours: simulated, of the whole fabric; judged_hours of them are the test part. routers: per run. seeds: one
    run each. found: as of recorded series, with false alarms in router-days of 24 h. ours, threshold: the
    two that matter; over_threshold: mean F1 of the one by that of the other, over all rates.
    """

    hours: float
    judged_hours: float
    router_hours: float
    seeds: tuple[int, ...]
    found: SetBreaches

    @property
    def ours(self) -> MethodScore:
        """The crossing classifier."""
        return self.found.methods[0]

    @property
    def threshold(self) -> MethodScore:
        """The present value with a margin."""
        return next(one for one in self.found.methods if one.method == "threshold")

    @property
    def over_threshold(self) -> Interval:
        """With its 95 % interval."""
        return dict(self.found.over)["threshold"]


def on_testbed(
    runs: Sequence[int] = TESTBED_SEEDS,
    hours: float = TESTBED_HOURS,
    routers: int = 3,
    max_rows: int = 100_000,
    seeds: Sequence[int] = SEEDS,
    spread: float | None = DURATION_SPREAD,
) -> TestbedScore:
    """Simulated runs of `hours` each, one per number of `runs`; seeds: of the model. spread: of durations."""
    data = simulated_runs(tuple(runs), hours, routers, spread)
    limits = constant(LIMIT, TRAINING_LIMITS)
    found = natural(data, seeds, max_rows, limits, TESTBED_RATES, renewals=1)
    judged = (data.split.test_end_s - data.split.test_start_s) / 3600.0 * len(runs)
    whole = hours * len(runs)
    return TestbedScore(whole, judged, whole * routers, tuple(runs), found)


@dataclass(frozen=True, slots=True)
class BreachSummary:
    """over_best: geometric mean of the sets' F1 ratios. reached: sets with a ratio of at least
    `GOAL`, judged: sets with `MIN_EVENTS`. ramps_warned_pct, ramps_early_pct: over all ramps of all sets.
    """

    over_best: float
    reached: tuple[str, ...]
    judged: tuple[str, ...]
    ramps_warned_pct: float
    ramps_early_pct: float
    ramps_worst_false_per_day: float


def summary(sets: Sequence[SetBreaches], injected: Sequence[RampScore]) -> BreachSummary:
    """Over all sets; NaN where nothing was measured."""
    judged = [one for one in sets if one.events >= MIN_EVENTS and math.isfinite(one.ratio.value)]
    ratios = [one.ratio.value for one in judged if one.ratio.value > 0]
    number = sum(one.ramps for one in injected)

    def share(values: Sequence[float]) -> float:
        weighted = sum(value * one.ramps for value, one in zip(values, injected, strict=True))
        return weighted / number if number else float("nan")

    return BreachSummary(
        float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan"),
        tuple(one.data_set for one in judged if one.ratio.value >= GOAL),
        tuple(one.data_set for one in judged),
        share([one.warned_pct for one in injected]),
        share([one.early_pct for one in injected]),
        max((one.false_per_day for one in injected), default=float("nan")),
    )


def as_json(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists; what is not finite as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, tuple | list):
        return [as_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


__all__ = [
    "BreachSummary",
    "MethodScore",
    "RampScore",
    "SetBreaches",
    "TestbedScore",
    "as_json",
    "natural",
    "on_testbed",
    "ramps",
    "summary",
]
