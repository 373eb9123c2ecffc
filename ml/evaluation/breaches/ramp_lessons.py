"""What a detector of ramps learns from: ramps in the training part, and its days without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.breaches.claims import Bools, Watch, watch
from ml.breaches.crossing import CrossingModel
from ml.breaches.ramp import detector_inputs, fit_ramp
from ml.evaluation.breaches.limits import daily
from ml.evaluation.breaches.ramp_injection import Injected, calm, injected
from ml.evaluation.breaches.rows import Rows, thinned
from ml.evaluation.dataset import DataSet
from ml.series import Floats

LESSONS = 600  # ramps
RISES = (0.5, 5.0)  # horizons
SEEN = 2  # samples of a ramp before anything can be learnt from it
OTHER_HEADROOMS = (0.1, 0.5)
LATER_S = (21_600.0, 43_200.0, 64_800.0)  # calm days that begin at other times of day


def fitted(data: DataSet, seed: int, max_rows: int, lessons: int = LESSONS) -> CrossingModel:
    """A detector that has seen the training part alone. Raises ValueError with too few crossings."""
    span = (data.split.begin_s, data.split.train_end_s)
    ramps = injected(data, *span, lessons, seed + 1000, RISES)
    usual = calm(data, *span)
    others = [one for headroom in OTHER_HEADROOMS for one in calm(data, *span, headroom)]
    for later_s in LATER_S:
        others += calm(data, *span, later_s=later_s)
        others += [one for room in OTHER_HEADROOMS for one in calm(data, *span, room, later_s)]
    parts = [_of_ramps(ramps, data)]
    parts += [
        (made.inputs, made.crossed)
        for made in (
            watched_rows(data, usual, max_rows // 2, seed),
            watched_rows(data, others, max_rows // 2, seed),
            watched_rows(data, daily(data, *span, training=True), max_rows * 2 // 5, seed),
        )
        if len(made.crossed)
    ]
    return fit_ramp(
        np.concatenate([inputs for inputs, _ in parts]),
        np.concatenate([crossed for _, crossed in parts]),
        seed,
    )


def watched_rows(
    data: DataSet, watches: Sequence[Watch], max_rows: int | None = None, seed: int = 0
) -> Rows:
    """A row of the detector for each judged sample below the limit, thinned to about `max_rows`."""
    at = thinned(watches, max_rows, seed)
    inputs = [
        detector_inputs(
            data.series[one.row], one.first + mine, one.threshold, one.horizon, one.step_s
        )
        for one, mine in zip(watches, at, strict=True)
        if len(mine)
    ]
    crossed = [one.crosses[mine] for one, mine in zip(watches, at, strict=True)]
    return Rows(
        np.concatenate(inputs) if inputs else np.zeros((0, 0)),
        np.concatenate(crossed) if crossed else np.zeros(0, dtype=np.bool_),
        at,
    )


def _of_ramps(ramps: Sequence[Injected], data: DataSet) -> tuple[Floats, Bools]:
    """Rows from a ramp's first samples to its crossing: before them it cannot be told from none."""
    horizon, step_s = data.horizon_steps[-1], data.step_s
    parts, crossed = [], []
    for one in ramps:
        begin = one.begin + SEEN
        if begin >= one.crossing:
            continue
        watched = watch(0, one.series.values, one.limit, horizon, step_s, begin, one.crossing)
        at = np.flatnonzero(watched.below & watched.judged)
        if len(at):
            parts.append(detector_inputs(one.series, begin + at, one.limit, horizon, step_s))
            crossed.append(watched.crosses[at])
    if not parts:
        raise ValueError(f"data set {data.name}: no ramp fits into the training part")
    return np.concatenate(parts), np.concatenate(crossed)
