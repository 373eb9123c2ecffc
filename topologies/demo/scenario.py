"""The demo's fabric and load: four services, each on a service router of its own; two of them outgrow it in turn.

A router's live connections are its new ones per second times their duration (Little's law). At its peak a service's
demand alone is far more than its router may hold, half of it is not, and its shadows have room for the other half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topologies.clos import ClosSpec, configuration
from topologies.load.curves import Constant, Curve, Ramp
from topologies.load.schedule import Demand, Planned, schedule

CAPACITY = 200  # connections per router
THRESHOLD = 25  # available connections: fewer is a breach
BASE_PER_S = 6.0  # new connections of the services that have a peak
TOP_PER_S = 35.0
CALM_PER_S = 3.5  # of the others
MEAN_DURATION_S = 8.0
INTERVAL_S = 2.0  # between the requests on a connection
LONGEST_S = MEAN_DURATION_S * 1.25
API_PORT = 8741
# r1 and r2 have the peaks: they do not help each other.
SHADOWS = {"r1": ["r3", "r4"], "r2": ["r3", "r4"]}
TWO_PEAKS_S = 65.0


@dataclass(frozen=True, slots=True)
class Peak:
    """One service's demand goes up and comes back. Times in seconds since the start."""

    service: int
    start_s: float
    rise_s: float
    hold_s: float
    fall_s: float


def peaks(seconds: float) -> tuple[Peak, ...]:
    """Service 1 first, later service 2; a short run has one peak, a very short one a steep one.

    Before the first there is time to see what is usual. The steeper a rise, the less of it can be seen
    ahead: 75 s are a good length.
    """
    if seconds >= TWO_PEAKS_S:
        unit = min(1.0, seconds / 75.0)
        starts = {1: seconds * 0.24, 2: seconds * 0.6}
    else:
        unit = min(1.0, (seconds - 4.0) / 40.0)
        starts = {1: seconds * 0.35}
    return tuple(
        Peak(service, start_s, 12.0 * unit, 8.0 * unit, 6.0 * unit)
        for service, start_s in starts.items()
    )


def config(*, predictive: bool) -> dict[str, Any]:
    """The controller's configuration; the runs differ in `cycle.predictive` and in nothing else."""
    settings: dict[str, Any] = {
        "cycle": {"period_s": 1.0, "predictive": predictive},
        "api": {"host": "127.0.0.1", "port": API_PORT},
        "shadows": {"per_router": 2, "overrides": SHADOWS},
    }
    spec = ClosSpec(routers=4, capacity=CAPACITY, threshold=THRESHOLD, settings=settings)
    return configuration(spec)


def connections(config: Mapping[str, Any], seed: int, seconds: float) -> tuple[Planned, ...]:
    """Every connection of a run, the same for both."""
    demands = []
    for service in config["services"]:
        curve: Curve = Constant(CALM_PER_S)
        for peak in peaks(seconds):
            if peak.service == service["id"]:
                shape = (peak.start_s, peak.rise_s, peak.hold_s, peak.fall_s)
                curve = Ramp(BASE_PER_S, TOP_PER_S, *shape)
        demands.append(
            Demand(service["id"], service["address"], service["port"], curve, MEAN_DURATION_S)
        )
    return schedule(seed, demands, seconds)
