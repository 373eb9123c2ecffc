"""Breaches in recorded series: ours against simple rules, at equal budgets and equal realised rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.alarm import curve
from ml.breaches.claims import Joined, Watch, joined
from ml.breaches.crossing_inputs import NAMES
from ml.breaches.recalibration import Reliability, reliability
from ml.evaluation.baselines.logistic import Logistic
from ml.evaluation.bootstrap import Interval
from ml.evaluation.breaches import baselines as simple
from ml.evaluation.breaches.forecast import forecast_scores
from ml.evaluation.breaches.limits import Limits, daily
from ml.evaluation.breaches.model import MAX_ROWS, Lessons, learn, lessons, probabilities
from ml.evaluation.breaches.ratios import ratio_interval
from ml.evaluation.breaches.rows import Rows, rows
from ml.evaluation.breaches.scores import BUDGET_INDEX, RATES, MethodScore, at_rate, scored
from ml.evaluation.dataset import DataSet
from ml.series import Floats

SEEDS = (0, 1, 2)
RENEWALS = 4
OURS, LOGISTIC, FORECAST, TOGETHER = "crossing", "logistic", "forecast", "crossing+forecast"
_LOGISTIC_INPUTS = (
    "distance",
    "lag_1",
    "lag_2",
    "lag_3",
    "lag_6",
    "lag_12",
    "day_sine",
    "day_cosine",
)
_LIMIT = 20.0  # inputs are clipped there: a logistic regression is not robust to outliers


@dataclass(frozen=True, slots=True)
class SetBreaches:
    """events: breaches in the test part, over all limits. days: eligible series-days under a limit.
    methods: ours first, with the first seed. ratio: our mean F1 over the rates and the seeds by that of the best
    simple rule (the best in hindsight), with its 95 % block-bootstrap interval; ratio_at_budget: alike
    at the rate of `BUDGET_INDEX` alone. seed_ratios: of each seed; ratio_by_rate: per rate, against the best at
    that rate (first seed). over: rule → ratio to it. forecast_ratio: F1 of single forecasts, mean over
    shares, alike.
    """

    data_set: str
    events: int
    days: float
    horizon_s: float
    methods: tuple[MethodScore, ...]
    best: str
    ratio: Interval
    seed_ratios: tuple[float, ...]
    ratio_by_rate: tuple[float, ...]
    ratio_at_budget: Interval
    over: tuple[tuple[str, Interval], ...]
    forecast_ratio: float
    reliability: Reliability


def natural(
    data: DataSet,
    seeds: Sequence[int] = SEEDS,
    max_rows: int = MAX_ROWS,
    limits: Limits = daily,
    rates: tuple[float, ...] = RATES,
    renewals: int = RENEWALS,
    forecasts: bool = False,
) -> SetBreaches:
    """All methods on one set; ours is trained again at every `renewals`-th of the test part, once per seed.

    forecasts: also judge what the forecaster's quantiles alone say, and the mean of both in log odds.
    Raises ValueError when a part has no watchable day or no crossing.
    """
    taught = lessons(data, max_rows, limits, renewals, seeds[0])
    watches = limits(data, data.split.test_start_s, data.split.test_end_s, training=False)
    field, calibration = joined(watches), joined(taught.calibration)
    test = rows(data, watches)
    learnt = [learn(data, taught, seed) for seed in seeds]
    foretold = [probabilities(one.served, test, watches) for one in learnt]
    ours = [test.scattered(one, field) for one in foretold]
    first = learnt[0].score
    scores = [scored(OURS, "", True, first, calibration, ours[0], field, rates)]
    line = _logistic(taught, test, calibration, field)
    scores.append(scored(LOGISTIC, "", True, *line, rates))
    if forecasts:
        known, made = forecast_scores(data, (calibration, field), seeds[0])
        scores.append(scored(FORECAST, "", True, known, calibration, made, field, rates))
        known, made = _together(first, known), _together(ours[0], made)
        scores.append(scored(TOGETHER, "", True, known, calibration, made, field, rates))
    finest: dict[str, Floats] = {}
    for rule in simple.RULES:
        variant, known, finest[rule] = _best_variant(
            data, rule, taught.calibration, calibration, watches, field, rates
        )
        scores.append(scored(rule, variant, False, known, calibration, finest[rule], field, rates))
    rules = [one for one in scores if not one.learning]
    best = max(rules, key=lambda one: one.mean_f1)
    rival = max(rules, key=lambda one: one.matched[BUDGET_INDEX].f1)
    over = {
        rule: ratio_interval(ours, score, field, rates, seeds[0]) for rule, score in finest.items()
    }
    return SetBreaches(
        data.name,
        int(field.onset.sum()),
        field.days,
        field.horizon * field.step_s,
        tuple(scores),
        best.method,
        over[best.method],
        tuple(
            ratio_interval([one], finest[best.method], field, rates, seeds[0]).value for one in ours
        ),
        tuple(
            _ratio(scores[0].matched[index].f1, max(one.matched[index].f1 for one in rules))
            for index in range(len(rates))
        ),
        ratio_interval(ours, finest[rival.method], field, rates[BUDGET_INDEX:][:1], seeds[0]),
        tuple(over.items()),
        _ratio(
            float(np.mean([one.f1 for one in scores[0].forecasts])),
            max(float(np.mean([one.f1 for one in rule.forecasts])) for rule in rules),
        ),
        reliability(foretold[0], test.crossed),
    )


def _together(one: Floats, other: Floats) -> Floats:
    """The mean of the log odds; where only one is known, that one."""
    odds = []
    for score in (one, other):
        inside = np.clip(np.where(np.isfinite(score), score, 0.5), 1e-6, 1.0 - 1e-6)
        odds.append(np.where(np.isfinite(score), np.log(inside / (1.0 - inside)), np.nan))
    mean = np.where(np.isfinite(odds[0] + odds[1]), (odds[0] + odds[1]) / 2, odds[0])
    return np.asarray(np.nan_to_num(mean, nan=-np.inf))


def _logistic(
    taught: Lessons, test: Rows, calibration: Joined, field: Joined
) -> tuple[Floats, Joined, Floats, Joined]:
    """The peer learns twice, as ours does: for its rule, and with all that came before the test."""
    columns = [NAMES.index(name) for name in _LOGISTIC_INPUTS]

    def inputs(*parts: Rows) -> Floats:
        stacked = np.concatenate([part.inputs[:, columns] for part in parts])
        return np.asarray(np.clip(np.nan_to_num(stacked), -_LIMIT, _LIMIT), dtype=np.float64)

    first = Logistic.fit(inputs(taught.training), taught.training.crossed)
    final = Logistic.fit(
        inputs(taught.training, taught.recent),
        np.concatenate([taught.training.crossed, taught.recent.crossed]),
    )
    known = taught.judged.scattered(first.probability(inputs(taught.judged)), calibration)
    return known, calibration, test.scattered(final.probability(inputs(test)), field), field


def _best_variant(
    data: DataSet,
    rule: str,
    known_watches: Sequence[Watch],
    calibration: Joined,
    watches: Sequence[Watch],
    field: Joined,
    rates: tuple[float, ...],
) -> tuple[str, Floats, Floats]:
    """(name, calibration score, test score) of the variant with the best mean F1 on calibration data."""
    measures = simple.scales(data, rule)
    found: list[tuple[float, str, Floats, Floats, Floats]] = []
    for name, peak in simple.peaks(data, rule).items():
        for measure, scale in measures.items():
            known = calibration.spread([simple.score(peak, scale, one) for one in known_watches])
            points = curve(known, calibration)
            mean = float(np.mean([at_rate(points, rate).f1 for rate in rates]))
            found.append((mean, f"{name}, {measure} margin", known, peak, scale))
    _, name, known, peak, scale = max(found, key=lambda one: one[0])
    return name, known, field.spread([simple.score(peak, scale, one) for one in watches])


def _ratio(ours: float, other: float) -> float:
    return ours / other if other > 0 else float("inf") if ours > 0 else float("nan")
