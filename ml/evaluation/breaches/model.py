"""The crossing classifier as it is evaluated: fitted, recalibrated and given a rule, all before the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml.breaches.claims import Watch, joined
from ml.breaches.crossing import CrossingModel, fit_crossing
from ml.evaluation.breaches.limits import Limits, daily
from ml.evaluation.breaches.rows import Rows, more, rows
from ml.evaluation.dataset import DataSet
from ml.series import Floats

MAX_ROWS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """training, recent: rows of the training and of the calibration part under many limits. calibration:
    the watches under the limits that are judged by, and judged their rows. later: (first sample, rows of the
    test part whose outcome was known a horizon before it) of every further training.
    """

    training: Rows
    recent: Rows
    calibration: tuple[Watch, ...]
    judged: Rows
    later: tuple[tuple[int, Rows], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """score: what a model of the training part alone said of the calibration watches, recalibrated by their
    outcomes; shape (n,) of the joined watches. served: (sample from which on it serves, model) in
    order; the first has learnt from all that came before the test, with that recalibration.
    """

    score: Floats
    served: tuple[tuple[int, CrossingModel], ...]


def lessons(
    data: DataSet,
    max_rows: int = MAX_ROWS,
    limits: Limits = daily,
    renewals: int = 1,
    seed: int = 0,
) -> Lessons:
    """What is learnt from, thinned by chance to about `max_rows` of the training part, and of later parts as
    many as they are long. A running controller trains again with all it has seen; here `renewals` models
    serve equal pieces of the test part. Raises ValueError when a part has no watchable day.
    """
    split = data.split
    part = (split.calibration_start_s, split.calibration_end_s)
    calibration = tuple(limits(data, *part, training=False))
    training = limits(data, split.begin_s, split.train_end_s, training=True)
    later = []
    span_s = split.test_end_s - split.test_start_s
    for number in range(1, renewals):
        begin_s = split.test_start_s + number * span_s / renewals
        seen = limits(data, split.test_start_s, begin_s - data.horizons_s[-1], training=True)
        if seen:
            first = int(np.searchsorted(data.times_s, begin_s))
            later.append((first, rows(data, seen, max_rows * number // (3 * renewals), seed)))
    return Lessons(
        rows(data, training, max_rows, seed),
        rows(data, limits(data, *part, training=True), max_rows // 3, seed),
        calibration,
        rows(data, calibration),
        tuple(later),
    )


def learn(data: DataSet, taught: Lessons, seed: int) -> Learnt:
    """Fit once to recalibrate and to choose rules by, once more with all that came before the test, and again
    during it. Recalibration and rules stay as they were. Raises ValueError with too few crossings.
    """
    judged = taught.judged
    first = _fit(data, [taught.training], seed).recalibrated(judged.inputs, judged.crossed)
    before = [taught.training, taught.recent]
    fitted = [(0, _fit(data, before, seed))]
    fitted += [(begin, _fit(data, [*before, latest], seed)) for begin, latest in taught.later]
    return Learnt(
        judged.scattered(first.probability(judged.inputs), joined(taught.calibration)),
        tuple(
            (begin, replace(model, recalibration=first.recalibration)) for begin, model in fitted
        ),
    )


def probabilities(
    served: Sequence[tuple[int, CrossingModel]], made: Rows, watches: Sequence[Watch]
) -> Floats:
    """Each row by the newest model that serves its watch from the watch's begin, (rows,)."""
    first = np.repeat([one.first for one in watches], [len(at) for at in made.at])
    which = np.searchsorted([begin for begin, _ in served], first, side="right") - 1
    result = np.empty(len(first))
    for number, (_, model) in enumerate(served):
        mine = which == number
        if mine.any():
            result[mine] = model.probability(made.inputs[mine])
    return result


def _fit(data: DataSet, parts: Sequence[Rows], seed: int) -> CrossingModel:
    return fit_crossing(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.crossed for part in parts]),
        seed,
        more=more(data),
    )
