"""The demo's fabric and load: three services, each on a service router of its own, two of which
outgrow it in turn.

A router's live connections are its new ones per second times their duration (Little's law). At its
peak a service's demand alone is far more than its router may hold, half of it is not, and the
fabric as a whole always has room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topologies.clos import ClosSpec, configuration
from topologies.load.curves import Constant, Curve, Ramp, Sum
from topologies.load.schedule import Demand, Planned, schedule

CAPACITY = 200  # connections per router
THRESHOLD = 40  # available connections: fewer is a breach
BASE_PER_S = 7.0
TOP_PER_S = 34.0
MEAN_DURATION_S = 8.0
INTERVAL_S = 2.0  # between the requests on a connection
LONGEST_S = MEAN_DURATION_S * 1.25
API_PORT = 8741


@dataclass(frozen=True, slots=True)
class Peak:
    """One service's demand goes up and comes back. Times in seconds since the start."""

    service: int
    start_s: float
    rise_s: float
    hold_s: float
    fall_s: float


def peaks(seconds: float) -> tuple[Peak, ...]:
    """Service 1 first, later service 2. A run of less than 75 s has shorter ones."""
    unit = min(1.0, seconds / 75.0)
    return (
        Peak(1, seconds * 0.20, 9.0 * unit, 7.0 * unit, 5.0 * unit),
        Peak(2, seconds * 0.58, 9.0 * unit, 7.0 * unit, 5.0 * unit),
    )


def config(*, predictive: bool) -> dict[str, Any]:
    """The controller's configuration; the two runs differ in `cycle.predictive` and in nothing
    else.
    """
    settings: dict[str, Any] = {
        "cycle": {"period_s": 1.0, "predictive": predictive},
        "api": {"host": "127.0.0.1", "port": API_PORT},
    }
    return configuration(ClosSpec(capacity=CAPACITY, threshold=THRESHOLD, settings=settings))


def connections(config: Mapping[str, Any], seed: int, seconds: float) -> tuple[Planned, ...]:
    """Every connection of a run, the same for both."""
    demands = []
    for service in config["services"]:
        rises: tuple[Curve, ...] = tuple(
            Ramp(0.0, TOP_PER_S - BASE_PER_S, peak.start_s, peak.rise_s, peak.hold_s, peak.fall_s)
            for peak in peaks(seconds)
            if peak.service == service["id"]
        )
        curve = Sum((Constant(BASE_PER_S), *rises))
        demands.append(
            Demand(service["id"], service["address"], service["port"], curve, MEAN_DURATION_S)
        )
    return schedule(seed, demands, seconds)
