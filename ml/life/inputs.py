"""The inputs that a model would see over a stretch of history: what drift is told by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.forecasting.features import features, names
from ml.forecasting.seasonal import memory_of
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import rolling

MOST_ROWS = 4_000
MOST_SERIES = 50


def sampled(
    series: Sequence[Series], settings: Settings, since_s: float
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Usable rows at or after `since_s`, evenly thinned: (inputs, shape (rows, inputs); their times,
    Unix seconds; the inputs' names). Of many series, some, evenly chosen. Deterministic.
    """
    chosen = [one for one in series if len(one) and one.times_s[-1] >= since_s]
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_SERIES))]
    each = MOST_ROWS // max(1, len(chosen))
    known_as = names(settings)
    rows, times = [np.empty((0, len(known_as)))], [np.empty(0)]
    grids = [one.resampled(settings.step_s) for one in chosen]
    memory = memory_of(grids, settings.step_s)
    for grid in grids:
        ends = np.flatnonzero(grid.times_s >= since_s)
        ends = ends[np.linspace(0, len(ends) - 1, min(each, len(ends))).astype(np.int64)]
        made = features(rolling(grid, settings.lookback_steps, ends), memory, settings)
        rows.append(made.inputs[0, made.usable])
        times.append(grid.times_s[ends][made.usable])
    return np.concatenate(rows), np.concatenate(times), known_as
