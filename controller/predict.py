"""Series → what each router has to expect: forecast, breach, surge. All use of ml is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.config import Config
from ml.breach import Breach, breach
from ml.calendar import PlannedEvent
from ml.forecast import Forecast
from ml.forecaster import Forecaster
from ml.series import Series
from ml.surge import Surge, SurgeDetector

WARM_SAMPLES = 20  # fewer tell more of chance than of a trend: until then only the floor acts
PLACING_S = 15.0  # what is placed is looked at again every cycle: a farther horizon only overshoots
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one router has to expect; None where nothing can be said."""

    forecast: Forecast | None
    breach: Breach | None
    surge: Surge | None

    @property
    def p50(self) -> float | None:
        """The highest median over the next `PLACING_S`, connections."""
        return self._highest(0.5)

    @property
    def p95(self) -> float | None:
        """The highest 95 % quantile over the next `PLACING_S`, connections."""
        return self._highest(0.95)

    def _highest(self, quantile: float) -> float | None:
        if self.forecast is None:
            return None
        index = self.forecast.quantiles.index(quantile)
        near_s = max(PLACING_S, min(self.forecast.horizons_s))
        rows = zip(self.forecast.horizons_s, self.forecast.values, strict=True)
        return max(row[index] for horizon_s, row in rows if horizon_s <= near_s)


def planned_events(config: Config) -> tuple[PlannedEvent, ...]:
    """The configured events. One that names services concerns those services' routers."""
    primaries = {service.name: service.routers for service in config.services}
    events = []
    for event in config.forecast.events:
        targets = dict.fromkeys(event.routers)
        for service in event.services:
            targets.update(dict.fromkeys(primaries[service]))
        events.append(
            PlannedEvent(event.name, event.start, event.end, tuple(targets), event.factor)
        )
    return tuple(events)


def make_forecaster(config: Config) -> Forecaster:
    """A forecaster with the configuration's settings."""
    forecaster = Forecaster(
        horizons_s=config.forecast.horizons_s,
        quantiles=QUANTILES,
        step_s=config.cycle.period_s,
        min_history_s=config.forecast.min_history_s,
        calendar=planned_events(config),
        seed=config.forecast.seed,
    )
    forecaster.settings = replace(forecaster.settings, regrowth=config.forecast.retrain_growth)
    return forecaster


class Foresight:
    """Forecasts and surge detectors of all routers. limits: router → most connections without a
    breach.
    """

    def __init__(self, limits: Mapping[str, float], forecaster: Forecaster) -> None:
        self.limits = limits
        self.forecaster = forecaster
        self._detectors = {router: SurgeDetector() for router in limits}
        self._surges: dict[str, Surge] = {}
        self._seen_s: dict[str, float] = {}

    def surge(self, router: str, time_s: float, new_per_s: float) -> Surge | None:
        """Feed one sample of offered new connections per second."""
        if time_s > self._seen_s.get(router, float("-inf")):
            self._seen_s[router] = time_s
            self._surges[router] = self._detectors[router].update(time_s, new_per_s)
        return self._surges.get(router)

    def look(self, series: Sequence[Series], now_s: float) -> dict[str, Outlook]:
        """The outlook of every router that has a forecast or a surge detector's answer."""
        warm = [one for one in series if len(one) >= WARM_SAMPLES]
        forecasts = self.forecaster.predict(warm, now_s) if warm else {}
        result: dict[str, Outlook] = {}
        for router, limit in self.limits.items():
            forecast = forecasts.get(router)
            if forecast is None and router not in self._surges:
                continue
            threat = breach(forecast, limit) if forecast is not None else None
            result[router] = Outlook(forecast, threat, self._surges.get(router))
        return result
