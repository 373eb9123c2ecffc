"""Rows of a classifier from watched series, and scores back to where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.claims import Bools, Ints, Joined, Watch
from ml.breaches.crossing_channels import COLUMNS, channel_inputs, recorded
from ml.breaches.crossing_inputs import crossing_inputs
from ml.evaluation.dataset import DataSet
from ml.series import Floats, Series


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """inputs: (rows, columns). crossed: whether the limit was crossed within the horizon, (rows,).
    at: per watch, the samples (from its first) that its rows belong to, in the order of the rows.
    """

    inputs: Floats
    crossed: Bools
    at: tuple[Ints, ...]

    def scattered(self, score: Floats, field: Joined) -> Floats:
        """One score per row → shape (n,) of the field made of the same watches; -inf elsewhere."""
        result = np.full(len(field.eligible), -np.inf)
        where = [start + at for start, at in zip(field.starts, self.at, strict=True)]
        result[np.concatenate(where)] = score
        return result


def rows(
    data: DataSet,
    watches: Sequence[Watch],
    max_rows: int | None = None,
    seed: int = 0,
) -> Rows:
    """A row for each sample below the limit whose outcome is known, thinned by chance to about
    `max_rows`.
    """
    parts, crossed = [], []
    kept = thinned(watches, max_rows, seed)
    for one, at in zip(watches, kept, strict=True):
        if len(at):
            parts.append(inputs(data.series[one.row], one.first + at, one))
            crossed.append(one.crosses[at])
    if not parts:
        raise ValueError(f"data set {data.name}: no sample below any limit")
    return Rows(np.concatenate(parts), np.concatenate(crossed), kept)


def thinned(watches: Sequence[Watch], max_rows: int | None, seed: int) -> tuple[Ints, ...]:
    """Per watch the samples, from its first, that are below the limit with a known outcome; of all watches
    about `max_rows`, by chance.
    """
    total = sum(int(np.count_nonzero(one.below & one.judged)) for one in watches)
    share = 1.0 if max_rows is None else min(1.0, max_rows / max(total, 1))
    random = np.random.default_rng(seed)
    kept = []
    for one in watches:
        at = np.flatnonzero(one.below & one.judged)
        kept.append(at[random.random(len(at)) < share] if share < 1.0 else at)
    return tuple(kept)


def inputs(series: Series, ends: Ints, watched: Watch) -> Floats:
    """What the classifier sees of a series at `ends` under a watch's limit, (ends, columns), float32."""
    shape = (watched.threshold, watched.horizon, watched.step_s)
    made = crossing_inputs(series.values, series.times_s, ends, *shape)
    if recorded(series):
        made = np.concatenate([made, channel_inputs(series, ends, *shape)], axis=1)
    return made.astype(np.float32)


def more(data: DataSet) -> tuple[tuple[str, int], ...]:
    """The columns after those of every series, for `ml.breaches.crossing.fit_crossing`."""
    return COLUMNS if all(recorded(one) for one in data.series) else ()
