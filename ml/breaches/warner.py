"""Warns of breaches while they can be averted: classifier and forecast together, and the rule for alarms.

What serves beside a forecaster. The classifier (`ml.breaches.crossing`) sees the last 60 samples with
arrivals and durations; days, weeks and planned events come in with the forecast. The mean of their log
odds is recalibrated on data that neither has learnt from; on the same data the rule was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.alarm import Alarm, AlarmRule
from ml.breaches.crossing import CrossingModel
from ml.breaches.crossing_channels import COLUMNS, windows_channel_inputs
from ml.breaches.crossing_inputs import NAMES, SPAN, recent_inputs
from ml.breaches.exceedance import exceedance_odds
from ml.breaches.recalibration import Recalibration
from ml.forecasting.forecast import Forecast
from ml.series import Floats, Series
from ml.windows import Windows, latest

WARM_SAMPLES = 20  # known ones in the window
FRESH_STEPS = 1.5
MOST_ODDS = 8.0  # so that neither of the two decides alone
BLOCK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class WarnerReport:
    """How a rule was chosen, and what it gave on the data that it was chosen on.

    lessons: rows that the classifier learnt from. events, days: breaches, and time outside them,
    target-days. own_limits: whether the targets' own limits were crossed often enough to judge by;
    else quantiles of each target's own load were the limits. budget_per_day: false alarms a day and target
    that were asked for. recall, false_per_day, f1, lead_p50_s: of the chosen rule. simple_*: of
    the rule without training, a forecast probability of at least one half. seconds: of computation.
    accepted, reason: whether alarms are raised by it, and why or why not.
    """

    lessons: int
    events: int
    days: float
    own_limits: bool
    budget_per_day: float
    level: float
    samples: int
    recall: float
    false_per_day: float
    f1: float
    lead_p50_s: float
    simple_recall: float
    simple_false_per_day: float
    simple_f1: float
    seconds: float
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Warner:
    """horizon: steps of step_s seconds within which a crossing is foretold, the forecasts' longest.

    recalibration: of the mean of both. rule: for its result.
    """

    crossing: CrossingModel
    recalibration: Recalibration
    rule: AlarmRule
    horizon: int
    step_s: float
    report: WarnerReport

    def probabilities(
        self,
        series: Sequence[Series],
        limits: Mapping[str, float],
        forecasts: Mapping[str, Forecast],
        now_s: float,
    ) -> dict[str, float]:
        """Per target that its limit is crossed within the horizon. Targets without a forecast, a limit, a
        present sample, or enough of them are absent. Samples after `now_s` are ignored.
        """
        past = [one.until(now_s) for one in series if one.target in limits]
        fresh = [
            one
            for one in past
            if one.target in forecasts
            and len(one)
            and now_s - one.times_s[-1] <= FRESH_STEPS * self.step_s
        ]
        if not fresh:
            return {}
        windows = latest(fresh, SPAN, self.step_s)
        known = np.isfinite(windows.values)
        windows = windows.select(known[:, -1] & (known.sum(axis=1) >= WARM_SAMPLES))
        if not len(windows):
            return {}
        made = [forecasts[target] for target in windows.targets]
        limit = np.array([limits[target] for target in windows.targets])
        foreseen = exceedance_odds(np.array([one.values for one in made]), made[0].quantiles, limit)
        inputs = inputs_of(
            windows, limit, self.horizon, self.step_s, len(self.crossing.names) > len(NAMES)
        )
        mean = together(self.crossing.raw(inputs), foreseen)
        found = self.recalibration.apply(mean)
        return dict(zip(windows.targets, found.tolist(), strict=True))


def inputs_of(
    windows: Windows, limits: Floats, horizon: int, step_s: float, channels: bool
) -> Floats:
    """What the classifier sees of windows of `SPAN` samples, float32, in training and in serving.

    channels: whether its columns of arrivals and durations are among them.
    """
    parts = []
    for first in range(0, len(windows), BLOCK_ROWS):
        some = windows.select(np.arange(first, min(first + BLOCK_ROWS, len(windows))))
        limit = limits[first : first + BLOCK_ROWS]
        made = recent_inputs(some.values, some.times_s, limit, horizon)
        if channels:
            more = windows_channel_inputs(some, limit, horizon, step_s)
            made = np.concatenate([made, more], axis=1)
        parts.append(made.astype(np.float32))
    if not parts:
        return np.zeros((0, len(NAMES) + (len(COLUMNS) if channels else 0)), dtype=np.float32)
    return np.concatenate(parts)


def together(probability: Floats, odds: Floats) -> Floats:
    """The mean of a probability and log odds, in log odds, as a probability; where the odds are
    unknown (NaN) the probability alone. All (rows,).
    """
    inside = np.clip(probability, 1e-9, 1.0 - 1e-9)
    one = np.clip(np.log(inside / (1.0 - inside)), -MOST_ODDS, MOST_ODDS)
    other = np.clip(odds, -MOST_ODDS, MOST_ODDS)
    mean = np.where(np.isfinite(other), (one + other) / 2.0, one)
    return np.asarray(1.0 / (1.0 + np.exp(-mean)))


class Alarms:
    """The alarms of all targets under one rule."""

    def __init__(self, rule: AlarmRule) -> None:
        self.rule = rule
        self._each: dict[str, Alarm] = {}
        self._last_s: dict[str, float] = {}

    def update(self, target: str, t_s: float, probability: float, *, above: bool) -> bool:
        """Whether an alarm stands for a target after its sample at `t_s`, above its limit or not.

        The same sample again changes nothing. When the clock was set back, its alarm begins anew.
        """
        last_s = self._last_s.get(target, -np.inf)
        if t_s != last_s:
            if t_s < last_s or target not in self._each:
                self._each[target] = Alarm(self.rule)
            self._each[target].update(t_s, probability, above=above)
            self._last_s[target] = t_s
        return self._each[target].standing(t_s)
