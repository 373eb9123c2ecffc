"""Umbra's own testbed as arithmetic: hours of router connections, second by second, by chance.

No public trace has live connections and new connections at seconds. Routers here are infinite-server queues
(`ml.simulate`) under loads such as the project's own load generators offer: a day compressed into an
hour, slow drift, and at random moments bursts, ramps and flash crowds; each run is another
chance and another mean duration. Durations spread as those of the load generator do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml import simulate
from ml.evaluation.dataset import DataSet
from ml.evaluation.splits import Split
from ml.series import Floats, Series

NAME = "testbed"
CAPACITY, AVAILABLE = 200.0, 25.0  # connections; fewer available is a breach
LIMIT = CAPACITY - AVAILABLE
TRAINING_LIMITS = (110.0, 140.0, 160.0, 175.0, 190.0)
HORIZONS_S = (5.0, 10.0, 20.0, 30.0)
PERIOD_S = 3600.0
USUAL = (0.4, 0.6)  # of the limit, what a router holds on average
SWING = (0.1, 0.3)
DRIFT, DRIFT_S = 0.06, 240.0  # relative standard deviation and memory
DURATION_S = (6.0, 12.0)
DURATION_SPREAD = 0.25  # as the load generator: uniform within so much around the mean
TRAIN_SHARE, CALIBRATION_SHARE = 0.4, 0.15  # of each run; the rest is judged


@dataclass(frozen=True, slots=True)
class Extra:
    """Further demand, relative to the usual: how often an hour, how high, how fast, how long.

    Times in seconds: rise in a straight line, hold, and a decay (exponential).
    """

    per_hour: float
    height: tuple[float, float]
    rise_s: tuple[float, float]
    hold_s: tuple[float, float]
    decay_s: tuple[float, float]


BURST = Extra(6.0, (0.2, 0.7), (1.0, 3.0), (3.0, 15.0), (2.0, 6.0))
RAMP = Extra(2.0, (0.5, 1.6), (12.0, 180.0), (10.0, 60.0), (10.0, 40.0))
CROWD = Extra(0.7, (0.8, 2.0), (3.0, 12.0), (5.0, 20.0), (20.0, 90.0))
EXTRAS = (BURST, RAMP, CROWD)


@dataclass(frozen=True, slots=True, eq=False)
class Runs(DataSet):
    """Simulated runs on one clock: as another one can always be made, more of each is for the test."""

    @property
    def split(self) -> Split:
        """In time, as of recorded sets, at other shares."""
        begin_s, end_s = float(self.times_s[0]), float(self.times_s[-1])
        first = begin_s + TRAIN_SHARE * (end_s - begin_s)
        second = first + CALIBRATION_SHARE * (end_s - begin_s)
        purge_s = self.horizons_s[-1]
        return Split(begin_s, first - purge_s, first, second - purge_s, second, end_s)


def simulated_runs(
    seeds: tuple[int, ...],
    hours: float,
    routers: int = 3,
    spread: float | None = DURATION_SPREAD,
) -> Runs:
    """`routers` series per seed, each of `hours`, at steps of a second: values are live connections.

    spread: of durations around the mean, uniform; None: exponential durations.
    """
    size = int(hours * 3600)
    series = []
    for seed in seeds:
        for router in range(routers):
            series.append(_router(f"run{seed}/r{router + 1}", [seed, router], size, spread))
    return Runs(NAME, 1.0, HORIZONS_S, tuple(series), "simulated (ml.evaluation.breaches.testbed)")


def _router(target: str, seed: list[int], size: int, spread: float | None) -> Series:
    random = np.random.default_rng(seed)
    mean_s = float(random.uniform(*DURATION_S))
    usual_per_s = float(random.uniform(*USUAL)) * LIMIT / mean_s
    offered = usual_per_s * demand(random, size)
    second = np.arange(size) + 0.5
    return simulate.connections(
        lambda at_s: np.interp(at_s, second, offered),
        float(size),
        mean_s,
        int(random.integers(2**31)),
        target=target,
        duration_spread=spread,
    )


def demand(random: np.random.Generator, size: int) -> Floats:
    """Demand per second relative to the usual, shape (size,), never negative."""
    second = np.arange(size, dtype=np.float64)
    phase, swing = random.uniform(0, 2 * np.pi), random.uniform(*SWING)
    level = 1.0 + swing * np.sin(2 * np.pi * second / PERIOD_S + phase) + _drift(random, size)
    for extra in EXTRAS:
        for _ in range(int(random.poisson(extra.per_hour * size / 3600.0))):
            level += _shape(random, extra, second - random.uniform(0, size))
    return np.maximum(level, 0.0)


def _drift(random: np.random.Generator, size: int) -> Floats:
    keep = float(np.exp(-1.0 / DRIFT_S))
    steps = random.normal(0.0, DRIFT * np.sqrt(1.0 - keep**2), size)
    drift = np.empty(size)
    value = random.normal(0.0, DRIFT)
    for index, step in enumerate(steps.tolist()):
        value = keep * value + step
        drift[index] = value
    return drift


def _shape(random: np.random.Generator, extra: Extra, since_s: Floats) -> Floats:
    height = random.uniform(*extra.height)
    rise_s, hold_s = random.uniform(*extra.rise_s), random.uniform(*extra.hold_s)
    decay_s = random.uniform(*extra.decay_s)
    after = np.maximum(since_s - rise_s - hold_s, 0.0)
    return np.asarray(height * np.clip(since_s / rise_s, 0.0, 1.0) * np.exp(-after / decay_s))
