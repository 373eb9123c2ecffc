"""Series → what each router has to expect: forecast, breach, surge. All use of ml is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.config import Config
from ml.breaches.breach import NEGLIGIBLE, Breach, breach
from ml.breaches.warner import Alarms, Warner
from ml.calendars.events import PlannedEvent
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.series import Series
from ml.settings import Settings
from ml.surges.detector import Surge, SurgeDetector

WARM_SAMPLES = 20  # fewer tell more of chance than of a trend: until then only the floor acts
PLACING_S = 15.0  # what is placed is looked at again every cycle: a farther horizon only overshoots
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one router has to expect; None where nothing can be said.

    alarm: whether the trained rule claims a breach within the longest horizon, or the demand is above the
    limit; None: no such rule is there, or it has too few samples.
    """

    forecast: Forecast | None
    breach: Breach | None
    surge: Surge | None
    alarm: bool | None = None

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


def limits(config: Config) -> dict[str, float]:
    """Router → the most connections without a breach."""
    routers = (one for one in config.switches if one.stage == "router")
    return {one.name: float(one.capacity - one.threshold_available) for one in routers}


def planned_events(config: Config) -> tuple[PlannedEvent, ...]:
    """The configured events. One that names services concerns those services' routers."""
    primaries = {service.name: service.routers for service in config.services}
    events = []
    for event in config.forecast.events:
        targets = dict.fromkeys((*event.routers, *event.subdivisions))
        for service in event.services:
            targets.update(dict.fromkeys(primaries[service]))
        events.append(
            PlannedEvent(event.name, event.start, event.end, tuple(targets), event.factor)
        )
    return tuple(events)


def make_forecaster(config: Config) -> Forecaster:
    """A forecaster with the configuration's settings."""
    settings = Settings(
        horizons_s=tuple(float(horizon_s) for horizon_s in config.forecast.horizons_s),
        quantiles=QUANTILES,
        step_s=config.cycle.period_s,
        min_history_s=config.forecast.min_history_s,
        calendar=planned_events(config),
    )
    return Forecaster(settings, seed=config.forecast.seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Serving:
    """What is exchanged at once when another model serves. alarms: of the warner's rule."""

    forecaster: Forecaster
    warner: Warner | None
    alarms: Alarms | None


class Foresight:
    """Forecasts, alarms and surge detectors of all routers. limits: router → most connections without a
    breach.
    """

    def __init__(self, limits: Mapping[str, float], forecaster: Forecaster) -> None:
        self.limits = limits
        self._serving = _Serving(forecaster, None, None)
        self._detectors = {router: SurgeDetector() for router in limits}
        self._surges: dict[str, Surge] = {}
        self._seen_s: dict[str, float] = {}

    @property
    def forecaster(self) -> Forecaster:
        """The one in service."""
        return self._serving.forecaster

    @property
    def warner(self) -> Warner | None:
        """What warns beside it; None: alarms are the planner's simple rule."""
        return self._serving.warner

    def serve(self, forecaster: Forecaster, warner: Warner | None) -> None:
        """Put these into service, from the next look on."""
        alarms = Alarms(warner.rule) if warner is not None else None
        self._serving = _Serving(forecaster, warner, alarms)

    def surge(self, router: str, time_s: float, new_per_s: float) -> Surge | None:
        """Feed one sample of offered new connections per second."""
        if time_s > self._seen_s.get(router, float("-inf")):
            self._seen_s[router] = time_s
            self._surges[router] = self._detectors[router].update(time_s, new_per_s)
        return self._surges.get(router)

    def look(self, series: Sequence[Series], now_s: float) -> dict[str, Outlook]:
        """The outlook of every router that has a forecast or a surge detector's answer."""
        serving = self._serving
        warm = [one for one in series if len(one) >= WARM_SAMPLES]
        forecasts = serving.forecaster.predict(warm, now_s) if warm else {}
        likely: Mapping[str, float] = {}
        if serving.warner is not None:
            likely = serving.warner.probabilities(warm, self.limits, forecasts, now_s)
        ends_s = {
            one.target: float(one.until(now_s).times_s[-1]) for one in warm if one.target in likely
        }
        result: dict[str, Outlook] = {}
        for router, limit in self.limits.items():
            forecast = forecasts.get(router)
            if forecast is None and router not in self._surges:
                continue
            threat = breach(forecast, limit) if forecast is not None else None
            alarm = None
            if threat is not None and forecast is not None and router in likely:
                above = forecast.last_value > limit
                if not above:  # what is above its limit now is certain, and needs no alarm
                    threat = _as_likely(threat, likely[router], forecast.horizons_s[-1])
                if serving.alarms is not None:
                    alarm = serving.alarms.update(
                        router, ends_s[router], likely[router], above=above
                    )
                    alarm = alarm or above
            result[router] = Outlook(forecast, threat, self._surges.get(router), alarm)
        return result


def _as_likely(threat: Breach, probability: float, horizon_s: float) -> Breach:
    """The breach with another probability. Its lead is the forecast's, or the horizon where that has none."""
    lead_s = None
    if probability >= NEGLIGIBLE:
        lead_s = horizon_s if threat.lead_s is None else threat.lead_s
    return replace(threat, probability=probability, lead_s=lead_s)
