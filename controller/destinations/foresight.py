"""Demand foreseen per destination and source location (the traffic pattern analyser of seed 9407539).

Cells with a history are forecast by `ml.forecasting` under the metric "requests". A *new* destination has none; it
borrows:

- the shape over locations: what its peers together have at each, which counts as `prior_connections`, plus
  the connections that it had itself (the mean of a Dirichlet distribution);
- the level: the median of its peers' sums, counting as `prior_connections`, against what it had in the time since
  it began (the mean of a Gamma-Poisson distribution);
- the spread: log-normal, as its peers' sums differ among themselves, narrower as its own connections come.

Peers are those named as similar; without any, all destinations with a history. Without peers nothing is foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from controller.model.destinations import DemandCell
from controller.observe.access import AccessHistory
from controller.observe.access_readings import ELSEWHERE, Cell
from ml.calendars.events import PlannedEvent
from ml.forecasting.boosting import FitReport
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.series import Floats, Series
from ml.settings import Settings

REQUESTS = "requests"
LEAST_SIGMA = 0.3  # of the log-normal spread, where peers hardly differ or there is one only
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class DemandForecastSettings:
    """ahead_s: for when placement plans; within or between the horizons. warm_samples: known samples in one cell that
    make a destination an old one. most_cold: cells of new destinations in all; those with the highest level first.
    """

    step_s: float = 60.0
    horizons_s: tuple[float, ...] = (300.0, 900.0, 1800.0, 3600.0)
    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95)
    ahead_s: float = 900.0
    lookback_steps: int = 120
    min_history_s: float = 2 * 86_400.0
    warm_samples: int = 30
    prior_connections: float = 20.0
    most_cold: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.prior_connections > 0:
            raise ValueError("prior_connections must be above 0")
        if not self.ahead_s >= 0:
            raise ValueError("ahead_s must not be below 0")

    def forecaster(self, calendar: tuple[PlannedEvent, ...]) -> Settings:
        """Of the forecaster of connections per second."""
        return Settings(
            metric=REQUESTS,
            horizons_s=self.horizons_s,
            quantiles=self.quantiles,
            step_s=self.step_s,
            lookback_steps=self.lookback_steps,
            min_history_s=self.min_history_s,
            calendar=calendar,
        )


@dataclass(frozen=True, slots=True)
class DestinationOutlook:
    """What was foreseen at `made_s`. cells: the most until `made_s + ahead_s`. new: destinations that borrowed → from
    how many.
    """

    made_s: float
    cells: tuple[DemandCell, ...] = ()
    forecasts: Mapping[Cell, Forecast] = field(default_factory=dict)
    new: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Peers:
    number: int
    level_cps: float  # the median of their sums
    sigma: float  # of the logarithms of their sums
    shares: Mapping[str, float]  # of each location in what they have together


class DestinationForesight:
    """`look` once a step. Not thread-safe. Series are named SERVICE@LOCATION, also in a calendar of planned events."""

    def __init__(
        self,
        settings: DemandForecastSettings | None = None,
        calendar: tuple[PlannedEvent, ...] = (),
        similar: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        """similar: service → services whose demand a new one is expected to have."""
        self.settings = settings or DemandForecastSettings()
        self.forecaster = Forecaster(self.settings.forecaster(calendar), seed=self.settings.seed)
        self._similar = dict(similar or {})

    def fit(self, history: AccessHistory) -> FitReport:
        """Train on the history here and now. Takes seconds to a minute."""
        return self.forecaster.fit(list(history.series().values()))

    def look(
        self, history: AccessHistory, now_s: float, since_s: Mapping[int, float]
    ) -> DestinationOutlook:
        """Forecast from what the history knows.

        since_s: every destination, and the time (Unix seconds) from which on it was there to be asked for.
        A cell of an old destination without a history has less than the history's bound: it is left out.
        """
        own = self.settings
        series = history.series(own.lookback_steps)
        made = self.forecaster.predict(list(series.values()), now_s)
        forecasts = {
            cell: made[one.target]
            for cell, one in series.items()
            if cell[0] in since_s and one.target in made
        }
        old = {
            cell[0]
            for cell, one in series.items()
            if np.isfinite(one.values).sum() >= own.warm_samples
        }
        cells = [
            self._cell(cell, [most_until(forecast, own.ahead_s, level) for level in own.quantiles])
            for cell, forecast in forecasts.items()
            if cell[0] in old and cell[1] != ELSEWHERE
        ]
        medians: dict[int, dict[str, float]] = {}
        for (service, place), forecast in forecasts.items():
            if service in old and place != ELSEWHERE:
                medians.setdefault(service, {})[place] = forecast.at(own.ahead_s, 0.5)
        cold, new = self._cold(
            medians, series, now_s, {s: since_s[s] for s in since_s.keys() - old}
        )
        found = sorted(
            (*cells, *cold[: own.most_cold]), key=lambda one: (one.service, one.location)
        )
        return DestinationOutlook(now_s, tuple(found), forecasts, new)

    def _cold(
        self,
        medians: Mapping[int, Mapping[str, float]],
        series: Mapping[Cell, Series],
        now_s: float,
        since_s: Mapping[int, float],
    ) -> tuple[list[DemandCell], dict[int, int]]:
        """Those expected to have most come first, until there are cells enough: unpopular old ones cost nothing."""
        seen: dict[int, dict[str, float]] = {}
        for (service, place), one in series.items():
            if service in since_s and place != ELSEWHERE:
                had = float(np.nansum(one.values)) * self.settings.step_s
                seen.setdefault(service, {})[place] = had
        prior = self.settings.prior_connections
        known: dict[tuple[int, ...], _Peers | None] = {}
        levels: list[tuple[float, int, _Peers]] = []
        everybody = tuple(sorted(medians))
        for service, since in since_s.items():
            named = tuple(sorted(one for one in self._similar.get(service, ()) if one in medians))
            who = named or everybody
            if who not in known:
                known[who] = _peers([medians[one] for one in who])
            peers = known[who]
            if peers is not None:
                had = sum(seen.get(service, {}).values())
                watched_s = max(0.0, now_s - since)
                level_cps = (prior + had) / (prior / peers.level_cps + watched_s)
                levels.append((-level_cps, service, peers))
        cells: list[DemandCell] = []
        new: dict[int, int] = {}
        for level, service, peers in sorted(levels, key=lambda one: one[:2]):
            if len(cells) >= self.settings.most_cold:
                break
            new[service] = peers.number
            cells += self._borrow(service, -level, peers, seen.get(service, {}))
        return cells[: self.settings.most_cold], new

    def _borrow(
        self, service: int, level_cps: float, peers: _Peers, seen: Mapping[str, float]
    ) -> list[DemandCell]:
        """Cells of one destination, the largest first."""
        prior, had = self.settings.prior_connections, sum(seen.values())
        sigma = peers.sigma / math.sqrt(1.0 + had / prior)
        spread = np.exp(sigma * np.array([_NORMAL.inv_cdf(one) for one in self.settings.quantiles]))
        shares = {
            place: (prior * peers.shares.get(place, 0.0) + seen.get(place, 0.0)) / (prior + had)
            for place in sorted({*seen, *peers.shares})
        }
        return [
            self._cell((service, place), level_cps * share * spread)
            for place, share in sorted(shares.items(), key=lambda one: (-one[1], one[0]))
            if share > 0
        ]

    def _cell(self, cell: Cell, values: Sequence[float] | Floats) -> DemandCell:
        rising = np.maximum.accumulate(np.maximum(0.0, np.asarray(values, dtype=np.float64)))
        return DemandCell(cell[0], cell[1], self.settings.quantiles, tuple(rising.tolist()))


def most_until(forecast: Forecast, ahead_s: float, level: float) -> float:
    """The largest of a quantile from the first horizon until `ahead_s`: a copy that is wanted now is not given up
    because nobody will want it then.
    """
    horizons = [one for one in forecast.horizons_s if one < ahead_s]
    return max(forecast.at(one, level) for one in (*horizons, ahead_s))


def _peers(medians: Sequence[Mapping[str, float]]) -> _Peers | None:
    """None: they have no demand from which anything could be borrowed."""
    sums = np.array([total for one in medians if (total := sum(one.values())) > 0])
    if not len(sums):
        return None
    whole: dict[str, float] = {}
    for one in medians:
        for place, rate in one.items():
            whole[place] = whole.get(place, 0.0) + rate
    shares = {place: rate / float(sums.sum()) for place, rate in sorted(whole.items())}
    sigma = max(LEAST_SIGMA, float(np.log(sums).std()))
    return _Peers(len(sums), float(np.median(sums)), sigma, shares)
