"""One forecaster for all targets: which model serves whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ml.calendars.events import PlannedEvent
from ml.forecasting import trend
from ml.forecasting.boosting import FitReport, TrainedModel, train, values_of
from ml.forecasting.cold import cold_forecast
from ml.forecasting.features import features, fingerprint
from ml.forecasting.forecast import Forecast
from ml.forecasting.online import Online
from ml.forecasting.pending import Pending
from ml.forecasting.seasonal import SeasonalMemory
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import Windows, latest

# A value that was constant or has just begun is the cold-start model's.
WARM_SAMPLES = 30
FRESH_STEPS = 1.5  # boosting needs a present value; the trend bridges older ones


class Forecaster:
    """Forecasts one metric of all targets in one batched call, and learns from what comes.

    Per target it serves "boosting" when a trained model is in use, the target's window is warm and
    fresh and what its base expects is within what training has seen; "persistence" with a corrected
    margin where the model's recent errors exceed persistence's; else the cold start (`ml.forecasting.cold`).
    Not thread-safe; to train elsewhere run `ml.forecasting.boosting.train` with `settings` in a worker process
    and `adopt` what it returns.
    """

    def __init__(self, settings: Settings | None = None, *, seed: int = 0) -> None:
        self.settings = settings or Settings()
        self.seed = seed
        self._memory = SeasonalMemory(self.settings.step_s)
        self._model: TrainedModel | None = None
        self._online: Online | None = None
        self._pending = Pending(self.settings)

    def predict(self, series: Sequence[Series], now_s: float) -> dict[str, Forecast]:
        """A forecast per target, made at `now_s` (Unix seconds) from the samples up to then.

        A target without a known value within the lookback (`lookback_steps` steps) has no forecast
        and is absent. Later samples are ignored, so that a recorded day can be replayed.
        """
        settings = self.settings
        oldest_s = now_s - settings.lookback_steps * settings.step_s
        past = [one.until(now_s) for one in series]
        recent = [one for one in past if len(one) and one.times_s[-1] > oldest_s]
        if not recent:
            return {}
        self._memory.observe_all(recent)
        windows = latest(recent, settings.lookback_steps, settings.step_s)
        windows = windows.select(np.flatnonzero(np.isfinite(windows.values).any(axis=1)))
        late_s = now_s - windows.times_s
        values, models = self._boosted(windows, late_s, now_s)
        rows = np.flatnonzero(models == "")
        if len(rows):
            values[rows], models[rows] = cold_forecast(windows.select(rows), late_s[rows], settings)
        last = trend.last_known(windows.values)[0]
        ahead_s, levels = settings.horizons_s, settings.quantiles
        # Tuples straight from one flat list: a thousand targets' nested lists took twice as long.
        rungs = zip(*[iter(values.ravel().tolist())] * len(levels), strict=True)
        each = zip(*[rungs] * len(ahead_s), strict=True)
        told = zip(windows.targets, each, models.tolist(), last.tolist(), strict=True)
        return {
            target: Forecast(target, now_s, ahead_s, levels, rows, model, value)
            for target, rows, model, value in told
        }

    def _boosted(
        self, windows: Windows, late_s: Floats, now_s: float
    ) -> tuple[Floats, npt.NDArray[np.object_]]:
        """Values, and who made each row: "" where the trained model does not serve."""
        settings = self.settings
        models = np.full(len(windows), "", dtype=object)
        values = np.full((len(windows), len(settings.horizons_s), len(settings.quantiles)), np.nan)
        if self._model is None or self._online is None:
            return values, models
        online = self._online
        index = online.index(windows.targets)
        self._pending.settle(now_s, windows, index, online)
        known = np.isfinite(windows.values)
        fresh = known[:, -1] & (late_s <= FRESH_STEPS * settings.step_s)
        rows = np.flatnonzero(fresh & (known.sum(axis=1) >= WARM_SAMPLES))
        if not len(rows):
            return values, models
        inputs = features(windows.select(rows), self._memory, settings)
        fitting = inputs.usable & self._model.knows(inputs)
        if not fitting.any():
            return values, models
        rows, inputs = rows[fitting], inputs.select(fitting)
        made = self._model.outputs(inputs)
        still = online.persistence(inputs.base, inputs.last, inputs.unit)
        served, trusted = online.serve(index[rows], made, still)
        self._pending.note(now_s, windows.times_s[rows], inputs, index[rows], made, still)
        values[rows] = values_of(served, inputs)
        models[rows] = np.where(trusted.any(axis=1), "boosting", "persistence")
        return values, models

    def fit(self, series: Sequence[Series]) -> FitReport:
        """Train on the histories here and now, and `adopt` the result. Takes seconds."""
        return self.adopt(train(series, self.settings, self.seed))

    def remember(self, series: Sequence[Series]) -> None:
        """Put longer histories into the memory of days and weeks, before the first prediction."""
        for one in series:
            self._memory.observe(one)

    def adopt(self, trained: TrainedModel) -> FitReport:
        """Use a model trained elsewhere, if its own hold-out said that it beats the cold start.

        A model that does not leaves the one in use there. Raises ValueError for a model made for other
        horizons, quantiles, steps or inputs.
        """
        mine, its = self.settings, trained.settings
        if trained.report.features != fingerprint(mine) or its.quantiles != mine.quantiles:
            raise ValueError(
                "the trained model was made for other horizons, quantiles or inputs: "
                "train it with this forecaster's settings"
            )
        if trained.report.accepted:
            self._model = trained
            self._online = Online(its.quantiles, trained.priors, its.horizon_steps)
            self._pending = Pending(its)
        return trained.report

    def plan(self, calendar: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events, from the next prediction on."""
        self.settings = replace(self.settings, calendar=calendar)

    def snapshot(self) -> TrainedModel | None:
        """The trained model in use; None while the cold-start model serves."""
        return self._model

    def sibling(self) -> Forecaster:
        """Another forecaster with the same settings and seasonal memory, and no model."""
        other = Forecaster(settings=self.settings, seed=self.seed)
        other._memory = self._memory
        return other
