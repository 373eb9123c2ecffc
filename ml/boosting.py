"""Gradient-boosted quantile forecasts: one global model for all targets and horizons.

The horizon is an input, so there is one estimator per quantile level instead of one per level and
horizon; a whole cycle is then one `predict` per level. Each level is corrected per horizon on a
calibration tail that follows the training data in time (split conformal, per quantile), and sorted.

The target is the change beyond what the cold-start model expects, in units of the series' own mean
absolute difference times the root of the horizon. Trees cannot extrapolate: on a history
without ramps, a model of the plain change warned of its first ramp 0 s ahead, this one 13 s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import ThreadpoolController

from ml import trend
from ml.features import NAMES, Features, features, fingerprint
from ml.score import coverage_pct, pinball
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import Windows, rolling, stacked

TRAIN_SHARE, CALIBRATION_SHARE = 0.6, 0.2  # of the time span; the rest is the hold-out
MIN_ROWS = 200
REACH = 0.002
TREND_CHANGE = NAMES.index("trend_change")
_THREADS = ThreadpoolController()


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a training run gave.

    rows: forecast origins used. samples: count samples in the history. seconds: of computation.
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
    """estimators: one per quantile, or none when nothing could be trained. columns: the inputs that
    they use. corrections: shape (horizons, quantiles), added to the estimators' outputs.
    reach: shape (2, horizons), the least and the largest change that the cold-start model expected
    in training, in units, but for the outermost 0.2 %.
    """

    settings: Settings
    estimators: tuple[HistGradientBoostingRegressor, ...]
    columns: tuple[int, ...]
    corrections: Floats
    reach: Floats
    report: FitReport

    def knows(self, inputs: Features) -> npt.NDArray[np.bool_]:
        """Rows, shape (rows,), whose expected change is within what training has seen."""
        change = inputs.inputs[:, :, TREND_CHANGE]
        inside: npt.NDArray[np.bool_] = (change >= self.reach[0]) & (change <= self.reach[1])
        return np.asarray(inside.all(axis=1))

    def predict(self, inputs: Features) -> Floats:
        """Counts, shape (rows, horizons, quantiles), >= 0, non-decreasing in the quantile."""
        raw = _raw(self.estimators, self.columns, inputs.inputs) + self.corrections
        values = inputs.base[:, :, None] + np.sort(raw, axis=-1) * inputs.unit[:, :, None]
        return np.maximum(values, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Examples:
    """windows of some origins, their features, and the later counts, shape (rows, horizons)."""

    windows: Windows
    inputs: Features
    later: Floats

    @property
    def scaled(self) -> Floats:
        return (self.later - self.inputs.base) / self.inputs.unit


def train(series: Sequence[Series], settings: Settings, seed: int = 0) -> TrainedModel:
    """Train on the histories and judge the result on their end. Pure: runs in any process.

    The span is split in time: 60 % training, 20 % calibration, 20 % hold-out, with a gap of the
    longest horizon before each split, so that no target value is seen twice. When the model beats
    the cold-start model on the hold-out it is trained again on the first 80 % and calibrated on
    the rest. Deterministic for a seed, but for the report's `seconds`.
    """
    began = time.perf_counter()
    samples = sum(int(np.isfinite(one.count).sum()) for one in series)
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
        return TrainedModel(settings, (), (), np.zeros(0), np.zeros(0), report)

    if span_s < settings.min_history_s:
        return refused(
            f"the longest history spans {span_s:.0f} s, below min_history_s "
            f"({settings.min_history_s:.0f} s)"
        )
    begin_s = min(float(one.times_s[0]) for one in present)
    gap_s = settings.horizons_s[-1]
    first = begin_s + TRAIN_SHARE * (until_s - begin_s)
    second = first + CALIBRATION_SHARE * (until_s - begin_s)
    grids = [one.resampled(settings.step_s) for one in present]
    fitting = _examples(grids, settings, begin_s, first - gap_s, settings.max_rows)
    calibrating = _examples(grids, settings, first, second - gap_s, settings.max_rows // 3)
    judging = _examples(grids, settings, second, until_s, settings.max_rows // 3)
    rows = [len(part.windows) if part else 0 for part in (fitting, calibrating, judging)]
    if fitting is None or calibrating is None or judging is None or min(rows) < MIN_ROWS:
        return refused(
            f"fewer than {MIN_ROWS} usable samples in one of the three parts of history: {rows}"
        )
    model = _fit(fitting, calibrating, settings, seed)
    scores = _judge(model, judging)
    better = scores[0] < scores[1]
    if better:
        merged = _examples(grids, settings, begin_s, second - gap_s, settings.max_rows)
        assert merged is not None
        model = _fit(merged, judging, settings, seed)
    reason = (
        f"hold-out pinball {scores[0]:.3f} against {scores[1]:.3f} of the cold-start model"
        f" and {scores[2]:.3f} of persistence"
    )
    seconds = time.perf_counter() - began
    report = FitReport(
        sum(rows), samples, until_s, seconds, *scores, better, reason, fingerprint(settings)
    )
    return replace(model, report=report)


def _examples(
    grids: Sequence[Series], settings: Settings, start_s: float, end_s: float, max_rows: int
) -> _Examples | None:
    """Origins in [start_s, end_s), evenly thinned to `max_rows`, whose count is known."""
    origins: list[tuple[Series, npt.NDArray[np.int64]]] = []
    nearest = settings.horizon_steps[0]
    for grid in grids:
        index = np.flatnonzero(
            (grid.times_s >= start_s) & (grid.times_s < end_s) & np.isfinite(grid.count)
        )
        origins.append((grid, index[index < len(grid) - nearest]))
    stride = max(1, -(-sum(len(index) for _, index in origins) // max_rows))
    windows: list[Windows] = []
    later: list[Floats] = []
    for grid, index in origins:
        chosen = index[::stride]
        if not len(chosen):
            continue
        windows.append(rolling(grid, settings.lookback_steps, chosen))
        padded = np.concatenate([grid.count, np.full(settings.horizon_steps[-1], np.nan)])
        later.append(np.stack([padded[chosen + steps] for steps in settings.horizon_steps], 1))
    if not windows:
        return None
    every, outcome = stacked(windows), np.concatenate(later)
    inputs = features(every, settings)
    keep = np.flatnonzero(inputs.usable)
    return _Examples(
        every.select(keep),
        inputs.select(inputs.usable),
        outcome[keep],
    )


def _fit(
    examples: _Examples, calibration: _Examples, settings: Settings, seed: int
) -> TrainedModel:
    known = np.isfinite(examples.scaled)
    inputs, outcome = examples.inputs.inputs[known], examples.scaled[known]
    # An input that was never known (no durations recorded, say) cannot be binned.
    columns = tuple(int(i) for i in np.flatnonzero(np.isfinite(inputs).any(axis=0)))
    inputs = inputs[:, columns]
    estimators = []
    with _THREADS.limit(limits=1):
        for level in settings.quantiles:
            estimator = HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                max_iter=settings.iterations,
                max_leaf_nodes=settings.leaves,
                learning_rate=settings.learning_rate,
                min_samples_leaf=50,
                max_bins=127,
                early_stopping=False,
                random_state=seed,
            )
            estimators.append(estimator.fit(inputs, outcome))
    corrections = _corrections(
        calibration.scaled[:, :, None] - _raw(estimators, columns, calibration.inputs.inputs),
        settings.quantiles,
    )
    reach = np.nanquantile(examples.inputs.inputs[:, :, TREND_CHANGE], [REACH, 1.0 - REACH], axis=0)
    return TrainedModel(settings, tuple(estimators), columns, corrections, reach, _blank(settings))


def _raw(
    estimators: Sequence[HistGradientBoostingRegressor], columns: tuple[int, ...], inputs: Floats
) -> Floats:
    rows, horizons, width = inputs.shape
    flat = inputs.reshape(rows * horizons, width)[:, columns]
    with _THREADS.limit(limits=1):
        outputs = [estimator.predict(flat) for estimator in estimators]
    return np.stack(outputs, axis=-1).reshape(rows, horizons, len(outputs))


def _corrections(residuals: Floats, quantiles: Sequence[float]) -> Floats:
    """Per horizon and level, that level's empirical quantile of the calibration residuals.

    residuals: shape (rows, horizons, quantiles), NaN where the outcome is unknown.
    """
    corrections = np.zeros(residuals.shape[1:])
    for horizon in range(residuals.shape[1]):
        known = np.isfinite(residuals[:, horizon, 0])
        if known.sum() >= MIN_ROWS // 2:
            for index, level in enumerate(quantiles):
                corrections[horizon, index] = np.quantile(residuals[known, horizon, index], level)
    return corrections


def _judge(model: TrainedModel, examples: _Examples) -> tuple[float, float, float, float]:
    """(boosting's, trend's, persistence's pinball in units, boosting's coverage in percent)."""
    settings = model.settings
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    boosted = model.predict(examples.inputs)
    cold = trend.quantile_forecast(
        examples.windows, ahead_s, settings.quantiles, settings.step_s, settings.calendar
    )
    still = trend.persistence(examples.windows, ahead_s, settings.step_s)
    stays = trend.spread(still.mean, still.deviation, settings.quantiles)
    losses = [
        float(
            np.nanmean(pinball(examples.later, values, settings.quantiles) / examples.inputs.unit)
        )
        for values in (boosted, cold, stays)
    ]
    covered = coverage_pct(examples.later, boosted[:, :, 0], boosted[:, :, -1])
    return losses[0], losses[1], losses[2], covered


def _blank(settings: Settings) -> FitReport:
    nan = float("nan")
    return FitReport(0, 0, nan, 0.0, nan, nan, nan, nan, False, "", fingerprint(settings))
