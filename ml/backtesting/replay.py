"""Rolling origins over a history: trained on what was before, forecast from what was known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.boosting import FitReport, train
from ml.forecasting.forecast import Forecast
from ml.forecasting.rolling import Rolled, roll
from ml.series import Floats, Series
from ml.settings import Settings

START_SHARE = 0.6  # of the span: before it nothing is forecast
FOLDS = 3
MOST_ORIGINS = 600  # moments at which all targets are forecast
WARM_SHARE = 0.2  # of the past: what is learnt while serving begins so long before a stretch
MIN_CHANGES = 30  # known changes before a fold for persistence's spread
Progress = Callable[[str, float], None]


class BacktestError(ValueError):
    """The history does not do for a backtest, with the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One training and the stretch that it was used for, Unix seconds."""

    begin_s: float
    end_s: float
    report: FitReport


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Row i is the forecast of one target at one moment, ordered by time.

    target: row → index into targets. times_s: of the origins. outcome: (rows, horizons), NaN unknown.
    predicted: (rows, horizons, quantiles), what the forecaster said. still: likewise, persistence with
    the quantiles of the target's own changes before the fold. last: values at the origins. scale:
    the target's mean absolute change per step before the fold. model: who made it, "boosting" or
    "cold start" (the simple models).
    above: (rows, horizons), forecast probability of exceeding the threshold; None without one.
    """

    settings: Settings
    targets: tuple[str, ...]
    folds: tuple[Fold, ...]
    target: npt.NDArray[np.int64]
    times_s: Floats
    outcome: Floats
    predicted: Floats
    still: Floats
    last: Floats
    scale: Floats
    model: npt.NDArray[np.str_]
    threshold: float | None
    above: Floats | None

    def __len__(self) -> int:
        return len(self.times_s)


