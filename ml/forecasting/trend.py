"""The cold-start model: needs no training, only the last seconds of the target itself.

It takes the live connections for what they are, a queue with unlimited servers: new connections
arrive at rate a(t) and every live one closes with hazard m, so dn/dt = a(t) - m n, which relaxes to
Little's law n = a / m. The arrival rate is a weighted line through its recent past whose slope

- is shrunk to nothing when it is not significant (so that a flat load stays flat),
- is taken from the onset of a rise where one is significant (`ml.forecasting.line`), and
- is damped ahead: it contributes slope * D * (1 - exp(-h/D)) after h seconds.

The hazard is a Gamma-Poisson estimate: closes per connection-second seen in the window (arrivals
minus growth), with the reported mean duration as a prior worth `PRIOR_CLOSES` closes. A target that
has just started from empty has only young connections; there the reported duration is the least
hazard, and where none is reported, twice the time watched. Without arrival rates the count
itself gets the damped line. Planned events multiply the arrivals ahead.

Its spread has four parts: births and deaths (overdispersed as the arrivals are), the line's and the
hazard's standard errors, and a drift of the arrival rate that grows with the root of the horizon;
and all of it is scaled by how far the same model, made a little earlier, was off on this target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from ml.calendars.events import PlannedEvent, log_factors
from ml.forecasting.line import (
    DAMPING_STEPS,
    MIN_SAMPLES,
    Line,
    line,
    line_or_onset,
    without_spikes,
)
from ml.series import MEAN_DURATION_S, NEW_PER_S, Floats
from ml.windows import Windows

SPAN_STEPS = 40  # the samples a trend looks at
HAZARD_MEMORY_STEPS = 10.0
PRIOR_CLOSES = 10.0
DRIFT_PER_MINUTE = 0.15  # standard deviation of the relative change of the arrival rate
RISE_STEPS = 4  # a count above the one so long ago is rising
SUBSTEPS = 6  # integration steps between two horizons
BACKCAST_STEPS = (5, 10, 15, 20, 25, 30, 40, 50, 60)
BACKCAST_PRIOR = 12.0  # weight of "the spread is right as it is", in backcasts


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """mean, deviation: connections, shape (rows, horizons)."""

    mean: Floats
    deviation: Floats


def project(
    windows: Windows,
    ahead_s: Floats,
    step_s: float,
    calendar: Sequence[PlannedEvent] = (),
) -> Projection:
    """Mean and standard deviation of the count, without the correction from backcasts.

    ahead_s: seconds after each row's time, shape (horizons,) or (rows, horizons), ascending.
    Rows without a known count in the window give NaN.
    """
    count = windows.values[:, -SPAN_STEPS:]
    new = without_spikes(
        windows.channel(NEW_PER_S)[:, -SPAN_STEPS:] * step_s
    )  # per step from here on
    duration = windows.channel(MEAN_DURATION_S)[:, -SPAN_STEPS:] / step_s
    ahead = np.broadcast_to(np.asarray(ahead_s) / step_s, (len(windows), np.shape(ahead_s)[-1]))
    last, age = last_known(count)
    ahead = ahead + age[:, None]
    begun = np.isfinite(count)
    span = np.where(begun.any(axis=1), count.shape[1] - 1.0 - begun.argmax(axis=1), 0.0)
    hazard, doubt = _hazard(count, new, duration, span)
    arrivals = line_or_onset(new)
    hazard = _of_rising(hazard, count, last, arrivals)
    factors = _relative_factors(windows, ahead, age, step_s, calendar)
    level, tilt = _responses(hazard, ahead, factors, arrivals.damping)
    survive = np.exp(-hazard[:, None] * ahead)
    # Effect of the line's two independent parameters: its mean, and its slope seen from its centre.
    turn = arrivals.centre[:, None] * level + tilt
    born = np.maximum(arrivals.mean[:, None] * level + arrivals.slope[:, None] * turn, 0.0)
    mean = last[:, None] * survive + born
    minutes = ahead * step_s / 60.0
    drift = DRIFT_PER_MINUTE * np.sqrt(minutes) * np.maximum(arrivals.mean, 0.0)[:, None] * level
    excess = np.maximum(arrivals.noise / np.maximum(arrivals.mean, 1e-9), 1.0)[:, None]
    unbalanced = (hazard * last - arrivals.mean)[:, None]  # the hazard's part in d mean / d hazard
    variance = (
        last[:, None] * survive * (1.0 - survive)
        + excess * born
        + arrivals.mean_variance[:, None] * level**2
        + arrivals.slope_variance[:, None] * turn**2
        + drift**2
        + (doubt[:, None] * (born + ahead * survive * unbalanced)) ** 2
    )
    unknown = ~np.isfinite(mean).all(axis=1)
    if unknown.any():
        plain_mean, plain_variance = _count_only(count[unknown], last[unknown], ahead[unknown])
        lift = factors[unknown].mean(axis=2).cumsum(axis=1) / np.arange(1, ahead.shape[1] + 1)
        mean[unknown], variance[unknown] = plain_mean * lift, plain_variance * lift**2
    return Projection(np.maximum(mean, 0.0), np.sqrt(variance))


def quantile_forecast(
    windows: Windows,
    ahead_s: Floats,
    quantiles: Sequence[float],
    step_s: float,
    calendar: Sequence[PlannedEvent] = (),
) -> Floats:
    """Counts, shape (rows, horizons, quantiles), >= 0, non-decreasing in the quantile.

    Arguments as of `project`.
    """
    projection = project(windows, ahead_s, step_s, calendar)
    deviation = projection.deviation * _backcast_scale(windows, step_s)[:, None]
    return spread(projection.mean, deviation, quantiles)


def persistence(windows: Windows, ahead_s: Floats, step_s: float) -> Projection:
    """The last count stays; its spread grows with the root of the time. Arguments as above."""
    last, age = last_known(windows.values)
    ahead = np.broadcast_to(np.asarray(ahead_s) / step_s, (len(windows), np.shape(ahead_s)[-1]))
    ahead = ahead + age[:, None]
    step = np.maximum(_step_deviation(windows.values), np.sqrt(np.maximum(last, 1.0)) * 0.1)
    mean = np.repeat(last[:, None], ahead.shape[1], axis=1)
    return Projection(mean, step[:, None] * np.sqrt(ahead))


def spread(mean: Floats, deviation: Floats, quantiles: Sequence[float]) -> Floats:
    """Normal quantiles, cut off at 0: shape (..., quantiles)."""
    scores = np.array([NormalDist().inv_cdf(level) for level in quantiles])
    values: Floats = np.maximum(mean[..., None] + deviation[..., None] * scores, 0.0)
    return values


def last_known(count: Floats) -> tuple[Floats, Floats]:
    """The last known count per row and how many steps ago it was (NaN and 0 when there is none)."""
    known = np.isfinite(count)
    back = known[:, ::-1].argmax(axis=1)
    last = count[np.arange(len(count)), count.shape[1] - 1 - back]
    return last, back.astype(np.float64)


def _hazard(count: Floats, new: Floats, duration: Floats, span: Floats) -> tuple[Floats, Floats]:
    """Closes per connection and step, and its relative standard error.

    NaN when neither flows nor durations tell it. span: steps since each row's first sample.
    """
    ages = np.arange(count.shape[1] - 1, -1, -1, dtype=np.float64)
    weights = np.exp(-ages / HAZARD_MEMORY_STEPS)
    closes = new[:, 1:] - np.diff(count, axis=1)
    known = np.isfinite(closes)
    seen = np.where(known, weights[1:] * closes, 0.0).sum(axis=1)
    exposure = np.where(known, weights[1:] * (count[:, 1:] + count[:, :-1]) / 2, 0.0).sum(axis=1)
    reported = np.isfinite(duration)
    weight = np.where(reported, weights, 0.0)
    prior = weight.sum(axis=1) > 0
    total = np.where(reported, weights * duration, 0.0).sum(axis=1)
    lasting = np.divide(total, weight.sum(axis=1), out=np.zeros_like(total), where=prior)
    events = np.maximum(seen, 0.0) + np.where(prior, PRIOR_CLOSES, 0.0)
    time = exposure + np.where(prior, PRIOR_CLOSES * lasting, 0.0)
    hazard = np.divide(events, time, out=np.full_like(time, np.nan), where=time > 1e-6)
    # While a target starts from empty its connections are all young: few closes say little about
    # the later ones. Then a reported duration counts in full, and an unknown one is taken
    # for at most twice as long as the target has been watched.
    believed = np.where(prior, lasting, 2.0 * span)
    young = np.where(prior, span < 4.0 * lasting, span < count.shape[1] - 1)
    hazard = np.where(young, np.maximum(hazard, 1.0 / np.maximum(believed, 0.5)), hazard)
    # A mean life of half a step: shorter is not observable.
    return np.asarray(np.minimum(hazard, 2.0)), 1.0 / np.sqrt(np.maximum(events, 1.0))


def _of_rising(hazard: Floats, count: Floats, last: Floats, arrivals: Line) -> Floats:
    """The hazard, at most what lets a count go on rising that rises together with its arrivals.

    New connections are young: where durations are alike they close later than the average says.
    """
    now = np.maximum(arrivals.mean + arrivals.slope * arrivals.centre, 0.0)
    rising = (arrivals.slope > 0) & (last > count[:, -1 - RISE_STEPS])
    balanced = np.divide(now, last, out=np.full_like(last, np.inf), where=rising & (last > 0))
    return np.asarray(np.minimum(hazard, balanced))


def _relative_factors(
    windows: Windows, ahead: Floats, age: Floats, step_s: float, calendar: Sequence[PlannedEvent]
) -> Floats:
    """Planned load relative to now's, in the middle of each substep: (rows, horizons, substeps)."""
    if not calendar:
        return np.ones((*ahead.shape, SUBSTEPS))
    starts = np.concatenate([np.zeros((len(ahead), 1)), ahead[:, :-1]], axis=1)
    middle = (np.arange(SUBSTEPS) + 0.5) / SUBSTEPS
    offsets = starts[..., None] + (ahead - starts)[..., None] * middle
    observed_s = windows.times_s - age * step_s
    then = log_factors(calendar, windows.targets, observed_s[:, None, None] + offsets * step_s)
    now = log_factors(calendar, windows.targets, observed_s)
    return np.asarray(np.exp(then - now[:, None, None]))


