"""A replay of a recorded history says what the forecaster would have said at every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.forecasting.boosting import train
from ml.forecasting.forecaster import Forecaster
from ml.forecasting.rolling import roll
from ml.series import Series
from ml.settings import Settings

SETTINGS = Settings(
    metric="load",
    horizons_s=(60.0, 300.0, 600.0),
    step_s=60.0,
    max_rows=2000,
    iterations=20,
    min_history_s=0.0,
)
SIZE = 4000


def loads() -> list[Series]:
    draws = np.random.default_rng(8)
    times = 60.0 * np.arange(1, SIZE + 1)
    made = []
    for number in range(3):
        wave = 100 + 40 * np.sin(2 * np.pi * times / 7200 + number)
        made.append(Series(f"t{number}", times, wave + draws.normal(0, 4, SIZE)))
    gappy = made[2].values.copy()
    gappy[draws.random(SIZE) < 0.1] = np.nan
    gappy[3300:3345] = np.nan
    return [made[0], made[1], Series("t2", times, gappy)]


@pytest.fixture(scope="module")
def history() -> list[Series]:
    return loads()


def test_a_replay_equals_the_forecaster_called_at_every_step(history: list[Series]) -> None:
    start = 3200
    start_s = float(history[0].times_s[start])
    model = train([one.until(start_s - 60.0) for one in history], SETTINGS)
    model = replace(model, report=replace(model.report, accepted=True))
    rolled = roll(model, history, start_s, start_s + 250 * 60.0)
    forecaster = Forecaster(SETTINGS)
    forecaster.adopt(model)
    forecaster.remember([one.until(start_s - 60.0) for one in history])
    compared = 0
    for step, now_s in enumerate(rolled.times_s):
        made = forecaster.predict(history, float(now_s))
        for column, one in enumerate(history):
            if not np.isfinite(one.values[start + step]):
                continue
            values = np.array(made[one.target].values)
            np.testing.assert_allclose(values, rolled.values[step, column], rtol=1e-6, atol=1e-6)
            compared += 1
    assert compared > 600
    assert rolled.boosted[:, :2].all()


def test_online_learning_keeps_the_bands_honest_when_the_noise_grows(
    history: list[Series],
) -> None:
    model = train([history[0].until(60.0 * 2000), history[1].until(60.0 * 2000)], SETTINGS)
    draws = np.random.default_rng(9)
    louder = [
        replace(
            one,
            values=one.values + np.where(one.times_s > 60.0 * 2000, draws.normal(0, 12, SIZE), 0.0),
        )
        for one in history[:2]
    ]
    rolled = roll(model, louder, 60.0 * 2001, 60.0 * 3900)
    later = np.stack([one.values[2001:3901] for one in louder], axis=1)
    held = (later >= rolled.values[: len(later), :, 0, 0]) & (
        later <= rolled.values[: len(later), :, 0, -1]
    )
    assert held[600:].mean() == pytest.approx(0.9, abs=0.03)


def test_series_on_different_grids_are_refused(history: list[Series]) -> None:
    model = train([one.until(60.0 * 2000) for one in history[:1]], SETTINGS)
    with pytest.raises(ValueError, match="resample"):
        roll(model, [history[0], history[1].since(600.0)], 0.0, 1e6)
