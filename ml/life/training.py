"""A training with everything that is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml.breaches.warner_training import train_warner
from ml.forecasting.boosting import train
from ml.life import drift
from ml.life.inputs import sampled
from ml.life.registry import Kept
from ml.series import Series
from ml.settings import Settings


def train_kept(series: Sequence[Series], settings: Settings, seed: int = 0) -> Kept:
    """Train (`ml.forecasting.boosting.train`), and remember what the inputs looked like. Pure: runs
    anywhere.
    """
    model = train(series, settings, seed)
    if not model.report.accepted:
        return Kept(model, None)
    begin_s = min(float(one.times_s[0]) for one in series if len(one))
    inputs, times_s, names = sampled(series, settings, begin_s)
    if len(inputs) < drift.MIN_ROWS:
        return Kept(model, None)
    return Kept(model, drift.reference(inputs, times_s, names))


def with_warner(
    kept: Kept,
    series: Sequence[Series],
    limits: Mapping[str, float],
    false_per_day: float,
    seed: int = 0,
) -> Kept:
    """Train (`ml.breaches.warner_training`) what warns of breaches beside an accepted model too. series: of
    offered demand. limits: target → most without a breach. false_per_day: alarms a day and target.
    """
    if not kept.model.report.accepted:
        return kept  # nothing of this training will serve
    taught = train_warner(series, kept.model.settings, limits, false_per_day, seed)
    return replace(kept, warner=taught.warner, warned=taught.report)
