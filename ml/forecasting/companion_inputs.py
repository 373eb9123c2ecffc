"""Model inputs from a target's companions: its other metrics, such as the memory beside the CPU of a machine.

They are channels of the target's own series (`ml.series.Series.channels`), named in
`Settings.companions`, so that a row still depends on its own target alone. Each is seen relative
to its newest value, in units of its own mean absolute change in the window. A companion that a
target lacks is NaN, which also tells the trees which metric a row is of.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ml.forecasting import filters
from ml.forecasting.window_inputs import look
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows

LAGS = (1, 2, 3, 6, 12, 30)
MEANS = (10, 60)
KINDS: tuple[str, ...] = (
    *(f"lag_{steps}" for steps in LAGS),
    *(f"mean_{steps}" for steps in MEANS),
)


def names(settings: Settings) -> tuple[str, ...]:
    """Per companion, in the order of the settings."""
    return tuple(f"{one}_{kind}" for one in settings.companions for kind in KINDS)


def inputs(windows: Windows, settings: Settings) -> Floats:
    """Shape (rows, len(names(settings)))."""
    result = np.full((len(windows), len(settings.companions), len(KINDS)), np.nan)
    for place, name in enumerate(settings.companions):
        values = windows.channels.get(name)
        if values is None:
            continue
        there = np.flatnonzero(np.isfinite(values).any(axis=1))
        if not len(there):
            continue
        seen = look(Windows((), windows.times_s[there], values[there]))
        result[there, place] = seen.filled @ _bank(values.shape[1]) / seen.scale[:, None]
    return result.reshape(len(windows), -1)


@cache
def _bank(size: int) -> Floats:
    columns = [filters.lag(size, steps) for steps in LAGS]
    columns += [filters.mean(size, steps) for steps in MEANS]
    return filters.bank(columns)
