"""Injected ramps: is every one warned of, how early, at how many false alarms?

False alarms are counted on the same days, under the same limits, without any ramp. The rule is chosen on the
calibration part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.alarm import PERSISTENCE, AlarmRule, at, curve, earliest, persistent
from ml.breaches.claims import Joined, Watch, claims, joined, watch
from ml.breaches.crossing import CrossingModel
from ml.breaches.ramp import detector_inputs
from ml.evaluation.breaches.ramp_injection import Injected, calm, injected
from ml.evaluation.breaches.ramp_lessons import LESSONS, fitted, watched_rows
from ml.evaluation.dataset import DataSet
from ml.series import Floats

BUDGET = 2.0  # false alarms a day and series
AIM = 1.0  # what the rule is chosen for: calibration days are few, and days differ
RISES = (1.0, 2.0, 4.0)  # from the begin to the nominal crossing, in horizons
TRIALS = 120  # to choose the rule by
HALF = 0.5  # of the available lead
CLIMBED = 0.75  # of the way: what crosses before it is a burst that rides on the ramp


@dataclass(frozen=True, slots=True)
class RampShape:
    """Outcome of all ramps that take `rise_s` to the limit. ramps: how many. warned_pct: a claim stood at the
    crossing. early_pct: and had stood without a break for at least half of the available lead.
    """

    rise_s: float
    ramps: int
    warned_pct: float
    early_pct: float


@dataclass(frozen=True, slots=True)
class RampScore:
    """level, samples: of the rule. false_per_day: realised in the test part without ramps. available
    lead: from the ramp's begin, but at most the horizon, to the crossing. lead_share: median share of it that
    was used. climbed_*: of those ramps alone that had themselves gone `CLIMBED` of the way at the
    crossing, climbed_share of all. matched_*: with the level that realises at most `BUDGET` in the test part,
    as F1 is compared; the rule's number of samples.
    """

    data_set: str
    horizon_s: float
    ramps: int
    level: float
    samples: int
    false_per_day: float
    warned_pct: float
    early_pct: float
    lead_p10_s: float
    lead_p50_s: float
    lead_p90_s: float
    lead_share_p50: float
    climbed_share: float
    climbed_warned_pct: float
    climbed_early_pct: float
    matched_warned_pct: float
    matched_early_pct: float
    matched_false_per_day: float
    shapes: tuple[RampShape, ...]


def ramps(
    data: DataSet,
    seed: int = 0,
    number: int = 120,
    max_rows: int = 50_000,
    lessons: int = LESSONS,
    trials: int = TRIALS,
) -> RampScore:
    """Ramps of all `RISES` in the test part. The detector has learnt from other ramps, in the training part."""
    split = data.split
    model = fitted(data, seed, max_rows, lessons)
    found = [
        (rise, one)
        for rise in RISES
        for one in injected(
            data, split.test_start_s, split.test_end_s, number // len(RISES), seed, (rise, rise)
        )
    ]
    if not found:
        raise ValueError(f"data set {data.name}: no stretch of the test part stays below its limit")
    horizon, step_s = data.horizon_steps[-1], data.step_s
    rule = _rule(data, model, trials, seed)
    calm_test = _scored(data, model, calm(data, split.test_start_s, split.test_end_s))
    made = [scores(one, model, horizon, step_s) for _, one in found]

    def gives(rule: AlarmRule) -> Floats:
        pairs = zip(found, made, strict=True)
        return np.array([lead(one, score, rule, horizon, step_s) for (_, one), score in pairs])

    got = gives(rule)
    share = _share(got, [one for _, one in found], horizon, step_s)
    at_budget = earliest(curve(*calm_test, (rule.samples,)), BUDGET)
    matched = gives(at_budget.rule) if at_budget is not None else np.zeros(len(found))
    matched_share = _share(matched, [one for _, one in found], horizon, step_s)
    climbed = np.array([one.climbed >= CLIMBED for _, one in found])
    shapes = []
    for rise in RISES:
        mine = np.array([one_rise == rise for one_rise, _ in found])
        if mine.any():
            shapes.append(
                RampShape(
                    rise * horizon * step_s,
                    int(mine.sum()),
                    _percent(got[mine] > 0),
                    _percent(share[mine] >= HALF),
                )
            )
    warned = got[got > 0]
    low, middle, high = np.percentile(warned, [10, 50, 90]) if len(warned) else (np.nan,) * 3
    return RampScore(
        data.name,
        horizon * step_s,
        len(found),
        rule.level,
        rule.samples,
        at(*calm_test, rule).tally.false_per_day,
        _percent(got > 0),
        _percent(share >= HALF),
        float(low),
        float(middle),
        float(high),
        float(np.median(share)),
        float(climbed.mean()),
        _percent(got[climbed] > 0),
        _percent(share[climbed] >= HALF),
        _percent(matched > 0),
        _percent(matched_share >= HALF),
        at_budget.tally.false_per_day if at_budget is not None else 0.0,
        tuple(shapes),
    )


def scores(one: Injected, model: CrossingModel, horizon: int, step_s: float) -> Floats:
    """Of every sample from a horizon before the ramp to its crossing; -inf above the limit."""
    begin = max(0, one.begin - horizon)
    watched = watch(0, one.series.values, one.limit, horizon, step_s, begin, one.crossing + 1)
    ends = begin + np.flatnonzero(watched.below)
    score = np.full(one.crossing + 1 - begin, -np.inf)
    score[ends - begin] = model.raw(detector_inputs(one.series, ends, one.limit, horizon, step_s))
    return score


def lead(one: Injected, score: Floats, rule: AlarmRule, horizon: int, step_s: float) -> float:
    """Seconds from the first claim after the ramp began, without a break until the crossing; 0: none.

    At most the horizon, as no claim reaches further. score: as of `scores`.
    """
    begin = max(0, one.begin - horizon)
    watched = watch(0, one.series.values, one.limit, horizon, step_s, begin, one.crossing + 1)
    field = joined([watched])
    made = claims(persistent(field.spread([score]), rule.samples) >= rule.level, field) + begin
    made = made[(made >= one.begin) & (made < one.crossing)]
    if not len(made) or made[-1] + horizon < one.crossing:
        return 0.0
    first = len(made) - 1
    while first > 0 and made[first - 1] + horizon >= made[first]:
        first -= 1
    return float(min(one.crossing - made[first], horizon)) * step_s


def _rule(data: DataSet, model: CrossingModel, trials: int, seed: int) -> AlarmRule:
    """Chosen on the calibration part.

    For one, two and three samples in a row the lowest level that keeps to `AIM`; of these the rule that warns of
    most ramps injected into the calibration part by half of their lead.
    """
    split = data.split
    span = (split.calibration_start_s, split.calibration_end_s)
    score, field = _scored(data, model, calm(data, *span))
    horizon, step_s = data.horizon_steps[-1], data.step_s
    found = [earliest(curve(score, field, (samples,)), AIM) for samples in PERSISTENCE]
    rules = [point.rule for point in found if point is not None]
    tried = [
        (one, scores(one, model, horizon, step_s))
        for one in injected(data, *span, trials, seed + 2000, (RISES[0], RISES[-1]))
    ]

    trial_ramps = [one for one, _ in tried]

    def used(rule: AlarmRule) -> tuple[float, float]:
        got = np.array([lead(one, made, rule, horizon, step_s) for one, made in tried])
        early = _share(got, trial_ramps, horizon, step_s) >= HALF
        return float(early.sum()), float(got.sum())

    return max(rules, key=used, default=AlarmRule(1.0, 1, horizon * step_s))


def _scored(data: DataSet, model: CrossingModel, watches: Sequence[Watch]) -> tuple[Floats, Joined]:
    field = joined(watches)
    made = watched_rows(data, watches)
    return made.scattered(model.raw(made.inputs), field), field


def _share(got: Floats, ramps_of: Sequence[Injected], horizon: int, step_s: float) -> Floats:
    """Of the available lead: from the ramp's begin, but at most the horizon, to the crossing."""
    available = [min(one.crossing - one.begin, horizon) * step_s for one in ramps_of]
    return np.asarray(got / np.array(available))


def _percent(which: np.ndarray) -> float:
    return 100.0 * float(which.mean()) if len(which) else float("nan")
