"""Model inputs from earlier periods: the same phase of the hours in the window, yesterday, last week."""

from __future__ import annotations

from functools import cache

import numpy as np

from ml.forecasting import filters
from ml.forecasting.seasonal import DAY_S, SeasonalMemory
from ml.forecasting.window_inputs import Seen
from ml.known_samples import mean_of_known
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows

PERIODS_S = (60.0, 300.0, 1800.0, 3600.0)
MOST_PERIODS = 6
DAYS = (1, 2, 3, 4, 5, 6, 7)
MEMORY_NAMES = (
    "yesterday_change",
    "week_change",
    "days_change",
    "days_change_broad",
    "days_level_broad",
    "week_level_broad",
    "yesterday_difference",
)


def names(settings: Settings) -> tuple[str, ...]:
    """Of the periods that the window holds at least twice after the longest horizon, and memory."""
    inside = []
    for period_s in periods_s(settings):
        inside += [f"same_phase_level_{period_s:.0f}s", f"same_phase_change_{period_s:.0f}s"]
    return (*inside, *MEMORY_NAMES)


def periods_s(settings: Settings) -> tuple[float, ...]:
    """The periods that are seen in the window."""
    found = []
    for period_s in PERIODS_S:
        steps = round(period_s / settings.step_s)
        fits = abs(steps * settings.step_s - period_s) < 1e-6 * period_s
        if steps >= 2 and fits and 2 * steps < settings.lookback_steps:
            found.append(period_s)
    return tuple(found)


def inputs(windows: Windows, seen: Seen, memory: SeasonalMemory, settings: Settings) -> Floats:
    """Shape (horizons, rows, len(names(settings)))."""
    horizons = len(settings.horizons_s)
    unit = seen.scale[:, None]
    weights = _bank(
        seen.filled.shape[1],
        tuple(round(period / settings.step_s) for period in periods_s(settings)),
        settings.horizon_steps,
    )
    wide = weights.shape[1] // horizons
    inside = (seen.filled @ weights / unit).reshape(len(windows), horizons, wide)
    remembered = _remembered(windows, seen, memory, settings)
    return np.concatenate([inside.transpose(1, 0, 2), remembered], axis=2)


def _remembered(windows: Windows, seen: Seen, memory: SeasonalMemory, settings: Settings) -> Floats:
    ahead_s = np.concatenate([[0.0], np.asarray(settings.horizons_s, dtype=np.float64)])
    back_s = np.asarray(DAYS, dtype=np.float64) * DAY_S
    result = np.full((len(ahead_s) - 1, len(windows), len(MEMORY_NAMES)), np.nan)
    if not len(memory) or settings.horizons_s[-1] >= DAY_S / 2:
        return result
    times = windows.times_s[:, None, None] + ahead_s[None, :, None] - back_s
    fine = memory.fine.at(windows.targets, times[:, :, [0, -1]])  # (rows, 1 + horizons, 2)
    wide = memory.broad.at(windows.targets, times)  # (rows, 1 + horizons, days)
    unit = seen.scale[:, None]
    change = (fine[:, 1:] - fine[:, :1]) / unit[:, :, None]
    change_broad = (wide[:, 1:] - wide[:, :1]) / unit[:, :, None]
    last = seen.last[:, None]
    result[:, :, 0] = change[:, :, 0].T
    result[:, :, 1] = change[:, :, -1].T
    result[:, :, 2] = change_broad[:, :, 0].T
    result[:, :, 3] = mean_of_known(change_broad).T
    result[:, :, 4] = ((mean_of_known(wide[:, 1:]) - last) / unit).T
    result[:, :, 5] = ((wide[:, 1:, -1] - last) / unit).T
    result[:, :, 6] = ((last - fine[:, :1, 0]) / unit).T
    return result


@cache
def _bank(size: int, periods: tuple[int, ...], horizon_steps: tuple[int, ...]) -> Floats:
    """Columns (horizon, period, level and change); NaN where the window holds too few periods."""
    columns: list[Floats] = []
    for ahead in horizon_steps:
        for period in periods:
            found = filters.same_phase(size, period, ahead, MOST_PERIODS)
            columns += list(found) if found else [np.full(size, np.nan)] * 2
    return filters.bank(columns) if columns else np.zeros((size, 0))
