"""The hours before, beyond what the window holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.forecasting.features import features, names
from ml.forecasting.seasonal import Bins, SeasonalMemory, memory_of
from ml.series import Series
from ml.settings import Settings
from ml.windows import latest, rolling

STEP_S = 10.0
SETTINGS = Settings(metric="load", horizons_s=(60.0, 300.0), step_s=STEP_S)
SIZE = 4500  # twelve and a half hours


def hourly(seed: int = 1) -> Series:
    """A job at twenty past every hour for five minutes."""
    times = STEP_S * np.arange(1, SIZE + 1, dtype=np.float64)
    minute = (times % 3600) / 60
    load = np.where((minute >= 20) & (minute < 25), 200.0, 100.0)
    return Series("m", times, load + np.random.default_rng(seed).normal(0, 1, SIZE))


def test_a_job_of_every_hour_is_foreseen_from_a_window_of_twenty_minutes() -> None:
    whole = hourly()
    at = int(np.flatnonzero(whole.times_s == 10 * 3600 + 18 * 60)[0])
    windows = rolling(whole, SETTINGS.lookback_steps, np.array([at]))
    made = features(windows, memory_of([whole], STEP_S), SETTINGS)
    told = dict(zip(names(SETTINGS), made.inputs[:, 0].T, strict=True))
    assert abs(told["hours_change"][0]) < 20, "a minute on, the job has not begun"
    assert told["hours_change"][1] > 50, "five minutes on, it has"
    assert told["hour_change"][1] > 50


@hypothesis_settings(max_examples=20, deadline=None)
@given(end=st.integers(2200, SIZE - 1), seed=st.integers(0, 50))
def test_a_memory_that_grew_sample_by_sample_tells_the_same_as_that_of_the_whole_history(
    end: int, seed: int
) -> None:
    whole = hourly(seed)
    size = SETTINGS.lookback_steps
    trained = features(
        rolling(whole, size, np.array([end])), memory_of([whole], STEP_S), SETTINGS
    ).inputs
    memory = SeasonalMemory(STEP_S)
    known = whole.until(float(whole.times_s[end]))
    memory.observe(known.until(float(known.times_s[-50])))
    for one in known.times_s[-50:]:
        memory.observe_all([known.until(float(one))])
    served = features(latest([known], size, STEP_S), memory, SETTINGS).inputs
    np.testing.assert_allclose(served, trained, rtol=1e-7, atol=2e-6)


def test_the_bin_that_holds_the_moment_is_not_among_those_before_it() -> None:
    bins = Bins(60.0)
    times = np.arange(0.0, 600.0, 10.0)
    bins.observe(Series("a", times, np.floor(times / 60.0)))
    asked = np.array([330.0, 359.9])
    found = bins.before(("a", "a"), asked, 3)
    assert found.tolist() == [[4.0, 3.0, 2.0]] * 2
    assert np.isnan(bins.before(("b",), asked[:1], 3)).all()


def test_rows_are_looked_up_anew_when_targets_come_and_go() -> None:
    bins = Bins(60.0)
    targets = ("a", "b")
    times = np.arange(0.0, 600.0, 10.0)
    bins.observe(Series("a", times, np.ones(60)))
    now = np.array([500.0, 500.0])
    assert np.isnan(bins.before(targets, now, 1)[1, 0])
    bins.observe(Series("b", times, np.full(60, 2.0)))
    assert bins.before(targets, now, 1)[:, 0].tolist() == [1.0, 2.0]
    bins.forget(["a"])
    assert np.isnan(bins.before(targets, now, 1)[0, 0])
