"""Where a rate is and where it goes: a weighted line through its recent past, or a rise's onset.

A line needs several seconds until it follows a kink. Arrivals are therefore also held against "level
until k steps ago, in a straight line up since then", for a few k: of those rises that are
significant, the clearest. What has only just begun is not trusted to go on for long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.series import Floats

MEMORY_STEPS = 7.0  # a line's weights fall to 1/e per this many steps
LEVEL_MEMORY_STEPS = 10.0  # those of the level before an onset
SIGNIFICANCE = 2.3  # a slope below this many standard errors counts as none;
ONSET_SIGNIFICANCE = 3.8  # more for an onset: several are tried, on fewer samples
DAMPING_STEPS = 20.0  # a slope fades ahead with this memory,
DAMPING_PER_STEP = 3.0  # or with this many steps for each that it has been seen
ONSET_STEPS = (3, 4, 6, 8)  # how long ago a rise may have begun
LEVEL_SAMPLES = 8  # the fewest that tell the level before an onset
SPIKE_DEVIATIONS = 4.0
MIN_SAMPLES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Per row: value `mean` at `centre` steps ago, slope per step, variances; shape (rows,).

    noise: variance of a sample around the line. damping: steps within which the slope fades.
    """

    mean: Floats
    centre: Floats
    slope: Floats
    mean_variance: Floats
    slope_variance: Floats
    noise: Floats
    damping: Floats


def without_spikes(values: Floats) -> Floats:
    """Single samples far off both neighbours give way to the median of the three."""
    left, middle, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    median = np.maximum(np.minimum(left, right), np.minimum(np.maximum(left, right), middle))
    limit = SPIKE_DEVIATIONS * np.sqrt(np.maximum(median, 1.0))
    cleaned = values.copy()
    cleaned[:, 1:-1] = np.where(np.abs(middle - median) > limit, median, middle)
    return cleaned


def line(values: Floats, *, poisson: bool) -> Line:
    """Exponentially weighted least squares; NaN for rows with too few samples.

    values: shape (rows, steps), NaN where unknown. poisson: counts per step, whose variance is at
    least their mean.
    """
    ages = _ages(values)
    known = np.isfinite(values)
    weights = np.where(known, np.exp(-ages / MEMORY_STEPS), 0.0)
    filled = np.where(known, values, 0.0)
    enough = known.sum(axis=1) >= MIN_SAMPLES
    total = np.where(enough, weights.sum(axis=1), np.nan)
    mean = (weights * filled).sum(axis=1) / total
    centre = (weights * ages).sum(axis=1) / total
    lever = centre[:, None] - ages  # positive for samples younger than the centre
    inertia = (weights * lever**2).sum(axis=1)
    slope = (weights * lever * filled).sum(axis=1) / inertia
    residual = np.where(known, filled - mean[:, None] - slope[:, None] * lever, 0.0)
    noise = (weights * residual**2).sum(axis=1) / total
    if poisson:
        noise = np.maximum(noise, np.maximum(mean, 0.2))
    squares = weights**2
    mean_variance = noise * squares.sum(axis=1) / total**2
    slope_variance = noise * (squares * lever**2).sum(axis=1) / inertia**2
    kept = _significant(slope, slope_variance, SIGNIFICANCE)
    damping = np.full(len(values), DAMPING_STEPS)
    return Line(mean, centre, kept, mean_variance, slope_variance, noise, damping)


def line_or_onset(values: Floats) -> Line:
    """The line of counts per step; where a rise has significantly just begun, that rise."""
    found = line(values, poisson=True)
    ages = _ages(values)
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    clearest = np.full(len(values), ONSET_SIGNIFICANCE)
    now = found.mean + found.slope * found.centre
    best = found
    for steps in ONSET_STEPS:
        if values.shape[1] < steps + LEVEL_SAMPLES:
            break
        before = known & (ages >= steps)
        usable = (before.sum(axis=1) >= LEVEL_SAMPLES) & known[:, -steps:].all(axis=1)
        weights = np.where(before, np.exp(-(ages - steps) / LEVEL_MEMORY_STEPS), 0.0)
        total = np.where(usable, weights.sum(axis=1), np.nan)
        level = (weights * filled).sum(axis=1) / total
        scatter = (weights * (filled - level[:, None]) ** 2).sum(axis=1) / total
        noise = np.maximum(scatter, np.maximum(level, 0.2))
        level_variance = noise * (weights**2).sum(axis=1) / total**2
        lever = np.maximum(steps - ages, 0.0)
        inertia = (lever**2).sum()
        rise = ((filled - level[:, None]) * lever).sum(axis=1) / inertia
        variance = noise / inertia + level_variance * (lever.sum() / inertia) ** 2
        clear = rise / np.sqrt(variance)
        kept = _significant(rise, variance, ONSET_SIGNIFICANCE)
        risen = level + kept * steps
        take = (clear > clearest) & (risen > now) & (kept > found.slope)
        clearest = np.where(take, clear, clearest)
        damping = min(DAMPING_STEPS, DAMPING_PER_STEP * steps)
        best = Line(
            np.where(take, risen, best.mean),
            np.where(take, 0.0, best.centre),
            np.where(take, kept, best.slope),
            np.where(take, level_variance + steps**2 * variance, best.mean_variance),
            np.where(take, variance, best.slope_variance),
            np.where(take, np.maximum(noise, risen), best.noise),
            np.where(take, damping, best.damping),
        )
    return best


def _ages(values: Floats) -> Floats:
    return np.arange(values.shape[1] - 1, -1, -1, dtype=np.float64)


def _significant(slope: Floats, variance: Floats, errors: float) -> Floats:
    """The slope, shrunk, to nothing when it is below so many standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = np.maximum(1.0 - errors**2 * variance / slope**2, 0.0)
    return np.asarray(np.where(slope == 0.0, slope, slope * certain))
