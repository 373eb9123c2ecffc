"""Trains what warns of breaches, from offered demand, beside the forecast model.

In time: the classifier and a small forecast model learn from the first three quarters; on the rest, which
neither has seen, their mean is recalibrated and the rule is chosen; then the classifier learns once
more from everything, as the forecast model that serves did.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml.breaches.alarm import PERSISTENCE, AlarmRule, Point, at, choose, curve, within
from ml.breaches.claims import Joined, Watch, joined
from ml.breaches.crossing import CrossingModel, fit_crossing
from ml.breaches.crossing_channels import COLUMNS, recorded
from ml.breaches.exceedance import exceedance_odds
from ml.breaches.lessons import (
    JUDGED_LEVELS,
    LEVELS,
    Lessons,
    by_own_limits,
    by_quantiles,
    lessons,
    piece_steps,
    thinned,
)
from ml.breaches.recalibration import recalibrate
from ml.breaches.warner import Warner, WarnerReport, together
from ml.forecasting.boosting import TrainedModel, train
from ml.forecasting.cold import cold_forecast
from ml.forecasting.features import features
from ml.forecasting.seasonal import SeasonalMemory, memory_of
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import rolling

TRAIN_SHARE = 0.75  # of the time span
MOST_SERIES = 64  # of more targets some, evenly chosen
MOST_LESSONS = 20_000
MOST_JUDGED = 40_000  # samples under their limits
FORECAST_ROWS = 8_000  # of the small forecast model
LEAST_EVENTS = 10  # on the rest: fewer tell nothing of a rule
AIM = 0.5  # of the budget: on days to come rules gave half as many again to twice as many false alarms
NEARLY = 0.97  # of the best F1: worth a longer lead
SIMPLE = 0.5  # least forecast probability of the rule without training
WARM_SAMPLES = 30
BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """warner: None when no rule could be chosen, or none was better than the simple one."""

    warner: Warner | None
    report: WarnerReport


def train_warner(
    series: Sequence[Series],
    settings: Settings,
    limits: Mapping[str, float],
    false_per_day: float,
    seed: int = 0,
) -> Taught:
    """Train on the histories of offered demand. Pure: runs in any process; deterministic for a seed.

    settings: of the forecaster that it will serve beside. limits: target → its limit, for those that have
    one. false_per_day: the budget, false alarms a day and target.
    """
    began_s = time.perf_counter()
    present = [one for one in series if len(one)]
    present = present[:: max(1, -(-len(present) // MOST_SERIES))]
    step_s, horizon = settings.step_s, settings.horizon_steps[-1]
    channels = bool(present) and all(recorded(one) for one in present)
    grids = [one.resampled(step_s) for one in present]
    begin_s = min((float(one.times_s[0]) for one in grids), default=0.0)
    end_s = max((float(one.times_s[-1]) for one in grids), default=0.0) + step_s
    split_s = begin_s + TRAIN_SHARE * (end_s - begin_s)
    gap_s = (horizon + 1) * step_s
    piece = piece_steps(end_s - begin_s, horizon, step_s)
    part = (horizon, step_s, piece)

    def refused(reason: str, rows: int = 0, events: int = 0) -> Taught:
        nan = float("nan")
        took_s = time.perf_counter() - began_s
        figures = (nan,) * 9
        report = WarnerReport(
            rows, events, nan, False, false_per_day, nan, 0, *figures[:7], took_s, False, reason
        )
        return Taught(None, report)

    if end_s - begin_s < settings.min_history_s:
        return refused(f"the history spans {end_s - begin_s:.0f} s only")
    taught = by_quantiles(grids, begin_s, split_s - gap_s, LEVELS, *part)
    taught += by_own_limits(grids, begin_s, split_s - gap_s, limits, *part)
    judged, own = _judged(grids, split_s, end_s, limits, part)
    if not taught or not judged:
        return refused("the history is too short, or never changes")
    field = joined(judged)
    events = int(np.count_nonzero(field.onset))
    if events < LEAST_EVENTS:
        return refused(
            f"{events} crossings in the newest quarter; a rule needs {LEAST_EVENTS}", events=events
        )
    first_rows = lessons(grids, taught, channels, MOST_LESSONS, seed)
    rows = lessons(grids, judged, channels)
    try:
        first = _fit([first_rows], channels, seed)
    except ValueError as error:  # too few crossings
        return refused(str(error), len(first_rows), events)
    odds = _forecast_odds(grids, settings, split_s - gap_s, rows, seed)
    mean = together(first.raw(rows.inputs), odds)
    recalibration = recalibrate(mean, rows.crossed)
    index = np.concatenate(
        [
            start + np.flatnonzero(one.below & one.judged)
            for start, one in zip(field.starts, judged, strict=True)
        ]
    )
    score, simple = (np.full(len(field.eligible), -np.inf) for _ in range(2))
    score[index] = recalibration.apply(mean)
    simple[index] = np.nan_to_num(odds, nan=-np.inf)
    chosen = _chosen(score, field, AIM * false_per_day)
    plain = at(simple, field, AlarmRule(float(np.log(SIMPLE / (1 - SIMPLE))), 1, horizon * step_s))
    accepted, reason = _verdict(chosen, plain, false_per_day, own)
    newest = by_quantiles(grids, split_s, end_s, LEVELS, *part)
    newest += by_own_limits(grids, split_s, end_s, limits, *part)
    recent_rows = lessons(grids, newest, channels, MOST_LESSONS // 3, seed)
    final = _fit([first_rows, recent_rows], channels, seed) if accepted else first
    report = WarnerReport(
        len(first_rows) + len(recent_rows),
        events,
        field.days,
        own,
        false_per_day,
        chosen.rule.level,
        chosen.rule.samples,
        chosen.tally.recall,
        chosen.tally.false_per_day,
        chosen.tally.f1,
        chosen.tally.lead_s(50),
        plain.tally.recall,
        plain.tally.false_per_day,
        plain.tally.f1,
        time.perf_counter() - began_s,
        accepted,
        reason,
    )
    if not accepted:
        return Taught(None, report)
    return Taught(Warner(final, recalibration, chosen.rule, horizon, step_s, report), report)


def _judged(
    grids: Sequence[Series],
    start_s: float,
    end_s: float,
    limits: Mapping[str, float],
    part: tuple[int, float, int],
) -> tuple[list[Watch], bool]:
    """What the rule is chosen on, and whether under the targets' own limits."""
    own = thinned(by_own_limits(grids, start_s, end_s, limits, *part), MOST_JUDGED)
    if sum(len(one.onsets) for one in own) >= LEAST_EVENTS:
        return own, True
    return thinned(by_quantiles(grids, start_s, end_s, JUDGED_LEVELS, *part), MOST_JUDGED), False