def _responses(
    hazard: Floats, ahead: Floats, factors: Floats, damping: Floats
) -> tuple[Floats, Floats]:
    """Connections at each horizon caused by an arrival rate of 1, and by a slope of 1 from now.

    Exact for each substep at constant arrivals, so only the slope's bend is approximated.
    """
    rows, horizons = ahead.shape
    level, tilt = np.zeros((rows, horizons)), np.zeros((rows, horizons))
    one, slope, elapsed = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for horizon in range(horizons):
        width = (ahead[:, horizon] - elapsed) / SUBSTEPS
        keep = np.exp(-hazard * width)
        gain = np.where(hazard * width > 1e-9, -np.expm1(-hazard * width), hazard * width)
        gain = np.divide(gain, hazard, out=width.copy(), where=hazard > 0)
        gain = np.where(np.isnan(hazard), np.nan, gain)
        for substep in range(SUBSTEPS):
            middle = elapsed + (substep + 0.5) * width
            damped = damping * -np.expm1(-middle / damping)
            factor = factors[:, horizon, substep]
            one = one * keep + gain * factor
            slope = slope * keep + gain * factor * damped
        elapsed = ahead[:, horizon]
        level[:, horizon], tilt[:, horizon] = one, slope
    return level, tilt


def _count_only(count: Floats, last: Floats, ahead: Floats) -> tuple[Floats, Floats]:
    """The damped line for targets whose arrivals are unknown: mean and variance."""
    trend = line(count, poisson=False)
    damped = DAMPING_STEPS * -np.expm1(-ahead / DAMPING_STEPS)
    slope = np.nan_to_num(trend.slope)[:, None]
    step = np.maximum(_step_deviation(count), 1e-9)
    doubt = np.minimum(np.nan_to_num(trend.slope_variance), step**2)[:, None]
    variance = step[:, None] ** 2 * ahead + doubt * damped**2
    return last[:, None] + slope * damped, variance


