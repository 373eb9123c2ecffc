"""The other metrics of a target: what they add, and that nothing of the future is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.forecasting.boosting import train
from ml.forecasting.features import features, fingerprint, names
from ml.forecasting.rolling import roll
from ml.forecasting.seasonal import SeasonalMemory, memory_of
from ml.series import MEAN_DURATION_S, NEW_PER_S, Floats, Series, companions, connections_series
from ml.settings import Settings
from ml.windows import latest, rolling, stacked

STEP_S = 60.0
SETTINGS = Settings(
    metric="cpu",
    horizons_s=(60.0, 300.0),
    step_s=STEP_S,
    companions=("memory", "network"),
    max_rows=6000,
    min_history_s=0.0,
)
SIZE = 4000


def machine(seed: int, gaps: float = 0.0) -> Series:
    """CPU that follows the network's traffic five steps later; the memory says nothing."""
    draws = np.random.default_rng(seed)
    times: Floats = STEP_S * np.arange(1, SIZE + 1, dtype=np.float64)
    traffic = 100 + np.convolve(draws.normal(0, 5, SIZE), 0.9 ** np.arange(30), "same")
    late = np.concatenate([traffic[:5], traffic[:-5]])
    cpu = np.maximum(late + draws.normal(0, 0.5, SIZE), 0.0)
    memory = 50 + draws.normal(0, 1, SIZE)
    memory[draws.random(SIZE) < gaps] = np.nan
    return Series("m", times, cpu, {"network": traffic, "memory": memory})


@hypothesis_settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 100),
    gaps=st.sampled_from([0.0, 0.3]),
    origin=st.integers(200, SIZE - 10),
)
def test_serving_sees_what_training_saw(seed: int, gaps: float, origin: int) -> None:
    whole = machine(seed, gaps)
    size = SETTINGS.lookback_steps
    made = features(
        rolling(whole, size, np.array([origin, origin + 3])), memory_of([whole], STEP_S), SETTINGS
    )
    memory = SeasonalMemory(STEP_S)
    now_s = float(whole.times_s[origin])
    memory.observe(whole.until(now_s))
    recent = whole.until(now_s).since(now_s - 2 * size * STEP_S)
    served = features(latest([recent], size, STEP_S), memory, SETTINGS)
    np.testing.assert_allclose(served.inputs[:, 0], made.inputs[:, 0], rtol=1e-7, atol=2e-6)


def test_what_a_companion_does_later_changes_no_input() -> None:
    whole = machine(1)
    changed = {name: one.copy() for name, one in whole.channels.items()}
    for one in changed.values():
        one[1001:] = 1e6
    other = Series("m", whole.times_s, whole.values, changed)
    made = [
        features(
            rolling(one, SETTINGS.lookback_steps, np.array([1000])),
            memory_of([one], STEP_S),
            SETTINGS,
        ).inputs
        for one in (whole, other)
    ]
    np.testing.assert_array_equal(made[0], made[1])


def test_a_target_without_a_companion_has_unknown_inputs_there_and_no_others() -> None:
    whole = machine(2)
    bare = Series("n", whole.times_s, whole.values, {"memory": whole.channels["memory"]})
    ends = np.array([1500])
    windows = stacked([rolling(one, SETTINGS.lookback_steps, ends) for one in (whole, bare)])
    made = features(windows, SeasonalMemory(STEP_S), SETTINGS).inputs[0]
    lacking = np.array([name.startswith("network_") for name in names(SETTINGS)])
    assert np.isfinite(made[0, lacking]).all()
    assert np.isnan(made[1, lacking]).all()
    np.testing.assert_array_equal(made[0, ~lacking], made[1, ~lacking])


def test_a_companion_that_leads_makes_forecasts_better_than_the_series_alone() -> None:
    whole = machine(3)
    split_s = float(whole.times_s[3000])
    error = {}
    for seen in ((), SETTINGS.companions):
        model = train([whole.until(split_s)], replace(SETTINGS, companions=seen))
        rolled = roll(model, [whole], split_s, float(whole.times_s[-10]))
        later = whole.values[3005 : 3005 + len(rolled.times_s)]
        middle = rolled.values[: len(later), 0, 1, SETTINGS.quantiles.index(0.5)]
        error[seen] = np.abs(later - middle).mean()
    assert error[SETTINGS.companions] < 0.5 * error[()]


def test_arrivals_and_durations_are_no_companions_for_the_queue_model_has_them() -> None:
    whole = machine(4)
    live = connections_series("r", whole.times_s, *(whole.values,) * 3)
    assert set(live.channels) == {NEW_PER_S, MEAN_DURATION_S}
    assert companions([live, whole]) == ("network", "memory")


def test_a_model_with_other_companions_is_another_model() -> None:
    assert fingerprint(SETTINGS) != fingerprint(replace(SETTINGS, companions=("memory",)))
