"""What others would have held in each cycle of a trace, decided from the same samples, and how all are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.series import Floats
from topologies.bench.result import Figure

VPA_QUANTILE, VPA_MARGIN, VPA_HALF_LIFE_S = 0.9, 0.15, 86_400.0
VPA_FIRST, VPA_RATIO = 0.001, 1.05  # the histogram's smallest bucket, and how buckets grow
HEADROOM = 0.3
# Demand that is met but for rounding is met.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the series, in percent. missed: cycles whose demand was above what was held; slack: the unused share
    of what was held, all cycles together; unmet: the share of all demand beyond what was held. n: cycles judged, of
    all series.
    """

    missed_peak_pct: float
    slack_pct: float
    unmet_pct: float
    n: int

    def figures(self, name: str) -> dict[str, Figure]:
        """The figures of that trace."""
        return {
            f"{name}.{key}": Figure(value, "%", self.n, "lower")
            for key, value in self.values().items()
        }

    def values(self) -> dict[str, float]:
        """Rounded, by name."""
        return {
            "missed_peak_pct": round(self.missed_peak_pct, 3),
            "slack_pct": round(self.slack_pct, 2),
            "unmet_pct": round(self.unmet_pct, 4),
        }


def score(held: Floats, demand: Floats) -> Score:
    """Both (cycles, series); NaN demand is not judged, nor is a series without any demand."""
    known = np.isfinite(demand)
    came = np.where(known, demand, 0.0)
    have = np.where(known, held, 0.0)
    beyond = np.maximum(came - have, 0.0)
    missed = (beyond > ROUNDING * np.maximum(came, 1.0)).sum(axis=0)
    judged = (came.sum(axis=0) > 0) & (have.sum(axis=0) > 0)
    if not judged.any():
        raise ValueError("no series of the trace has any demand; choose another set")
    slack = np.maximum(have - came, 0.0).sum(axis=0)[judged] / have.sum(axis=0)[judged]
    return Score(
        100.0 * float((missed[judged] / known.sum(axis=0)[judged]).mean()),
        100.0 * float(slack.mean()),
        100.0 * float((beyond.sum(axis=0)[judged] / came.sum(axis=0)[judged]).mean()),
        int(known[:, judged].sum()),
    )


def reactive(before: Floats, use: Floats, step_s: float) -> Floats:
    """The vertical pod autoscaler's target after each moment of `use` but the last, (cycles, series): the p90 of use in
    a decaying histogram (half-life 24 h) and 15 %. before: use up to the first moment, alike (moments, series).
    """
    everything = np.concatenate([before, use[:-1]])
    most = max(2.0 * float(np.nanmax(everything)), 1.0)
    buckets = int(np.ceil(np.log(most / VPA_FIRST) / np.log(VPA_RATIO))) + 1
    ends = VPA_FIRST * VPA_RATIO ** np.arange(buckets)
    weight = np.zeros((everything.shape[1], buckets))
    rows = np.arange(everything.shape[1])
    fade = 0.5 ** (step_s / VPA_HALF_LIFE_S)
    held = np.empty_like(use[:-1])
    for moment, values in enumerate(everything):
        known = np.isfinite(values)
        weight *= fade
        weight[rows[known], np.searchsorted(ends, values[known])] += 1.0
        at = moment - len(before)
        if at >= 0:
            share = np.cumsum(weight, axis=1)
            place = (share < VPA_QUANTILE * share[:, -1:]).sum(axis=1)
            held[at] = ends[np.minimum(place, buckets - 1)] * (1.0 + VPA_MARGIN)
    return held


def headroom(use: Floats) -> Floats:
    """What is used now and 30 %, (cycles, series); of the last known use where it is missing."""
    held = np.empty_like(use[:-1])
    last = np.nan_to_num(use[0])
    for at, values in enumerate(use[:-1]):
        last = np.where(np.isfinite(values), values, last)
        held[at] = last * (1.0 + HEADROOM)
    return held


def oracle(use: Floats) -> Floats:
    """What will be used, exactly, (cycles, series)."""
    return np.nan_to_num(use[1:])
