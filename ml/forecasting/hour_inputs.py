"""Model inputs from the hours before: beyond the window, which at 10 s steps holds twenty minutes.

From the seasonal memory (`ml.forecasting.seasonal`): what followed at the same minute of the hours before, and where
the level was in quarters of an hour up to sixteen hours back.
"""

from __future__ import annotations

import numpy as np

from ml.forecasting.seasonal import SeasonalMemory
from ml.forecasting.window_inputs import Seen
from ml.known_samples import mean_of_known
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows

HOUR_S = 3600.0
HOURS = 4  # looked at for the same minute
BINS = 64  # broad ones
MEANS = (4, 8, 16, 32, 64)  # bins
SPREADS = (16, 64)
NAMES: tuple[str, ...] = (
    "hour_change",
    "hours_change",
    "hours_level",
    *(f"bins_mean_{bins}" for bins in MEANS),
    *(f"bin_{bins}" for bins in MEANS),
    *(f"bins_deviation_{bins}" for bins in SPREADS),
)


def inputs(windows: Windows, seen: Seen, memory: SeasonalMemory, settings: Settings) -> Floats:
    """Shape (horizons, rows, len(NAMES))."""
    result = np.full((len(settings.horizons_s), len(windows), len(NAMES)), np.nan)
    if not len(memory):
        return result
    unit, last = seen.scale, seen.last
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    # The first hour back whose outcome had come, and whose bin was over.
    first = np.ceil((ahead_s + 2 * memory.fine.width_s) / HOUR_S)
    back_s = HOUR_S * (first[:, None] + np.arange(HOURS))  # (horizons, hours)
    asked_s = np.stack([-back_s, ahead_s[:, None] - back_s])
    both = memory.fine.at(windows.targets, windows.times_s[:, None, None, None] + asked_s)
    change = both[:, 1] - both[:, 0]
    result[:, :, 0] = (change[:, :, 0] / unit[:, None]).T
    result[:, :, 1] = (mean_of_known(change) / unit[:, None]).T
    result[:, :, 2] = ((mean_of_known(both[:, 1]) - last[:, None]) / unit[:, None]).T
    bins = (memory.broad.before(windows.targets, windows.times_s, BINS) - last[:, None]) / unit[
        :, None
    ]
    columns = [mean_of_known(bins[:, :number]) for number in MEANS]
    columns += [bins[:, number - 1] for number in MEANS]
    for number in SPREADS:
        middle = mean_of_known(bins[:, :number])
        columns.append(np.sqrt(mean_of_known((bins[:, :number] - middle[:, None]) ** 2)))
    result[:, :, 3:] = np.stack(columns, axis=1)
    return result
