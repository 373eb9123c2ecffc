"""What every forecast promises, whichever model made it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml.forecasting.boosting import TrainedModel
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.series import Series, connections_series
from ml.settings import Settings as ModelSettings

HORIZONS_S = (5.0, 20.0, 60.0)
sample = st.one_of(st.just(float("nan")), st.floats(0, 1e5))


@st.composite
def histories(draw: st.DrawFn) -> Series:
    size = draw(st.integers(1, 150))
    gaps = draw(arrays(float, size, elements=st.sampled_from([0.8, 1.0, 1.0, 1.2, 3.0])))
    columns = [draw(arrays(float, size, elements=sample, fill=sample)) for _ in range(3)]
    return connections_series("r", 1e9 + np.cumsum(gaps), *columns)


def assert_sound(made: Forecast) -> None:
    assert np.isfinite(made.values).all()
    for row in made.values:
        assert row[0] >= 0
        assert all(low <= high for low, high in pairwise(row))
    assert len(made.values) == len(made.horizons_s)


@settings(max_examples=60, deadline=None)
@given(history=histories(), late_s=st.sampled_from([0.0, 0.4, 7.0]))
def test_quantiles_never_cross_nor_fall_below_zero_whatever_is_missing(
    trained: TrainedModel, history: Series, late_s: float
) -> None:
    now_s = float(history.times_s[-1]) + late_s
    cold, warm = (
        Forecaster(ModelSettings(horizons_s=HORIZONS_S)),
        Forecaster(ModelSettings(horizons_s=HORIZONS_S)),
    )
    warm.adopt(trained)
    recent = history.since(now_s - 100.0)
    for forecaster in (cold, warm):
        made = forecaster.predict([history], now_s)
        if np.isfinite(recent.values).any():
            assert_sound(made["r"])
        for one in made.values():
            assert_sound(one)


def test_a_model_serves_a_warm_target_and_the_cold_start_the_others(
    trained: TrainedModel, diurnal_history: list[Series]
) -> None:
    forecaster = Forecaster(ModelSettings(horizons_s=HORIZONS_S))
    forecaster.adopt(trained)
    whole = diurnal_history[0]
    now_s = float(whole.times_s[-1])
    new = connections_series("new", *(_tail(whole, 10)))
    first = connections_series("first", *(_tail(whole, 2)))
    stale = whole.until(now_s - 10.0)
    constant = np.full(100, 7.0)
    still = connections_series(
        "still", now_s - np.arange(99.0, -1, -1), constant, constant * 0, constant
    )
    made = forecaster.predict([whole, new, first, still], now_s)
    models = {target: one.model for target, one in made.items()}
    assert models == {
        "service0": "boosting",
        "new": "trend",
        "first": "persistence",
        "still": "trend",
    }
    assert forecaster.predict([stale], now_s)["service0"].model == "trend"


def test_a_target_without_recent_samples_has_no_forecast(diurnal_history: list[Series]) -> None:
    whole = diurnal_history[0]
    now_s = float(whole.times_s[-1]) + 500.0
    unknown = connections_series(
        "unknown", np.array([now_s]), *(np.full(1, np.nan) for _ in range(3))
    )
    empty = connections_series("empty", *(np.zeros(0) for _ in range(4)))
    assert Forecaster().predict([whole, unknown, empty], now_s) == {}
    assert Forecaster().predict([], now_s) == {}


def test_a_replay_does_not_see_the_future(
    trained: TrainedModel, diurnal_history: list[Series]
) -> None:
    forecaster = Forecaster(ModelSettings(horizons_s=HORIZONS_S))
    forecaster.adopt(trained)
    now_s = 1500.0
    known = [one.until(now_s) for one in diurnal_history]
    assert forecaster.predict(diurnal_history, now_s) == forecaster.predict(known, now_s)


def test_a_batch_gives_each_target_what_it_gets_alone(
    trained: TrainedModel, diurnal_history: list[Series]
) -> None:
    forecaster = Forecaster(ModelSettings(horizons_s=HORIZONS_S))
    forecaster.adopt(trained)
    together = forecaster.predict(diurnal_history, 2000.0)
    for one in diurnal_history:
        alone = forecaster.predict([one], 2000.0)[one.target]
        assert np.allclose(alone.values, together[one.target].values, rtol=1e-12)


def test_a_short_history_keeps_the_cold_start_model_and_says_why(
    diurnal_history: list[Series],
) -> None:
    forecaster = Forecaster(ModelSettings(min_history_s=1800.0))
    report = forecaster.fit([one.until(300.0) for one in diurnal_history])
    assert not report.accepted
    assert "below min_history_s (1800 s)" in report.reason
    assert forecaster.snapshot() is None


def test_a_model_for_other_horizons_is_refused(trained: TrainedModel) -> None:
    with pytest.raises(ValueError, match="other horizons"):
        Forecaster(ModelSettings(horizons_s=(5.0, 10.0))).adopt(trained)


@pytest.mark.parametrize(
    ("field", "value"),
    [("horizons_s", (20.0, 5.0)), ("quantiles", (0.5, 1.0)), ("step_s", 0.0), ("horizons_s", ())],
)
def test_settings_that_make_no_sense_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        ModelSettings(**{field: value})  # type: ignore[arg-type]


def _tail(series: Series, size: int) -> tuple[np.ndarray, ...]:
    return (
        series.times_s[-size:],
        series.values[-size:],
        series.channel("new_per_s")[-size:],
        series.channel("mean_duration_s")[-size:],
    )
