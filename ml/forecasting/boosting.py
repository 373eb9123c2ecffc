"""Gradient-boosted quantile forecasts: one global model for all targets of a metric.

There is a forest per horizon (`ml.forecasting.forest`). The target is the change beyond the base (for live
connections with known arrivals what the queue model expects, else the last value), in units of the
series' own mean absolute difference times the root of the horizon: trees cannot extrapolate.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from ml.forecasting import clock, trend
from ml.forecasting.examples import Examples, examples
from ml.forecasting.features import Features, fingerprint, names
from ml.forecasting.forest import OUTER, Forest, grow
from ml.forecasting.network import Network, teach
from ml.forecasting.online import Priors
from ml.forecasting.outputs import Outputs
from ml.forecasting.seasonal import memory_of
from ml.score import coverage_pct, pinball
from ml.series import Floats, Series
from ml.settings import Settings

TRAIN_SHARE = 0.75  # of the time span; the rest is calibration and hold-out
MIN_ROWS = 200
GAIN = 0.03  # of the corrections of an outermost level one step ahead, in standard scores
LEAST_STILL = 1e-3  # persistence's narrowest reach, in units
REACH = 0.002
LEAST_KNOWN = 0.01  # of the rows
_THREADS = ThreadpoolController()
_NO_PRIORS = Priors(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), np.zeros(0), np.zeros((0, 0)))


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a training run gave.

    rows: forecast origins used. samples: known samples in the history. seconds: of computation.
    pinball_*: mean pinball loss on the hold-out in units of the series' own mean absolute
    difference (NaN when nothing was trained). coverage_pct: of the outermost quantiles, on the
    hold-out. accepted: whether the model serves from now on; reason: why, or why not.
    """

    rows: int
    samples: int
    trained_until_s: float
    seconds: float
    pinball_boosting: float
    pinball_trend: float
    pinball_persistence: float
    coverage_pct: float
    accepted: bool
    reason: str
    features: str


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """forests: one per horizon, and the network beside them, or none when nothing could be trained.
    columns: the inputs that they use. priors: with what serving begins (`ml.forecasting.online`).
    reach: shape (2, horizons), the least and the largest change that the base expected in training,
    in units, but for the outermost 0.2 %.
    """

    settings: Settings
    forests: tuple[Forest, ...]
    network: Network | None
    columns: tuple[int, ...]
    priors: Priors
    reach: Floats
    report: FitReport

    def knows(self, inputs: Features) -> npt.NDArray[np.bool_]:
        """Rows, shape (rows,), whose base expects a change within what training has seen."""
        change = _expected(inputs)
        inside: npt.NDArray[np.bool_] = (change >= self.reach[0]) & (change <= self.reach[1])
        return np.asarray(inside.all(axis=1))

    def outputs(self, inputs: Features) -> Outputs:
        """In units beyond the base, (rows, horizons)."""
        found = np.empty((3, len(inputs), len(self.forests)))
        every = len(self.columns) == inputs.inputs.shape[-1]
        with _THREADS.limit(limits=1):
            beside = self._beside(inputs.inputs)
            for horizon, forest in enumerate(self.forests):
                rows = inputs.inputs[horizon]
                found[:, :, horizon] = forest.outputs(
                    rows if every else rows[:, self.columns], beside[:, horizon]
                )
        return Outputs(found[0], found[1], found[2])

    def _beside(self, inputs: Floats) -> Floats:
        assert self.network is not None, "there are forests, so there is a network"
        return self.network.medians(inputs)

    def predict(self, inputs: Features) -> Floats:
        """Values, shape (rows, horizons, quantiles), >= 0, non-decreasing in the quantile.

        As a new target has them: without what `ml.forecasting.online` learns from outcomes.
        """
        return values_of(self.outputs(inputs).levels(self.priors.scores), inputs)


def values_of(levels: Floats, inputs: Features) -> Floats:
    """Quantiles in units, (rows, horizons, quantiles), as values: at least 0."""
    return np.maximum(inputs.base[:, :, None] + levels * inputs.unit[:, :, None], 0.0)


