"""Where the forecasts of instances are asked for: histories → what each subdivision has to expect.

Two metrics, each with a forecaster of its own: running instances, over an hour, for shards; and creations per second,
over the next minutes, for warm addresses. Planned events reach both through the calendar. For the next seconds
two things are added that no forecaster of a metric says exactly enough: what an announced event will bring at
its very beginning, and what comes at this minute of the day again and again (a scheduled job).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.observe.instances import InstanceHistory
from ml.calendars.events import PlannedEvent, log_factors
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.forecasting.seasonal import DAY_S, WEEK_S, Bins
from ml.series import Series
from ml.settings import Settings

INSTANCES, CREATIONS = "instances", "creations"
INSTANCE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BASE_S = 3600.0  # over which the usual rate is taken, events left out
AGAIN_S = (DAY_S, 2 * DAY_S, WEEK_S)  # where a scheduled job was before
LEAST_AGAIN = 2  # in so many of them, to be one


@dataclass(frozen=True, slots=True)
class AddressForecastSettings:
    """step_s: of the series. min_history_s: no training before."""

    step_s: float = 60.0
    instances_horizons_s: tuple[float, ...] = (300.0, 900.0, 1800.0, 3600.0)
    creations_horizons_s: tuple[float, ...] = (60.0, 300.0, 900.0)
    min_history_s: float = 2 * DAY_S
    seed: int = 0

    def instances(self, calendar: tuple[PlannedEvent, ...]) -> Settings:
        """Of the forecaster of running instances."""
        return self._settings(INSTANCES, self.instances_horizons_s, calendar)

    def creations(self, calendar: tuple[PlannedEvent, ...]) -> Settings:
        """Of the forecaster of creations per second."""
        return self._settings(CREATIONS, self.creations_horizons_s, calendar)

    def _settings(
        self, metric: str, horizons_s: tuple[float, ...], calendar: tuple[PlannedEvent, ...]
    ) -> Settings:
        return Settings(
            metric=metric,
            horizons_s=horizons_s,
            quantiles=INSTANCE_QUANTILES,
            step_s=self.step_s,
            min_history_s=self.min_history_s,
            calendar=calendar,
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of one subdivision in the next seconds. per_s: creations per second; why: what that comes from."""

    per_s: float
    why: str


@dataclass(frozen=True, slots=True)
class AddressOutlook:
    """What was foreseen at `made_s`; forecasts by subdivision. base_per_s: creations without events."""

    made_s: float
    instances: Mapping[str, Forecast] = field(default_factory=dict)
    creations: Mapping[str, Forecast] = field(default_factory=dict)
    base_per_s: Mapping[str, float] = field(default_factory=dict)


class AddressForesight:
    """Both forecasters. `look` once a minute, `expected` in every cycle. Not thread-safe."""

    def __init__(
        self,
        settings: AddressForecastSettings | None = None,
        calendar: tuple[PlannedEvent, ...] = (),
    ) -> None:
        self.settings = settings or AddressForecastSettings()
        self.calendar = calendar
        seed = self.settings.seed
        self.instances = Forecaster(self.settings.instances(calendar), seed=seed)
        self.creations = Forecaster(self.settings.creations(calendar), seed=seed)
        self._again = Bins(self.settings.step_s)
        self._outlook = AddressOutlook(-math.inf)

    @property
    def outlook(self) -> AddressOutlook:
        """The latest."""
        return self._outlook

    def plan(self, calendar: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events."""
        self.calendar = calendar
        self.instances.plan(calendar)
        self.creations.plan(calendar)

    def look(self, history: InstanceHistory, now_s: float) -> AddressOutlook:
        """Forecast from what the history knows at `now_s`."""
        history.advance(now_s)
        creations = history.creations()
        for one in creations:
            self._again.observe(one.until(now_s))
        self._outlook = AddressOutlook(
            now_s,
            self.instances.predict(history.instances(), now_s),
            self.creations.predict(creations, now_s),
            self._base(creations, now_s),
        )
        return self._outlook

    def expected(
        self, subdivisions: Sequence[str], now_s: float, ahead_s: float
    ) -> dict[str, Expectation]:
        """The highest rate that is foreseen for any time within `ahead_s` from now on.

        A subdivision of which nothing is known is absent.
        """
        outlook = self._outlook
        names = [name for name in subdivisions if name in outlook.base_per_s]
        if not names:
            return {}
        # Every half step at least, so that no event and no job lies between two looks.
        number = 2 + int(2.0 * ahead_s / self.settings.step_s)
        times_s = np.tile(np.linspace(now_s, now_s + ahead_s, number), (len(names), 1))
        factors = np.exp(log_factors(self.calendar, names, times_s)).max(axis=1)
        again = self._recurring(names, times_s)
        found = {}
        for row, name in enumerate(names):
            base = outlook.base_per_s[name]
            choices = [(base, "the usual rate of the last hour")]
            forecast = outlook.creations.get(name)
            if forecast is not None:
                age_s = now_s - outlook.made_s
                rate = max(forecast.at(age_s + one, 0.5) for one in (0.0, ahead_s))
                choices.append((rate, f"forecast ({forecast.model})"))
            if factors[row] > 1.0:
                choices.append((base * float(factors[row]), "an announced event"))
            choices.append((float(again[row]), "what came at this time of day before"))
            found[name] = Expectation(*max(choices, key=lambda one: one[0]))
        return found

    def bandwidth_factor(self, subdivision: str, now_s: float, ahead_s: float) -> float:
        """The highest planned factor of the bandwidth per instance: of events for NAME:bandwidth."""
        steps = 2 + int(2.0 * ahead_s / self.settings.step_s)
        times_s = np.linspace(now_s, now_s + ahead_s, steps)[None, :]
        only = tuple(one for one in self.calendar if one.targets)
        logs = log_factors(only, [f"{subdivision}:bandwidth"], times_s)
        return float(np.exp(logs.max()))

    def _base(self, creations: Sequence[Series], now_s: float) -> dict[str, float]:
        found = {}
        for one in creations:
            recent = one.since(now_s - BASE_S)
            if len(recent):
                # A sample stands at its step's end and counts what came before: its event is that of its middle.
                middles_s = recent.times_s[None, :] - self.settings.step_s / 2
                factors = np.exp(log_factors(self.calendar, [one.target], middles_s))[0]
                found[one.target] = float(recent.values.sum() / factors.sum())
        return found

    def _recurring(
        self, names: Sequence[str], times_s: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """What came at these times of the day in at least two of: yesterday, the day before, a week ago."""
        # A sample stands at its step's end, and so in the next bin.
        before = times_s[:, :, None] + self.settings.step_s - np.asarray(AGAIN_S)
        rates = np.nan_to_num(self._again.at(names, before))
        ordered: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.sort(rates, axis=2)
        return np.asarray(ordered[:, :, -LEAST_AGAIN].max(axis=1))
