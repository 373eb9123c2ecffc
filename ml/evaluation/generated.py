"""A generated set, so that a machine without recorded data has something to look at. Not evidence."""

from __future__ import annotations

import numpy as np

from ml.evaluation.dataset import DataSet, data_set, grid_s
from ml.series import Series

NAME = "generated"
MIDNIGHT_S = 1_700_006_400.0  # UTC
STEP_S = 300.0
HORIZONS_S = (300.0, 600.0, 900.0, 1800.0)


def generated(days: int = 12, series: int = 6, seed: int = 7) -> DataSet:
    """Daily cycles with noise that fades over half an hour, and a burst now and then.

    days: at least 4. Deterministic for a seed.
    """
    draws = np.random.default_rng(seed)
    size = int(days * 86_400 / STEP_S)
    times_s = grid_s(MIDNIGHT_S, STEP_S, size)
    made = []
    for number in range(series):
        phase, swing = draws.uniform(0, 2 * np.pi), draws.uniform(0.2, 0.5)
        level = draws.uniform(50, 400)
        daily = 1 + swing * np.sin(2 * np.pi * times_s / 86_400 + phase)
        noise = np.zeros(size)
        steps = draws.normal(0, 0.04, size)
        for at in range(1, size):
            noise[at] = 0.85 * noise[at - 1] + steps[at]
        bursts = np.zeros(size)
        for start in np.flatnonzero(draws.random(size) < 0.004).tolist():
            shape = np.exp(-np.arange(24) / 6.0) * draws.uniform(0.2, 0.8)
            end = min(size, start + 24)
            bursts[start:end] += shape[: end - start]
        values = np.maximum(level * (daily + noise + bursts), 0.0)
        made.append(Series(f"generated_{number}", times_s, values))
    return data_set(NAME, STEP_S, HORIZONS_S, made, "generated here, not recorded")
