"""Confidence intervals by a circular block bootstrap (Politis and Romano 1992).

Errors of neighbouring origins, and of all series at one moment, depend on each other. Time is
therefore cut into bins, whole blocks of bins are drawn with all that is in them, and blocks are
longer than the longest horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.series import Floats

BINS = 240
BLOCKS = 20  # at most so many to a test part, fewer when the longest horizon asks for longer ones
HORIZONS_PER_BLOCK = 4.0
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def resampled_means(
    loss: list[Floats], times_s: Floats, longest_s: float, seed: int, resamples: int = RESAMPLES
) -> Floats:
    """Bootstrap replicates of the mean of several losses on the same rows and the same draws.

    loss: each (rows, horizons), NaN unknown. times_s: (rows,). Returns (losses, resamples, horizons).
    """
    begin_s, end_s = float(times_s.min()), float(times_s.max())
    width_s = max((end_s - begin_s) / BINS, 1e-9)
    bins = np.minimum(((times_s - begin_s) / width_s).astype(np.int64), BINS - 1)
    span_s = width_s * BINS
    block_s = max(span_s / BLOCKS, min(HORIZONS_PER_BLOCK * longest_s, span_s / 4))
    length = max(1, min(BINS, round(block_s / width_s)))
    blocks = -(-BINS // length)
    starts = np.random.default_rng(seed).integers(0, BINS, size=(resamples, blocks))
    replicates = []
    for one in loss:
        known = np.isfinite(one)
        total = _block_sums(bins, np.where(known, one, 0.0), length)
        number = _block_sums(bins, known.astype(np.float64), length)
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates.append(total[starts].sum(axis=1) / number[starts].sum(axis=1))
    return np.stack(replicates)


def interval(value: float, replicates: Floats) -> Interval:
    """The central 95 % of the replicates around an estimate."""
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _block_sums(bins: np.ndarray, values: Floats, length: int) -> Floats:
    """Per first bin the sum over a block that may wrap around, shape (bins, horizons)."""
    sums = np.zeros((BINS, values.shape[1]))
    np.add.at(sums, bins, values)
    cumulated = np.concatenate(
        [np.zeros((1, values.shape[1])), np.cumsum(np.concatenate([sums, sums]), axis=0)]
    )
    first = np.arange(BINS)
    return np.asarray(cumulated[first + length] - cumulated[first])
