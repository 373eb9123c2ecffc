"""One forecaster for all targets: which model serves whom, and when to train again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml import trend
from ml.boosting import FitReport, TrainedModel, train
from ml.calendar import PlannedEvent
from ml.features import features, fingerprint
from ml.forecast import Forecast
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import Windows, latest

# A count that was constant or has just begun is the cold-start model's.
WARM_SAMPLES = 30
FRESH_STEPS = 1.5  # boosting needs a present count; the trend bridges older ones


class Forecaster:
    """Forecasts the live connection counts of all targets in one batched call.

    Per target it serves "boosting" when a trained model is in use, the target's window is warm and
    fresh and its trend within what training has seen; else "trend" (the cold-start model,
    `ml.trend`), and "persistence" below five samples. Not thread-safe; to train elsewhere run
    `ml.boosting.train` with `settings` in a worker process and `adopt` what it returns.
    """

    def __init__(
        self,
        *,
        horizons_s: Sequence[float] = (5, 10, 20, 30, 60, 120),
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        step_s: float = 1.0,
        min_history_s: float = 1800.0,
        calendar: Sequence[PlannedEvent] = (),
        seed: int = 0,
    ) -> None:
        self.settings = Settings(
            horizons_s=tuple(float(horizon) for horizon in horizons_s),
            quantiles=tuple(float(level) for level in quantiles),
            step_s=step_s,
            min_history_s=min_history_s,
            calendar=tuple(calendar),
        )
        self.seed = seed
        self._model: TrainedModel | None = None
        self._last_fit: FitReport | None = None

    @property
    def last_fit(self) -> FitReport | None:
        """The report of the latest training, whether its model was accepted or not."""
        return self._last_fit

    def predict(self, series: Sequence[Series], now_s: float) -> dict[str, Forecast]:
        """A forecast per target, made at `now_s` (Unix seconds) from the samples up to then.

        A target without a known count within the lookback (`lookback_steps` steps) has no forecast
        and is absent. Later samples are ignored, so that a recorded day can be replayed.
        """
        settings = self.settings
        oldest_s = now_s - settings.lookback_steps * settings.step_s
        past = [one.until(now_s) for one in series]
        recent = [one for one in past if len(one) and one.times_s[-1] > oldest_s]
        if not recent:
            return {}
        windows = latest(recent, settings.lookback_steps, settings.step_s)
        windows = windows.select(np.flatnonzero(np.isfinite(windows.count).any(axis=1)))
        known = np.isfinite(windows.count)
        late_s = now_s - windows.times_s
        models = np.where(trend.enough(windows), "trend", "persistence").astype(object)
        values = np.empty((len(windows), len(settings.horizons_s), len(settings.quantiles)))
        fresh = known[:, -1] & (late_s <= FRESH_STEPS * settings.step_s)
        warm = np.flatnonzero(fresh & (known.sum(axis=1) >= WARM_SAMPLES))
        if self._model is not None and len(warm):
            inputs = features(windows.select(warm), settings)
            fitting = inputs.usable & self._model.knows(inputs)
            if fitting.any():
                values[warm[fitting]] = self._model.predict(inputs.select(fitting))
                models[warm[fitting]] = "boosting"
        for name, simple in (("trend", self._trend), ("persistence", self._persistence)):
            rows = np.flatnonzero(models == name)
            if len(rows):
                values[rows] = simple(windows.select(rows), late_s[rows])
        last = trend.last_known(windows.count)[0]
        return {
            target: Forecast(
                target,
                now_s,
                settings.horizons_s,
                settings.quantiles,
                tuple(map(tuple, values[row].tolist())),
                str(models[row]),
                float(last[row]),
            )
            for row, target in enumerate(windows.targets)
        }

    def fit(self, series: Sequence[Series]) -> FitReport:
        """Train on the histories here and now, and `adopt` the result. Takes seconds."""
        return self.adopt(train(series, self.settings, self.seed))

    def adopt(self, trained: TrainedModel) -> FitReport:
        """Use a model trained elsewhere, if its own hold-out said that it beats the cold start.

        A model that does not is recorded (`last_fit`) and the one in use stays. Raises ValueError
        for a model made for other horizons, quantiles, steps or inputs.
        """
        mine, its = self.settings, trained.settings
        if trained.report.features != fingerprint(mine) or its.quantiles != mine.quantiles:
            raise ValueError(
                "the trained model was made for other horizons, quantiles or inputs: "
                "train it with this forecaster's settings"
            )
        self._last_fit = trained.report
        if trained.report.accepted:
            self._model = trained
        return trained.report

    def snapshot(self) -> TrainedModel | None:
        """The trained model in use; None while the cold-start model serves."""
        return self._model

    def due(self, series: Sequence[Series], now_s: float) -> bool:
        """Whether to train: enough history, and `regrowth` (25 %) new samples since the last time.

        New samples are counted by their time, so a store that forgets its oldest still grows.
        """
        past = [one.until(now_s) for one in series]
        if max((one.span_s for one in past), default=0.0) < self.settings.min_history_s:
            return False
        if self._last_fit is None or not self._last_fit.samples:
            return True
        until_s = self._last_fit.trained_until_s
        new = sum(
            len(one) - int(np.searchsorted(one.times_s, until_s, side="right")) for one in past
        )
        return new >= self.settings.regrowth * self._last_fit.samples

    def _trend(self, windows: Windows, late_s: Floats) -> Floats:
        ahead = np.asarray(self.settings.horizons_s)[None, :] + late_s[:, None]
        return trend.quantile_forecast(
            windows, ahead, self.settings.quantiles, self.settings.step_s, self.settings.calendar
        )

    def _persistence(self, windows: Windows, late_s: Floats) -> Floats:
        ahead = np.asarray(self.settings.horizons_s)[None, :] + late_s[:, None]
        still = trend.persistence(windows, ahead, self.settings.step_s)
        return trend.spread(still.mean, still.deviation, self.settings.quantiles)
