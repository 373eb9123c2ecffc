"""F1 of one method over another's at equal realised rates, with block-bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.breaches.alarm import curve, within
from ml.breaches.claims import Ints, Joined, claims, leads
from ml.evaluation.bootstrap import Interval, resampled_means
from ml.series import Floats

_BINS = 240
_FIELDS = 4  # events, warned events, claims judged, claims that came true


def ratio_interval(
    ours: Sequence[Floats], other: Floats, field: Joined, rates: Sequence[float], seed: int
) -> Interval:
    """Mean F1 over the rates, and over `ours` (one score per seed of the model), by the mean F1 of the other.

    Scores: (n,) of the field. Blocks of time are drawn with all that is in them, the same for both; levels
    stay those that keep to each rate on the whole. NaN where the other warns of nothing.
    """
    mine = np.concatenate([_counts(one, field, rate) for one in ours for rate in rates], axis=1)
    theirs = np.concatenate([_counts(other, field, rate) for rate in rates], axis=1)
    value = _ratio(mine.sum(axis=0)[None], theirs.sum(axis=0)[None])[0]
    if not np.isfinite(value):
        return Interval(float("nan"), float("nan"), float("nan"))
    times = (np.arange(_BINS) + 0.5) * _span_s(field) / _BINS
    both = np.concatenate([mine, theirs], axis=1)
    drawn = resampled_means([both], times, field.horizon * field.step_s, seed)[0]
    ratios = _ratio(drawn[:, : mine.shape[1]], drawn[:, mine.shape[1] :])
    ratios = ratios[~np.isnan(ratios)]
    # Without interpolation: where the other warns of nothing in a draw the ratio is infinite.
    low = np.quantile(ratios, 0.025, method="lower")
    high = np.quantile(ratios, 0.975, method="higher")
    return Interval(float(value), float(low), float(high))


def _ratio(ours: Floats, other: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_mean_f1(ours) / _mean_f1(other))


def _mean_f1(counts: Floats) -> Floats:
    """counts: (draws, several times _FIELDS) → (draws,)."""
    parts = counts.reshape(len(counts), -1, _FIELDS)
    events, warned, alarms, true_alarms = (parts[..., column] for column in range(_FIELDS))
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = warned / events, true_alarms / alarms
        f1 = np.where(warned * true_alarms > 0, 2 * precision * recall / (precision + recall), 0.0)
    return np.asarray(f1.mean(axis=1))


def _counts(score: Floats, field: Joined, rate: float) -> Floats:
    """Per bin of time what `_FIELDS` says, (bins, 4), at the level of the best F1 within the rate."""
    counts = np.zeros((_BINS, _FIELDS))
    onsets = np.flatnonzero(field.onset)
    np.add.at(counts[:, 0], _bin(onsets, field), 1.0)
    found = within(curve(score, field), rate)
    if found is None:
        return counts
    made = claims(score >= found.rule.level, field)
    warned = leads(made, field) >= field.least
    for column, where in enumerate(
        (onsets[warned], made[field.judged[made]], made[field.crosses[made]]), start=1
    ):
        np.add.at(counts[:, column], _bin(where, field), 1.0)
    return counts


def _bin(where: Ints, field: Joined) -> Ints:
    watch = np.searchsorted(np.array(field.starts), where, side="right") - 1
    first = np.array([one.first for one in field.watches])
    sample = first[watch] + where - np.array(field.starts)[watch] - first.min()
    share = sample * field.step_s / _span_s(field)
    return np.asarray(np.minimum((share * _BINS).astype(np.int64), _BINS - 1))


def _span_s(field: Joined) -> float:
    first = min(one.first for one in field.watches)
    return (max(one.last for one in field.watches) - first) * field.step_s