def _chosen(score: Floats, field: Joined, false_per_day: float) -> Point:
    """Of the rules within the budget whose F1 is nearly the best, the one that warns earliest."""
    points = curve(score, field, PERSISTENCE)
    best = within(points, false_per_day)
    if best is None or best.tally.f1 == 0.0:
        return at(score, field, choose(score, field, false_per_day))
    good = [
        point
        for point in points
        if point.tally.false_per_day <= false_per_day and point.tally.f1 >= NEARLY * best.tally.f1
    ]
    return max(good, key=lambda point: (point.tally.lead_s(50), point.tally.f1))


def _fit(parts: Sequence[Lessons], channels: bool, seed: int) -> CrossingModel:
    some = [one for one in parts if len(one)]
    return fit_crossing(
        np.concatenate([one.inputs for one in some]),
        np.concatenate([one.crossed for one in some]),
        seed,
        more=COLUMNS if channels else (),
    )


def _forecast_odds(
    grids: Sequence[Series], settings: Settings, until_s: float, rows: Lessons, seed: int
) -> Floats:
    """What a forecast model that has learnt up to `until_s` says of each row, (rows,)."""
    small = replace(settings, max_rows=min(settings.max_rows, FORECAST_ROWS), min_history_s=0.0)
    model = train([one.until(until_s) for one in grids], small, seed)
    memory = memory_of(grids, settings.step_s)
    odds = np.full(len(rows), np.nan)
    for number in np.unique(rows.series).tolist():
        mine = np.flatnonzero(rows.series == number)
        ends, which = np.unique(rows.ends[mine], return_inverse=True)
        values = _forecasts(model, grids[number], ends, memory)
        odds[mine] = exceedance_odds(values[which], settings.quantiles, rows.limits[mine])
    return odds


def _forecasts(
    model: TrainedModel, grid: Series, ends: np.ndarray, memory: SeasonalMemory
) -> Floats:
    """Forecast values at these samples, (ends, horizons, quantiles), as a new target has them."""
    settings = model.settings
    values = np.full((len(ends), len(settings.horizons_s), len(settings.quantiles)), np.nan)
    for first in range(0, len(ends), BLOCK_ROWS):
        windows = rolling(grid, settings.lookback_steps, ends[first : first + BLOCK_ROWS])
        block = values[first : first + BLOCK_ROWS]
        fitting = np.zeros(len(windows), dtype=np.bool_)
        if model.forests:
            made = features(windows, memory, settings)
            known = np.isfinite(windows.values).sum(axis=1)
            fitting = made.usable & (known >= WARM_SAMPLES) & model.knows(made)
            if fitting.any():
                block[fitting] = model.predict(made.select(fitting))
        if not fitting.all():
            rest = windows.select(~fitting)
            block[~fitting] = cold_forecast(rest, np.zeros(len(rest)), settings)[0]
    return values


def _verdict(chosen: Point, plain: Point, budget: float, own: bool) -> tuple[bool, str]:
    mine, its = chosen.tally, plain.tally
    told = (
        f"{mine.events} breaches under {'its own limits' if own else 'quantiles of the load'}: "
        f"{100 * mine.recall:.0f} % warned at {mine.false_per_day:.2g} false alarms a day; the rule "
        f"without training {100 * its.recall:.0f} % at {its.false_per_day:.2g}; budget {budget:g}"
    )
    if mine.f1 == 0.0:
        return False, f"no rule within the budget warns of any breach; {told}"
    if its.false_per_day <= budget and its.f1 > mine.f1:
        return False, f"the rule without training is better; {told}"
    return True, told
