"""What a subdivision will need: instances, bandwidth, with intervals, and the demand score (seed 9055112, section 1).

The forecast of the instances is made elsewhere (`controller.addressing.foresight`) from their creations and
terminations, time of day and week, and the calendar; here it is only asked.

The seed's score is count times bandwidth, compared with a number of addresses. For both to be of one kind the
bandwidth is the mean instance's, over a reference instance's, and bounded:

    score = instances * min(weight_limit, max(1, bandwidth / instances / reference_bps))

so it is a number of reference instances. An application that is heavy on the network gets more shards (more routes to
spread it over), none gets fewer than its instances need.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.plan.shards.profiles import MeanInstance
from ml.forecasting.forecast import Forecast


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """horizon_s: how far ahead shards are assigned. confidence: of the interval's upper end; the lower one is as
    far below. most_growth: so many times what runs now the upper end is at most, unless the median is higher:
    the spread of a forecast that has seen one burst is wider than anything that comes. reference_bps: of an instance of
    weight 1. weight_limit: the most that one instance counts.
    """

    horizon_s: float = 900.0
    confidence: float = 0.95
    most_growth: float = 1.5
    reference_bps: float = 10e6
    weight_limit: float = 1.5

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"confidence must lie between 0.5 and 1, not at {self.confidence}")
        if self.reference_bps <= 0 or self.horizon_s <= 0:
            raise ValueError("reference_bps and horizon_s must be above 0")
        if self.weight_limit < 1 or self.most_growth < 1:
            raise ValueError("weight_limit and most_growth must be at least 1")


@dataclass(frozen=True, slots=True)
class Interval:
    """A prediction: the median, and between which bounds it lies with the settings' confidence."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class Demand:
    """The most within the horizon. cpu_cores, memory_mib: expected, of all instances together."""

    subdivision: str
    made_at_s: float
    instances: Interval
    bandwidth_bps: Interval
    cpu_cores: float
    memory_mib: float
    score: float
    model: str


def predict_demand(
    subdivision: str,
    forecast: Forecast | None,
    running: float,
    instance: MeanInstance,
    settings: DemandSettings,
    now_s: float,
    bandwidth_factor: float = 1.0,
) -> Demand:
    """forecast: of the instances at one time; None (nothing is known yet): as many as are running.

    running: instances now; the demand is never less than what is there. bandwidth_factor: how many times
    the usual bandwidth is planned per instance (an external event such as a backup, that creates none).
    """
    if forecast is None:
        count, model = Interval(running, running, running), "running"
    else:
        count, model = _most(forecast, running, settings), forecast.model
    low, high = 1.0 - settings.confidence, settings.confidence
    bandwidth = Interval(
        bandwidth_factor * instance.bandwidth_bps(count.low, low),
        bandwidth_factor * instance.bandwidth_bps(count.expected, 0.5),
        bandwidth_factor * instance.bandwidth_bps(count.high, high),
    )
    return Demand(
        subdivision=subdivision,
        made_at_s=now_s,
        instances=count,
        bandwidth_bps=bandwidth,
        cpu_cores=count.expected * instance.cpu_cores,
        memory_mib=count.expected * instance.memory_mib,
        score=demand_score(count.high, bandwidth.high, settings),
        model=model,
    )


def demand_score(instances: float, bandwidth_bps: float, settings: DemandSettings) -> float:
    """In reference instances; see above."""
    if instances <= 0:
        return 0.0
    weight = bandwidth_bps / instances / settings.reference_bps
    return instances * min(settings.weight_limit, max(1.0, weight))


def _most(forecast: Forecast, running: float, settings: DemandSettings) -> Interval:
    """The highest quantiles over the horizon: a peak in between must have its addresses, too."""
    ahead_s = [one for one in forecast.horizons_s if one < settings.horizon_s]
    ahead_s.append(settings.horizon_s)
    low, expected, high = (
        max(forecast.at(one, quantile) for one in ahead_s)
        for quantile in (1.0 - settings.confidence, 0.5, settings.confidence)
    )
    expected = max(running, expected)
    return Interval(
        min(low, expected), expected, max(expected, min(high, settings.most_growth * running))
    )
