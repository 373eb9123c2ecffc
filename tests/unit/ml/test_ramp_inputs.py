"""What the detector of ramps sees."""

from __future__ import annotations

import numpy as np
import pytest

from ml.breaches.crossing_inputs import NAMES
from ml.breaches.ramp import detector_inputs, fit_ramp
from ml.breaches.ramp_inputs import COLUMNS, ramp_inputs
from ml.series import Series

STEP_S, HORIZON, DAY = 300.0, 6, 288


def noisy(seed: int, days: int = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    steps = np.arange(days * DAY)
    return 100 + 10 * np.sin(2 * np.pi * steps / DAY) + random.normal(0, 2, len(steps))


def test_a_row_sees_nothing_after_its_own_end() -> None:
    values = noisy(1)
    values[700:720] = np.nan
    ends = np.array([300, 730, 1500])
    whole = ramp_inputs(values, ends, 130.0, HORIZON, STEP_S)
    for row, end in enumerate(ends.tolist()):
        alone = ramp_inputs(values[: end + 1], np.array([end]), 130.0, HORIZON, STEP_S)
        np.testing.assert_allclose(whole[row], alone[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("column", "expected"), [("rise_4_highest", 0.0), ("way_from_highest_3", 0.1)]
)
def test_a_ramp_rises_as_no_day_before_it_did(column: str, expected: float) -> None:
    values = noisy(3)
    before = 4 * DAY + DAY // 4  # at the day's height
    values[before:] += np.minimum(np.arange(len(values) - before) * 5.0, 30.0)
    limit = float(values[before - DAY : before].max()) + 40.0
    index = [name for name, _ in COLUMNS].index(column)
    calm, ramp = ramp_inputs(values, np.array([before - 1, before + 5]), limit, HORIZON, STEP_S)
    assert calm[index] <= expected < ramp[index]


def test_a_short_history_is_no_obstacle() -> None:
    inputs = ramp_inputs(noisy(4)[:3], np.array([0, 2]), 130.0, HORIZON, STEP_S)
    assert inputs.shape == (2, len(COLUMNS))
    assert ramp_inputs(noisy(4), np.array([], dtype=np.int64), 130.0, HORIZON, STEP_S).size == 0


def test_the_detector_tells_ramps_from_calm_days() -> None:
    rows, crossed = [], []
    for seed in range(30):
        values = noisy(seed, 2)
        limit = float(values[:400].max()) + 8.0
        times_s = 1_700_006_400.0 + STEP_S * np.arange(len(values), dtype=np.float64)
        ramp = values.copy()
        ramp[400:] += np.arange(len(ramp) - 400) * 3.0
        ends = np.array([402, 403, 404, 405])
        for one, label in ((values, False), (ramp, True)):
            rows.append(detector_inputs(Series("s", times_s, one), ends, limit, HORIZON, STEP_S))
            crossed.append(np.full(len(ends), label))
    inputs, labels = np.concatenate(rows), np.concatenate(crossed)
    assert inputs.shape[1] == len(NAMES) + len(COLUMNS)
    model = fit_ramp(inputs[:160], labels[:160])
    unseen = model.raw(inputs[160:])
    assert unseen[labels[160:]].min() > unseen[~labels[160:]].mean()
    assert unseen[labels[160:]].mean() > 2 * unseen[~labels[160:]].mean()