def train(series: Sequence[Series], settings: Settings, seed: int = 0) -> TrainedModel:
    """Train on the histories and judge the result on their end. Pure: runs in any process.

    The span is split in time: 75 % training, then calibration and hold-out in equal parts, so that no
    outcome is seen twice. When the model beats the cold-start model and persistence on the hold-out
    its levels are found on both parts, and it is trained again on everything. Deterministic for a
    seed, but for the report's `seconds`.
    """
    began = time.perf_counter()
    samples = sum(int(np.isfinite(one.values).sum()) for one in series)
    present = [one for one in series if len(one)]
    span_s = max((one.span_s for one in present), default=0.0)
    until_s = max((float(one.times_s[-1]) for one in present), default=float("nan"))

    def refused(reason: str, rows: int = 0) -> TrainedModel:
        nan = float("nan")
        seconds = time.perf_counter() - began
        report = FitReport(
            rows,
            samples,
            until_s,
            seconds,
            nan,
            nan,
            nan,
            nan,
            False,
            reason,
            fingerprint(settings),
        )
        return TrainedModel(settings, (), None, (), _NO_PRIORS, np.zeros(0), report)

    if span_s < settings.min_history_s:
        return refused(
            f"the longest history spans {span_s:.0f} s, below min_history_s "
            f"({settings.min_history_s:.0f} s)"
        )
    begin_s = min(float(one.times_s[0]) for one in present)
    end_s = until_s + settings.step_s
    split_s = begin_s + TRAIN_SHARE * (until_s - begin_s)
    middle_s = (split_s + end_s) / 2
    gap_s = settings.horizons_s[-1]
    grids = [one.resampled(settings.step_s) for one in present]
    memory = memory_of(grids, settings.step_s)
    cut = partial(examples, grids, memory, settings, seed=seed)
    fitting = cut(begin_s, split_s, settings.max_rows // 3)
    calibrating = cut(split_s, middle_s - gap_s, settings.max_rows // 6)
    judging = cut(middle_s, end_s, settings.max_rows // 6)
    rows = [len(part) if part else 0 for part in (fitting, calibrating, judging)]
    if fitting is None or calibrating is None or judging is None or min(rows) < MIN_ROWS:
        return refused(
            f"fewer than {MIN_ROWS} usable samples in one of the three parts of history: {rows}"
        )
    model = _fit(fitting, settings, seed)
    model = replace(model, priors=_priors(model, calibrating))
    scores = _judge(model, judging)
    better = scores[0] < min(scores[1:3])
    if better:
        # Once more on the whole history, the newest part included. Where its levels lie is known from
        # the first model on all that it had not seen (the hold-out has decided), and followed from then on.
        unseen = cut(split_s, end_s, settings.max_rows // 3)
        merged = cut(begin_s, end_s, settings.max_rows)
        assert unseen is not None
        assert merged is not None
        priors = _priors(model, unseen)
        model = replace(_fit(merged, settings, seed), priors=priors)
    reason = (
        f"hold-out pinball {scores[0]:.3f} against {scores[1]:.3f} of the cold-start model"
        f" and {scores[2]:.3f} of persistence"
    )
    seconds = time.perf_counter() - began
    report = FitReport(
        sum(rows), samples, until_s, seconds, *scores, better, reason, fingerprint(settings)
    )
    return replace(model, report=report)


def _fit(training: Examples, settings: Settings, seed: int) -> TrainedModel:
    inputs, outcome = training.inputs.inputs, training.scaled
    columns = _columns(training, settings)
    forests = []
    with _THREADS.limit(limits=1):
        network = teach(inputs, outcome, columns, _weights(training), seed)
        beside = network.medians(inputs)
        for horizon in range(len(settings.horizons_s)):
            known = np.isfinite(outcome[:, horizon])
            rows = inputs[horizon][known][:, columns]
            forests.append(
                grow(rows, outcome[known, horizon], beside[known, horizon], settings, seed)
            )
    reach = np.nanquantile(_expected(training.inputs), [REACH, 1.0 - REACH], axis=0)
    return TrainedModel(
        settings, tuple(forests), network, columns, _NO_PRIORS, reach, _blank(settings)
    )


def _columns(training: Examples, settings: Settings) -> tuple[int, ...]:
    """Inputs that are known in enough rows of every horizon: others (no durations recorded, say, or
    yesterday in a history of a day) cannot be binned. And no phase that has not come twice.
    """
    times_s = training.windows.times_s
    unheard = clock.unheard(settings.step_s, float(times_s.max() - times_s.min()))
    used = np.array([name not in unheard for name in names(settings)])
    for rows, told in zip(training.inputs.inputs, np.isfinite(training.scaled).T, strict=True):
        used &= np.isfinite(rows[told]).mean(axis=0) >= LEAST_KNOWN
    return tuple(np.flatnonzero(used).tolist())


def _weights(training: Examples) -> Floats:
    """How much rows count for the network, (rows,): the root of their scale over their series' mean.

    Errors are judged in the metric's unit, not in the row's own. The trees do without: a weighted fit
    takes them five times as long.
    """
    unit = training.inputs.unit[:, 0]
    number = np.bincount(training.source)
    mean = np.bincount(training.source, weights=unit) / np.maximum(number, 1)
    return np.sqrt(unit / mean[training.source])


def _priors(model: TrainedModel, unseen: Examples) -> Priors:
    """Where the levels lie, on examples that the model was not trained on.

    The median stays where the trees put it: moved by its errors on a stretch of days, it was worse
    on the next.
    """
    settings = model.settings
    scaled = unseen.scaled
    scores = model.outputs(unseen.inputs).scores(scaled)
    change = scaled + _expected(unseen.inputs)
    below = np.maximum(-np.nanquantile(change, OUTER, axis=0), LEAST_STILL)
    above = np.maximum(np.nanquantile(change, 1.0 - OUTER, axis=0), LEAST_STILL)
    still = Outputs(np.zeros_like(change), *np.broadcast_arrays(below, above, change)[:2])
    return Priors(
        _levels(scores, settings),
        _levels(still.scores(change), settings),
        below,
        above,
        _gains(settings),
    )


def _gains(settings: Settings) -> Floats:
    """Steps of the corrections, (horizons, quantiles): smaller for longer horizons, whose outcomes
    overlap, and none for the median, which they would only make restless.
    """
    steps = np.asarray(settings.horizon_steps, dtype=np.float64)
    levels = np.asarray(settings.quantiles)
    return np.asarray(GAIN * np.abs(2 * levels - 1) / np.sqrt(steps)[:, None])


def _levels(scores: Floats, settings: Settings) -> Floats:
    """Empirical quantiles of standard scores, (rows, horizons), per horizon and level."""
    found = np.asarray(np.nanquantile(scores, settings.quantiles, axis=0)).T
    for place, level in enumerate(settings.quantiles):
        if level == 0.5:
            found[:, place] = 0.0
    return np.sort(found, axis=1)


def _expected(inputs: Features) -> Floats:
    """The change that the base expects, in units, shape (rows, horizons)."""
    return (inputs.base - inputs.last[:, None]) / inputs.unit


def _judge(model: TrainedModel, judging: Examples) -> tuple[float, float, float, float]:
    """(boosting's, trend's, persistence's pinball in units, boosting's coverage in percent)."""
    settings = model.settings
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    boosted = model.predict(judging.inputs)
    cold = trend.quantile_forecast(
        judging.windows, ahead_s, settings.quantiles, settings.step_s, settings.calendar
    )
    still = trend.persistence(judging.windows, ahead_s, settings.step_s)
    stays = trend.spread(still.mean, still.deviation, settings.quantiles)
    losses = [
        float(np.nanmean(pinball(judging.later, values, settings.quantiles) / judging.inputs.unit))
        for values in (boosted, cold, stays)
    ]
    covered = coverage_pct(judging.later, boosted[:, :, 0], boosted[:, :, -1])
    return losses[0], losses[1], losses[2], covered


def _blank(settings: Settings) -> FitReport:
    nan = float("nan")
    return FitReport(0, 0, nan, 0.0, nan, nan, nan, nan, False, "", fingerprint(settings))