def _step_deviation(count: Floats) -> Floats:
    """Standard deviation of one step's change, from the mean absolute difference."""
    change = np.abs(np.diff(count, axis=1))
    known = np.isfinite(change)
    number = known.sum(axis=1)
    mean = np.where(known, change, 0.0).sum(axis=1) / np.maximum(number, 1)
    floor = np.sqrt(np.maximum(np.nan_to_num(last_known(count)[0]), 1.0))
    return np.where(number > 0, 1.2533 * mean, floor)  # sqrt(pi / 2): normal changes


def _backcast_scale(windows: Windows, step_s: float) -> Floats:
    """How much wider than assumed the recent errors were: (rows,), within [0.6, 3].

    The model is run at earlier moments of the window and compared with the present.
    """
    lookback = windows.values.shape[1]
    offsets = [back for back in BACKCAST_STEPS if back + SPAN_STEPS // 2 <= lookback]
    squares = np.zeros(len(windows))
    number = np.zeros(len(windows))
    for back in offsets:
        then = windows.earlier(back, step_s)
        usable = np.isfinite(then.values[:, -SPAN_STEPS:]).sum(axis=1) >= MIN_SAMPLES
        actual = windows.values[:, [-1 - back // 2, -1]]
        ahead = np.array([back - back // 2, back], dtype=np.float64) * step_s
        earlier = project(then, ahead, step_s)
        error = (actual - earlier.mean) / np.maximum(earlier.deviation, 1e-9)
        good = np.isfinite(error) & usable[:, None]
        squares += np.where(good, np.minimum(error**2, 16.0), 0.0).mean(axis=1)
        number += good.mean(axis=1)
    scale = np.sqrt((BACKCAST_PRIOR + squares) / (BACKCAST_PRIOR + number))
    return np.clip(scale, 0.6, 3.0)


def enough(windows: Windows) -> npt.NDArray[np.bool_]:
    """Rows with enough known counts for a trend."""
    known: npt.NDArray[np.bool_] = (
        np.isfinite(windows.values[:, -SPAN_STEPS:]).sum(axis=1) >= MIN_SAMPLES
    )
    return known
