"""The cold-start model: what it warns of, and what leaves it calm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ml import simulate
from ml.breaches.breach import Breach, breach
from ml.calendars.events import PlannedEvent
from ml.forecasting.cold_backtest import THRESHOLD, backtest, simulated
from ml.forecasting.forecaster import Forecaster
from ml.series import Series, connections_series
from ml.settings import Settings

CAPACITY = 300.0


def breaches(series: Series, threshold: float, first: int, last: int) -> Iterator[Breach]:
    """What the forecaster says each second, seeing only what was known then."""
    forecaster = Forecaster()
    for index in range(first, last):
        now_s = float(series.times_s[index])
        made = forecaster.predict([series], now_s)[series.target]
        assert made.model == "trend"
        yield breach(made, threshold)


@pytest.mark.parametrize("seed", range(5))
def test_a_ramp_is_predicted_at_least_five_seconds_ahead(seed: int) -> None:
    series = simulate.connections(simulate.ramp(20, 60, 60, 40), 140, 6.0, seed)
    crossing = int(np.argmax(series.values > CAPACITY))
    assert series.values[crossing] > CAPACITY
    warned = next(
        index
        for index, found in enumerate(breaches(series, CAPACITY, 30, crossing), start=30)
        if found.probability >= 0.5
    )
    assert 60 <= warned <= crossing - 5, "not before the ramp begins, and not too late"


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_load_at_sixty_percent_of_the_threshold_raises_nothing(seed: int) -> None:
    threshold = 240.0
    series = simulate.connections(simulate.flat(0.6 * threshold / 6.0), 240, 6.0, seed)
    assert max(found.probability for found in breaches(series, threshold, 10, 240)) < 0.5


STEEP = simulate.ramp(6, 35, 60, 12)  # seven times the arrivals in one and a half durations


@pytest.mark.parametrize(("spread", "lead_s"), [(None, 8.0), (0.25, 5.8)])
def test_the_onset_of_a_steep_rise_is_seen_within_seconds(
    spread: float | None, lead_s: float
) -> None:
    found = backtest(simulated(STEEP, 75, 24, spread), THRESHOLD, first=50)
    assert found.leads_s(60, THRESHOLD).mean() >= lead_s
    assert not found.warned[:, :60].any(), "not before it begins"


def test_while_count_and_arrivals_clearly_rise_the_median_is_above_the_count() -> None:
    series = simulated(STEEP, 75, 24, 0.25)
    found = backtest(series, THRESHOLD, first=60)
    cases = 0
    for row, one in enumerate(series):
        for now in range(60, 75):
            newly = one.channel("new_per_s")[now - 2 : now + 1].mean()
            before = one.channel("new_per_s")[now - 8 : now - 2].mean()
            if one.values[now] > 1.2 * one.values[now - 5] and newly > 1.5 * before:
                cases += 1
                assert found.median_10s[row, now] > one.values[now]
    assert cases > 100


def test_chance_on_a_flat_load_at_seventy_percent_alarms_less_than_once_in_ten_minutes() -> None:
    rate = simulate.flat(0.7 * THRESHOLD / 8.0)
    found = backtest(simulated(rate, 200, 24), THRESHOLD)
    assert found.alarms[0] <= 7  # of 24 runs of three minutes


def test_fewer_arrivals_than_the_count_can_live_on_bring_the_count_down() -> None:
    size = 60
    series = connections_series(
        "r",
        np.arange(size, dtype=float),
        np.full(size, 120.0),
        np.full(size, 20.0),
        np.full(size, 6.0),
    )
    falling = connections_series(
        "r",
        series.times_s,
        series.values,
        series.channel("new_per_s").copy(),
        series.channel("mean_duration_s"),
    )
    falling.channel("new_per_s")[-5:] = 5.0
    forecaster = Forecaster()
    steady = forecaster.predict([series], 59.0)["r"]
    after = forecaster.predict([falling], 59.0)["r"]
    assert steady.at(60, 0.5) == pytest.approx(120, rel=0.05)
    assert after.at(20, 0.5) < 100


def test_without_rates_the_count_s_own_trend_is_followed_and_damped() -> None:
    times = np.arange(60, dtype=float)
    nothing = np.full(60, np.nan)
    series = connections_series("r", times, 100 + 2 * times, nothing, nothing)
    made = Forecaster().predict([series], 59.0)["r"]
    assert made.model == "trend"
    assert 218 + 5 < made.at(5, 0.5) < 218 + 11
    assert made.at(120, 0.5) < 218 + 240 / 2


def test_connections_that_never_close_only_add_up() -> None:
    times = np.arange(150, dtype=float)
    series = connections_series("r", times, 10 * times, np.full(150, 10.0), np.full(150, np.nan))
    assert Forecaster().predict([series], 149.0)["r"].at(30, 0.5) == pytest.approx(1790, rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_filling_up_from_empty_is_not_taken_for_endless_growth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrivals = rng.poisson(20.0, 40).astype(float)  # each connection lives exactly six seconds
    count = np.convolve(arrivals, np.ones(6))[:40]
    duration = np.where(np.arange(40) >= 6, 6.0, np.nan)
    series = connections_series("r", np.arange(40.0), count, arrivals, duration)
    found = list(breaches(series, CAPACITY, 4, 40))
    assert max(one.probability for one in found) < 0.5


def test_a_planned_event_lifts_the_forecast_from_its_start_on_its_targets_only() -> None:
    series = [simulate.connections(simulate.flat(20), 90, 6.0, 1, target=name) for name in "ab"]
    event = PlannedEvent("launch", 115.0, 400.0, ("a",), 3.0)
    plain = Forecaster().predict(series, 90.0)
    planned = Forecaster(Settings(calendar=(event,))).predict(series, 90.0)
    assert planned["b"] == plain["b"]
    assert planned["a"].at(20, 0.5) == pytest.approx(plain["a"].at(20, 0.5))
    assert planned["a"].at(60, 0.5) > 2 * plain["a"].at(60, 0.5)


def test_a_single_corrupt_rate_hardly_moves_the_forecast() -> None:
    clean = simulate.connections(simulate.flat(20), 90, 6.0, 1)
    dirty = connections_series(
        "r",
        clean.times_s,
        clean.values,
        clean.channel("new_per_s").copy(),
        clean.channel("mean_duration_s"),
    )
    dirty.channel("new_per_s")[80] = 5000.0
    now_s = float(clean.times_s[-1])
    expected = Forecaster().predict([clean], now_s)["router"].at(20, 0.5)
    assert Forecaster().predict([dirty], now_s)["r"].at(20, 0.5) == pytest.approx(
        expected, rel=0.15
    )
