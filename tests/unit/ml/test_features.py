"""The inputs of a model: the same in training and in serving, and nothing of the future in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.calendars.events import PlannedEvent
from ml.forecasting import clock
from ml.forecasting.examples import examples
from ml.forecasting.features import features, fingerprint, names
from ml.forecasting.seasonal import DAY_S, SeasonalMemory, memory_of
from ml.series import Series
from ml.settings import Settings
from ml.windows import latest, rolling

STEP_S = 300.0
SETTINGS = Settings(metric="cpu", horizons_s=(300.0, 900.0, 3600.0), step_s=STEP_S)
DAYS = 9


def load(seed: int, gaps: float = 0.0, target: str = "vm") -> Series:
    """Nine days of a daily wave with noise, some samples missing."""
    draws = np.random.default_rng(seed)
    size = int(DAYS * DAY_S / STEP_S)
    times = STEP_S * np.arange(1, size + 1)
    wave = 50 + 20 * np.sin(2 * np.pi * times / DAY_S)
    values = np.maximum(wave + draws.normal(0, 2, size), 0)
    values[draws.random(size) < gaps] = np.nan
    return Series(target, times, values)


def alone(series: Series, now_s: float, settings: Settings) -> np.ndarray:
    """What serving sees at a moment: the memory has grown sample by sample, the window is short."""
    memory = SeasonalMemory(settings.step_s)
    known = series.until(now_s)
    for end in range(len(known) - 40, len(known) + 1):
        memory.observe(known.until(float(known.times_s[end - 1])))
    recent = known.since(now_s - 2 * settings.lookback_steps * settings.step_s)
    made = features(latest([recent], settings.lookback_steps, settings.step_s), memory, settings)
    return made.inputs[:, 0]


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), gaps=st.sampled_from([0.0, 0.2]), data=st.data())
def test_a_row_has_the_same_inputs_among_thousands_in_training_as_alone_in_serving(
    seed: int, gaps: float, data: st.DataObject
) -> None:
    event = PlannedEvent("sale", 3 * DAY_S, 3.2 * DAY_S, ("vm",), 2.0)
    settings = replace(SETTINGS, calendar=(event,))
    whole = load(seed, gaps)
    known = np.flatnonzero(np.isfinite(whole.values))
    some = data.draw(st.lists(st.sampled_from(known[130:].tolist()), min_size=1, max_size=3))
    memory = memory_of([whole], STEP_S)
    together = features(rolling(whole, settings.lookback_steps, np.array(some)), memory, settings)
    assert together.inputs.shape == (3, len(some), len(names(settings)))
    for row, origin in enumerate(some):
        served = alone(whole, float(whole.times_s[origin]), settings)
        np.testing.assert_allclose(served, together.inputs[:, row], rtol=1e-7, atol=2e-6)


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), origin=st.integers(130, int(DAYS * DAY_S / STEP_S) - 20))
def test_what_comes_later_changes_no_input(seed: int, origin: int) -> None:
    whole = load(seed)
    other = whole.values.copy()
    other[origin + 1 :] = np.random.default_rng(seed).uniform(0, 1e6, len(other) - origin - 1)
    changed = Series("vm", whole.times_s, other)
    made = [
        features(
            rolling(one, SETTINGS.lookback_steps, np.array([origin])),
            memory_of([one], STEP_S),
            SETTINGS,
        ).inputs
        for one in (whole, changed)
    ]
    np.testing.assert_array_equal(made[0], made[1])


def test_a_load_ten_times_as_high_has_the_same_inputs() -> None:
    whole = load(1)
    scaled = Series("vm", whole.times_s, 10 * whole.values)
    origins = np.array([500, 900, 2000])
    made = [
        features(rolling(one, SETTINGS.lookback_steps, origins), memory_of([one], STEP_S), SETTINGS)
        for one in (whole, scaled)
    ]
    np.testing.assert_allclose(made[0].inputs, made[1].inputs, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(10 * made[0].unit, made[1].unit)


def test_yesterdays_rise_at_the_same_hour_is_an_input() -> None:
    times = STEP_S * np.arange(1, int(3 * DAY_S / STEP_S) + 1)
    hour = (times % DAY_S) / 3600.0
    values = np.where((hour >= 12) & (hour < 14), 200.0, 100.0) + np.arange(len(times)) % 2
    series = Series("vm", times, values)
    noon = int(np.flatnonzero(np.isclose(times, 2 * DAY_S + 12 * 3600.0 - 600.0))[0])
    made = features(
        rolling(series, SETTINGS.lookback_steps, np.array([noon])),
        memory_of([series], STEP_S),
        SETTINGS,
    )
    change = made.inputs[:, 0, names(SETTINGS).index("yesterday_change")]
    assert abs(change[0]) < 5, "five minutes on, it is still before noon"
    assert change[1] > 20, "a quarter of an hour on, it was twice as high"


def test_a_live_connections_model_takes_the_queue_model_as_its_base() -> None:
    size = 200
    times = np.arange(1.0, size + 1)
    channels = {"new_per_s": np.full(size, 10.0), "mean_duration_s": np.full(size, 20.0)}
    count = 100.0 + np.arange(size) % 2
    series = Series("r", times, count, channels)
    settings = Settings(horizons_s=(10.0, 60.0))
    windows = latest([series], settings.lookback_steps, 1.0)
    queue = features(windows, SeasonalMemory(1.0), settings)
    assert queue.base[0, 1] > 105, "arrivals times duration is 200: the count will rise"
    plain = features(windows, SeasonalMemory(1.0), replace(settings, metric="sessions"))
    np.testing.assert_array_equal(plain.base[0], [count[-1]] * 2)
    assert "trend_change" in names(settings)
    assert "trend_change" not in names(replace(settings, metric="sessions"))
    assert fingerprint(settings) != fingerprint(replace(settings, metric="sessions"))


def test_a_value_that_never_changes_is_not_for_a_model() -> None:
    still = Series("vm", STEP_S * np.arange(1.0, 301.0), np.full(300, 7.0))
    made = features(
        latest([still], SETTINGS.lookback_steps, STEP_S), SeasonalMemory(STEP_S), SETTINGS
    )
    assert not made.usable[0]


@pytest.mark.parametrize("rows", [50, 10_000])
def test_training_examples_hold_the_outcomes_up_to_the_split_and_none_after(rows: int) -> None:
    series = [load(1, target="a"), load(2, 0.1, target="b")]
    end_s = 5 * DAY_S
    made = examples(series, memory_of(series, STEP_S), SETTINGS, DAY_S, end_s, rows)
    assert made is not None
    assert len(made) <= rows + 2
    assert (made.windows.times_s >= DAY_S).all()
    late = made.windows.times_s[:, None] + np.asarray(SETTINGS.horizons_s) >= end_s
    assert np.isnan(made.later[late]).all()
    assert np.isfinite(made.later[:, 0]).mean() > 0.85


def test_an_announced_event_of_unknown_size_is_told_from_none_and_from_one_far_ahead() -> None:
    whole = load(1)
    now_s = float(whole.times_s[1500])
    soon = PlannedEvent("fair", now_s + 600.0, now_s + 3000.0, ("vm",))
    far = PlannedEvent("fair", now_s + 8 * DAY_S, now_s + 9 * DAY_S, ("vm",))
    columns = [names(SETTINGS).index(name) for name in ("event_wait", "event_on", "event_on_then")]
    seen = {}
    for name, calendar in (("none", ()), ("soon", (soon,)), ("far", (far,))):
        windows = rolling(whole, SETTINGS.lookback_steps, np.array([1500, 1504]))
        made = features(windows, memory_of([whole], STEP_S), replace(SETTINGS, calendar=calendar))
        seen[name] = made.inputs[:, :, columns]
    np.testing.assert_array_equal(seen["none"], seen["far"])
    before, during = seen["soon"][:, 0], seen["soon"][:, 1]
    np.testing.assert_array_equal(before[:, 0], 600.0)
    np.testing.assert_array_equal(before[:, 1], 0.0)
    np.testing.assert_array_equal(before[:, 2], [0.0, 1.0, 0.0])  # 5, 15 and 60 minutes on
    np.testing.assert_array_equal(during[:, 1], 1.0)
    assert (seen["none"][:, :, 1:] == 0.0).all()


@pytest.mark.parametrize(
    ("days", "unheard"), [(30, set()), (9, {"weekday"}), (1.5, {"weekday", "day_phase"})]
)
def test_a_phase_that_has_not_come_twice_is_no_input_of_a_model(
    days: float, unheard: set[str]
) -> None:
    found = set(clock.unheard(STEP_S, days * DAY_S))
    assert found >= unheard
    assert "hour_phase" not in found
    assert found <= set(clock.names(STEP_S))
    assert ("weekday" in found) == ("weekday" in unheard)
    assert ("day_phase" in found) == ("day_phase" in unheard)
