"""Simulated connection counts: an infinite-server queue (M/M/inf) with a varying arrival rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml.series import Floats, Series, connections_series

Rate = Callable[[Floats], Floats]


def flat(per_s: float) -> Rate:
    """A constant arrival rate."""
    return lambda t: np.full_like(t, per_s)


def ramp(start_per_s: float, end_per_s: float, begin_s: float, length_s: float) -> Rate:
    """Constant, then linear from begin_s for length_s, then constant."""
    return lambda t: np.interp(t, [begin_s, begin_s + length_s], [start_per_s, end_per_s])


def step(before_per_s: float, after_per_s: float, at_s: float) -> Rate:
    """A surge: one rate before `at_s`, another from then on."""
    return lambda t: np.where(t < at_s, before_per_s, after_per_s)


def diurnal(mean_per_s: float, swing: float, period_s: float, phase_s: float = 0.0) -> Rate:
    """A sine of relative amplitude `swing` (0..1) around the mean."""
    return lambda t: mean_per_s * (1.0 + swing * np.sin(2 * np.pi * (t - phase_s) / period_s))


def connections(
    rate: Rate,
    length_s: float,
    mean_duration_s: float,
    seed: int,
    *,
    target: str = "router",
    start_s: float = 0.0,
    step_s: float = 1.0,
    duration_spread: float | None = None,
) -> Series:
    """Poisson arrivals at `rate` (seconds since the start -> arrivals per second), sampled every
    `step_s`; it starts in equilibrium at the initial rate.

    Durations are exponential, or uniform within `duration_spread` (a fraction) around the mean.
    Returns a Series of floor(length_s / step_s) samples at start_s + step_s, start_s + 2 step_s, …
    """
    rng = np.random.default_rng(seed)
    size = int(length_s / step_s)
    edges = step_s * np.arange(size + 1, dtype=np.float64)
    expected = np.maximum(rate(edges[:-1] + step_s / 2), 0.0) * step_s
    arrivals = rng.poisson(expected)
    slot = np.repeat(np.arange(size), arrivals)
    opened = edges[slot] + rng.uniform(0.0, step_s, len(slot))
    if duration_spread is None:
        duration = rng.exponential(mean_duration_s, len(slot))
    else:
        low, high = (mean_duration_s * (1.0 + sign * duration_spread) for sign in (-1, 1))
        duration = rng.uniform(low, high, len(slot))
    initial = rng.poisson(max(0.0, float(rate(np.zeros(1))[0])) * mean_duration_s)
    if duration_spread is None:
        # What is left of an exponential duration is again exponential; its age is, too.
        left = rng.exponential(mean_duration_s, initial)
        age = rng.exponential(mean_duration_s, initial)
    else:
        # Those alive at an instant are the longer ones: density in proportion to the duration.
        whole = np.sqrt(rng.uniform(low**2, high**2, initial))
        left = rng.uniform(0.0, 1.0, initial) * whole
        age = whole - left
    closed = np.concatenate([left, opened + duration])
    lasted = np.concatenate([left + age, duration])
    inside = closed < edges[-1]
    closing_slot = (closed[inside] / step_s).astype(np.int64)
    closes = np.bincount(closing_slot, minlength=size)[:size]
    total = np.bincount(closing_slot, weights=lasted[inside], minlength=size)[:size]
    mean = np.full(size, np.nan)
    np.divide(total, closes, out=mean, where=closes > 0)
    count = initial + np.cumsum(arrivals) - np.cumsum(closes)
    return connections_series(
        target, start_s + edges[1:], count.astype(np.float64), arrivals / step_s, mean
    )
