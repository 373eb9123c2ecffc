"""Forecast origins of recorded histories, with their inputs and what came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.features import Features, features
from ml.forecasting.seasonal import SeasonalMemory
from ml.series import Floats, Series
from ml.settings import Settings
from ml.windows import Windows, rolling, stacked


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """windows of some origins, their features, and the later values, shape (rows, horizons), NaN
    where unknown. source: index of each row's series.
    """

    windows: Windows
    inputs: Features
    later: Floats
    source: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def scaled(self) -> Floats:
        """The target of learning: later values relative to the base, in units, (rows, horizons)."""
        return (self.later - self.inputs.base) / self.inputs.unit


def examples(
    grids: Sequence[Series],
    memory: SeasonalMemory,
    settings: Settings,
    start_s: float,
    end_s: float,
    max_rows: int,
    seed: int = 0,
) -> Examples | None:
    """Origins in [start_s, end_s) whose value is known, at most `max_rows` of them; None without any.

    grids: series on their grid. Which origins is chosen by chance: an even stride would fall in step with
    minutes and hours. Outcomes at or after `end_s` are unknown.
    """
    index = [
        np.flatnonzero(
            (one.times_s >= start_s)
            & (one.times_s < end_s - settings.horizon_steps[0] * settings.step_s)
            & np.isfinite(one.values)
        )
        for one in grids
    ]
    total = sum(len(one) for one in index)
    share = min(1.0, max_rows / max(total, 1))
    rng = np.random.default_rng(seed)
    windows, later, source = [], [], []
    for number, (grid, ends) in enumerate(zip(grids, index, strict=True)):
        chosen = ends
        if share < 1.0:
            some = rng.choice(len(ends), size=int(np.ceil(share * len(ends))), replace=False)
            chosen = ends[np.sort(some)]
        if not len(chosen):
            continue
        windows.append(rolling(grid, settings.lookback_steps, chosen))
        later.append(outcomes(grid, chosen, settings, end_s))
        source.append(np.full(len(chosen), number))
    if not windows:
        return None
    rows = stacked(windows)
    inputs = features(rows, memory, settings)
    made = Examples(rows, inputs, np.concatenate(later), np.concatenate(source))
    if inputs.usable.all():
        return made
    usable = inputs.usable
    return Examples(
        rows.select(usable), inputs.select(usable), made.later[usable], made.source[usable]
    )


def outcomes(
    grid: Series, origins: npt.NDArray[np.int64], settings: Settings, end_s: float = np.inf
) -> Floats:
    """What came after these samples of a series on its grid, shape (rows, horizons).

    NaN where it is missing, or not before `end_s`.
    """
    values = np.where(grid.times_s < end_s, grid.values, np.nan)
    padded = np.concatenate([values, np.full(settings.horizon_steps[-1], np.nan)])
    return np.stack([padded[origins + steps] for steps in settings.horizon_steps], axis=1)
