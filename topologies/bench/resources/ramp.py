"""A load ramp that overloads a router whose CPU is limited: with the shadow sized by the forecast, by use alone, and
without any; the same load, the same seeds.

The limit is what the router was found to use at FULL_PER_S connections a second, so that on any machine it is full at
that rate or soon after, and the ramp goes far beyond. A connection that never comes about counts with the
clients' time-out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.ramp_fabric import RampError, play
from topologies.ramps import NONE, UMBRA, WAYS, RampRun, RampShape
from topologies.stoppable import run as finished
from topologies.switches import choose

# So many connections a second fill the router; fewer where a packet costs more.
FULL_PER_S = {"embedded": 20.0, "bmv2": 7.0}
BASE, TOP = 0.3, 7.5  # of that
UNLIMITED_CORES = 2.0
CALIBRATION_S, SETTLED_S = 8.0, 3.0
SHAPE = RampShape(BASE, TOP, calm_s=6.0, rise_s=10.0, hold_s=6.0, fall_s=2.0, after_s=2.0)
QUICK_SHAPE = RampShape(BASE, TOP, calm_s=3.0, rise_s=5.0, hold_s=2.0, fall_s=0.5, after_s=0.5)
SEEDS = (1, 2, 3)
LEAST_CORES = 0.02


def run(
    switch: str, directory: Path, progress: Progress, *, quick: bool = False
) -> tuple[dict[str, Figure], dict[str, dict[str, float | str]], dict[str, Any]]:
    """All ways with all seeds. quick: a short ramp, one seed. Raises RampError."""
    kind = choose(switch)
    full_per_s = FULL_PER_S[kind]
    progress(f"{kind}: what the router needs for {full_per_s:g} connections a second")
    capacity_cores = calibrated(kind, directory / "calibration", full_per_s)
    shape, seeds = (QUICK_SHAPE, SEEDS[:1]) if quick else (SHAPE, SEEDS)
    shape = shape.times(full_per_s)
    found: dict[str, list[RampRun]] = {way: [] for way in WAYS}
    for seed in seeds:
        for way, own in found.items():
            progress(f"{kind}: ramp {seed} of {len(seeds)}, {way}")
            where = directory / f"{way}-{seed}"
            own.append(finished(play(kind, where, way, shape, seed, capacity_cores)))
    told = {
        f"ramp_{way}": [
            one.to_json() | {"seed": seed} for one, seed in zip(own, seeds, strict=True)
        ]
        for way, own in found.items()
    }
    figures, versus = summary(found, capacity_cores)
    return figures, versus, told


def calibrated(kind: str, directory: Path, per_s: float) -> float:
    """Cores that the router uses at so many connections a second."""
    shape = RampShape(
        per_s,
        per_s,
        calm_s=CALIBRATION_S,
        rise_s=0.1,
        hold_s=0.1,
        fall_s=0.1,
        after_s=0.0,
    )
    one = finished(play(kind, directory, NONE, shape, 0, UNLIMITED_CORES))
    used = [m.primary_cores for m in one.moments if SETTLED_S <= m.time_s <= CALIBRATION_S]
    if not used:
        raise RampError(f"nothing was measured of the router's CPU; see {directory}")
    return max(LEAST_CORES, fmean(used))


def summary(
    found: Mapping[str, Sequence[RampRun]], capacity_cores: float
) -> tuple[dict[str, Figure], dict[str, dict[str, float | str]]]:
    """Medians over the seeds of latencies, means of the rest: ours as figures, those of the peers beside them."""
    values = {way: _values(own) for way, own in found.items()}
    number = sum(len(one.attempts) for one in found[UMBRA])
    units = {"ms": "ms", "1000": "1", "s": "s", "pct": "%"}
    figures = {
        name: Figure(value, units[name.rpartition("_")[2]], number, "lower")
        for name, value in values.pop(UMBRA).items()
    }
    figures["ramp_capacity_cores"] = Figure(round(capacity_cores, 4), "1", 1, "lower")
    return figures, {way: dict(own) for way, own in values.items()}


def _values(own: Sequence[RampRun]) -> dict[str, float]:
    return {
        "ramp_connect_p50_ms": round(median(one.connect_ms(50) for one in own), 2),
        "ramp_connect_p99_ms": round(median(one.connect_ms(99) for one in own), 2),
        "ramp_refused_per_1000": round(fmean(one.refused_per_1000 for one in own), 2),
        "ramp_primary_full_s": round(fmean(one.full_s for one in own), 2),
    }