def replay(
    series: Sequence[Series],
    settings: Settings,
    *,
    seed: int = 0,
    folds: int = FOLDS,
    most_origins: int = MOST_ORIGINS,
    threshold: float | None = None,
    progress: Progress = lambda text, share: None,
) -> Replay:
    """Replay the last 40 % of the history in `folds` stretches, each after a training on all before.

    Between trainings the forecaster sees what the controller would have seen. threshold: of which
    the probability of exceeding it is judged. progress: called with what is done and the share that
    is done. Raises BacktestError when the history is too short.
    """
    grids = _common_grid([one for one in series if len(one)], settings.step_s)
    if not grids:
        raise BacktestError("there is no sample; give a history")
    begin_s, end_s = float(grids[0].times_s[0]), float(grids[0].times_s[-1])
    start_s = begin_s + START_SHARE * (end_s - begin_s)
    steps = int((end_s - start_s) / settings.step_s)
    if start_s - begin_s < settings.min_history_s or steps < 10 * settings.horizon_steps[-1]:
        raise BacktestError(
            f"the history spans {end_s - begin_s:.0f} s, too little for a backtest with a longest "
            f"horizon of {settings.horizons_s[-1]:g} s and min_history_s "
            f"{settings.min_history_s:g}; give more history or shorter horizons"
        )
    edges = np.linspace(start_s, end_s, folds + 1)
    stride = max(1, -(-steps // most_origins))
    made: list[Fold] = []
    rows: list[_Rows] = []
    for number in range(folds):
        left_s, right_s = float(edges[number]), float(edges[number + 1])
        progress(f"training {number + 1} of {folds}", number / folds)
        past = [one.until(left_s) for one in grids]
        trained = train(past, settings, seed)
        if not trained.report.accepted:  # it would not serve
            trained = dataclasses.replace(trained, forests=())
        made.append(Fold(left_s, right_s, trained.report))
        progress(f"forecasting, stretch {number + 1} of {folds}", (number + 0.4) / folds)
        # What is learnt while serving is learnt before the stretch begins, as in a running controller.
        rolled = roll(trained, grids, left_s - WARM_SHARE * (left_s - begin_s), right_s)
        first = int(np.searchsorted(rolled.times_s, left_s, side="right"))
        spreads = [_spread(one, settings) for one in past]
        for moment in range(first, len(rolled.times_s), stride):
            rows.append(_at(grids, rolled, moment, spreads, settings, threshold))
    progress("done", 1.0)
    return _joined(settings, grids, made, rows, threshold)


def _common_grid(series: Sequence[Series], step_s: float) -> list[Series]:
    """All on one grid that ends at the newest sample and begins at the oldest; NaN where one has none."""
    if not series:
        return []
    end_s = max(float(one.times_s[-1]) for one in series)
    grids = [_until(one, end_s).resampled(step_s) for one in series]
    size = max(len(one) for one in grids)
    times_s = end_s - step_s * np.arange(size - 1, -1, -1, dtype=np.float64)

    def longer(values: Floats) -> Floats:
        return np.concatenate([np.full(size - len(values), np.nan), values])

    return [
        Series(
            one.target,
            times_s,
            longer(one.values),
            {name: longer(values) for name, values in one.channels.items()},
        )
        for one in grids
    ]


def _until(one: Series, end_s: float) -> Series:
    """The series with an unknown sample at `end_s` if it ends before."""
    if one.times_s[-1] == end_s:
        return one
    channels = {name: np.append(values, np.nan) for name, values in one.channels.items()}
    return Series(
        one.target, np.append(one.times_s, end_s), np.append(one.values, np.nan), channels
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Of one target before a fold: quantiles of its changes, (horizons, quantiles); mean change."""

    changes: Floats
    scale: float


def _spread(past: Series, settings: Settings) -> _Spread | None:
    """None when the target has hardly changed, or not at all."""
    step = np.abs(np.diff(past.values))
    scale = float(np.nanmean(step)) if np.isfinite(step).sum() >= MIN_CHANGES else 0.0
    if scale <= 0:
        return None
    changes = np.empty((len(settings.horizons_s), len(settings.quantiles)))
    for index, steps in enumerate(settings.horizon_steps):
        ahead = past.values[steps:] - past.values[:-steps]
        ahead = ahead[np.isfinite(ahead)]
        if len(ahead) < MIN_CHANGES:
            return None
        changes[index] = np.quantile(ahead, settings.quantiles)
    return _Spread(changes, scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """All targets at one moment."""

    now_s: float
    target: list[int]
    outcome: list[Floats]
    predicted: list[tuple[tuple[float, ...], ...]]
    still: list[Floats]
    last: list[float]
    scale: list[float]
    model: list[str]
    above: list[tuple[float, ...]]


def _at(
    grids: Sequence[Series],
    rolled: Rolled,
    moment: int,
    spreads: Sequence[_Spread | None],
    settings: Settings,
    threshold: float | None,
) -> _Rows:
    now_s = float(rolled.times_s[moment])
    at = int(np.searchsorted(grids[0].times_s, now_s))
    later = at + np.asarray(settings.horizon_steps)
    inside = later < len(grids[0])
    rows = _Rows(now_s, [], [], [], [], [], [], [], [])
    for index, (grid, spread) in enumerate(zip(grids, spreads, strict=True)):
        predicted = rolled.values[moment, index]
        if spread is None or not np.isfinite(grid.values[at]) or not np.isfinite(predicted).all():
            continue
        outcome = np.full(len(later), np.nan)
        outcome[inside] = grid.values[later[inside]]
        values = tuple(map(tuple, predicted.tolist()))
        rows.target.append(index)
        rows.outcome.append(outcome)
        rows.predicted.append(values)
        rows.still.append(np.maximum(grid.values[at] + spread.changes, 0.0))
        rows.last.append(float(grid.values[at]))
        rows.scale.append(spread.scale)
        rows.model.append("boosting" if rolled.boosted[moment, index].any() else "cold start")
        if threshold is not None:
            forecast = Forecast(
                grid.target,
                now_s,
                settings.horizons_s,
                settings.quantiles,
                values,
                "",
                rows.last[-1],
            )
            rows.above.append(forecast.exceedance(threshold))
    return rows


def _joined(
    settings: Settings,
    grids: Sequence[Series],
    folds: Sequence[Fold],
    rows: Sequence[_Rows],
    threshold: float | None,
) -> Replay:
    targets = [index for one in rows for index in one.target]
    if not targets:
        raise BacktestError(
            "no target could be forecast; its values hardly ever change, or end early"
        )
    return Replay(
        settings,
        tuple(one.target for one in grids),
        tuple(folds),
        np.array(targets, dtype=np.int64),
        np.concatenate([np.full(len(one.target), one.now_s) for one in rows]),
        np.array([row for one in rows for row in one.outcome]),
        np.array([row for one in rows for row in one.predicted]),
        np.array([row for one in rows for row in one.still]),
        np.array([value for one in rows for value in one.last]),
        np.array([value for one in rows for value in one.scale]),
        np.array([name for one in rows for name in one.model]),
        threshold,
        np.array([row for one in rows for row in one.above]) if threshold is not None else None,
    )
