"""Forecasts of what devices will use, one forecaster per resource, and their training (seed 10069757, 2)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np

from controller.config.resource_devices import UseForecastConfig
from controller.learning.side_training import SideTraining
from controller.model.resources import Amounts, Resource, ResourceForecast
from controller.predict import WARM_SAMPLES
from controller.resources import settings
from controller.resources.history import UseHistory
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster

TRAIN = "training for resources"


class UseForesight:
    """Looks once a step; in between the latest forecasts hold. Call it from one task."""

    def __init__(self, section: UseForecastConfig, troubles: Troubles, *, seed: int = 0) -> None:
        self.forecasters = {
            one: Forecaster(settings.forecast_settings(section, one), seed=seed) for one in Resource
        }
        self.forecasts: Mapping[str, ResourceForecast] = {}
        self.models: Mapping[str, str] = {}  # device → who made the forecast of its CPU
        self._section = section
        self._planned: tuple[PlannedEvent, ...] | None = None
        self._looked_s = -math.inf
        self._training = SideTraining(TRAIN, troubles)

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events; from the next look on. An event's routers are devices."""
        self._planned = events

    def remember(self, history: UseHistory) -> None:
        """Put an earlier run's history into the memory of days and weeks."""
        for resource, forecaster in self.forecasters.items():
            forecaster.remember([one.copy() for one in history.series(resource)])

    async def look(
        self, history: UseHistory, bases: Mapping[str, Amounts], now_s: float
    ) -> Mapping[str, ResourceForecast]:
        """Forecasts by device, as shares of their base amounts; anew when a step has passed. None where they are not
        enabled.
        """
        if not self._section.enabled:
            return {}
        if self._planned is not None:
            events, self._planned = self._planned, None
            for forecaster in self.forecasters.values():
                forecaster.plan(events)
        self._training.adopt()  # here, where nobody else uses the forecasters
        if abs(now_s - self._looked_s) < self._section.step_s:
            return self.forecasts
        self._looked_s = now_s
        self.forecasts = {}  # after a failure none: an old one must not be acted upon
        self.forecasts = await asyncio.to_thread(self._predict, history, bases, now_s)
        # Copies: the history goes on while a process learns.
        learners = (
            (forecaster, [one.copy() for one in history.series(resource)])
            for resource, forecaster in self.forecasters.items()
        )
        self._training.begin(learners, now_s)
        return self.forecasts

    async def close(self) -> None:
        """End a training that is under way."""
        await self._training.close()

    def _predict(
        self, history: UseHistory, bases: Mapping[str, Amounts], now_s: float
    ) -> dict[str, ResourceForecast]:
        made = {}
        for resource, forecaster in self.forecasters.items():
            series = [one for one in history.series(resource) if len(one) >= WARM_SAMPLES]
            made[resource] = forecaster.predict(series, now_s)
        self.models = {name: one.model for name, one in made[Resource.CPU].items()}
        found = {}
        for name, base in bases.items():
            own = [made[resource].get(name) for resource in Resource]
            whole = [one for one in own if one is not None]
            if len(whole) == len(Resource):
                found[name] = _joined(name, whole, base)
        return found


def _joined(name: str, own: Sequence[Forecast], base: Amounts) -> ResourceForecast:
    """The forecasts of one device's resources as one, in shares of the base; quantiles made to rise, from 0."""
    first = own[0]
    shares = []
    for one, unit in zip(own, base, strict=True):
        values = np.maximum(np.asarray(one.values, dtype=np.float64), 0.0)
        shares.append(np.maximum.accumulate(values, axis=1) / unit)
    rows = np.stack(shares, axis=2).tolist()
    quantiles = tuple(tuple(Amounts(*one) for one in row) for row in rows)
    return ResourceForecast(name, first.made_at_s, first.horizons_s, first.quantiles, quantiles)
