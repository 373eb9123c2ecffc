"""Every peer: what it forecasts, and that it never looks ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.evaluation.baselines.logistic import Logistic, last_known
from ml.evaluation.baselines.lstm import Lstm
from ml.evaluation.baselines.persistence import Persistence, PersistenceMargin
from ml.evaluation.baselines.seasonal import SeasonalNaive
from ml.evaluation.baselines.statistical import auto_arima, auto_ets
from ml.evaluation.boosted import Boosted
from ml.evaluation.dataset import QUANTILES, DataSet, data_set
from ml.evaluation.generated import generated
from ml.evaluation.peer import Absent, Peer
from ml.evaluation.splits import Origins, rolling_origins
from ml.series import Series

MEDIAN = QUANTILES.index(0.5)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return generated(days=4, series=2)


def asked(data: DataSet, rows: int) -> Origins:
    split = data.split
    every = rolling_origins(
        data.values, data.times_s, split.test_start_s, split.test_end_s, data.horizon_steps[-1]
    )
    return every.select(np.linspace(0, len(every) - 1, rows).astype(np.int64))


def peers() -> list[Peer]:
    return [
        Persistence(),
        PersistenceMargin(),
        SeasonalNaive(),
        auto_ets(),
        auto_arima(),
        Lstm(max_rounds=1),
        Boosted(),
    ]


@pytest.mark.parametrize("peer", peers(), ids=lambda peer: peer.name)
def test_a_forecast_depends_on_nothing_that_came_after_its_origin(
    data: DataSet, peer: Peer
) -> None:
    try:
        fitted = peer.fit(data, 0)
    except Absent as reason:
        pytest.skip(str(reason))
    origins = asked(data, 6)
    first = origins.select(origins.index == origins.index.min())
    future = int(first.index[0]) + 1
    changed = []
    for one in data.series:
        values = one.values.copy()
        values[future:] = 1e6
        changed.append(Series(one.target, one.times_s, values, one.channels))
    other = replace(data, series=tuple(changed))
    before, after = fitted.predict(data, first), fitted.predict(other, first)
    assert before.shape == (len(first), len(data.horizons_s), len(QUANTILES))
    assert np.array_equal(before, after)
    assert np.isfinite(before).all()
    assert (np.diff(before, axis=-1) >= 0).all()


@pytest.mark.parametrize("peer", peers(), ids=lambda peer: peer.name)
def test_fitting_sees_nothing_of_the_test_part(data: DataSet, peer: Peer) -> None:
    until = int(np.searchsorted(data.times_s, data.split.test_start_s))
    changed = []
    for one in data.series:
        values = one.values.copy()
        values[until:] *= 50
        changed.append(Series(one.target, one.times_s, values, one.channels))
    origins = asked(data, 3)
    try:
        fitted = [peer.fit(one, 0) for one in (data, replace(data, series=tuple(changed)))]
    except Absent as reason:
        pytest.skip(str(reason))
    assert np.array_equal(*(one.predict(data, origins) for one in fitted))


def test_persistence_keeps_the_last_value_and_its_band_holds_what_it_held_before(
    data: DataSet,
) -> None:
    origins = asked(data, 40)
    found = Persistence().fit(data, 0).predict(data, origins)
    last = data.values[origins.series, origins.index]
    assert np.allclose(found[:, :, MEDIAN], last[:, None])
    width = found[:, :, -1] - found[:, :, 0]
    assert (np.diff(width.mean(axis=0)) > 0).all()


def test_a_margin_grows_with_the_value_it_is_put_on(data: DataSet) -> None:
    origins = asked(data, 40)
    found = PersistenceMargin().fit(data, 0).predict(data, origins)
    last = data.values[origins.series, origins.index]
    for number in range(len(data.series)):
        share = (found[:, 0, -1] / last)[origins.series == number]
        assert np.allclose(share, share[0])
        assert share[0] > 1


def test_seasonal_naive_repeats_the_change_of_yesterday() -> None:
    times = 300.0 * np.arange(288 * 6)
    values = 100 + 10 * np.sin(2 * np.pi * times / 86_400) + times / 86_400
    daily = data_set("daily", 300, (300, 1800), [Series("a", times, values)], "here")
    origins = asked(daily, 20)
    found = SeasonalNaive().fit(daily, 0).predict(daily, origins)
    change = values[origins.index + 6] - values[origins.index]
    assert np.allclose(found[:, 1, MEDIAN] - values[origins.index], change, atol=1e-6)


def test_seasonal_naive_says_why_it_cannot_run_on_an_hour() -> None:
    times = 10.0 * np.arange(360)
    hour = data_set("hour", 10, (10, 60), [Series("a", times, np.sin(times) + 2)], "here")
    with pytest.raises(Absent, match="less than two days"):
        SeasonalNaive().fit(hour, 0)


def test_a_statistical_model_follows_a_straight_line() -> None:
    pytest.importorskip("statsforecast", reason="statsforecast is not installed")
    times = 300.0 * np.arange(2000)
    draws = np.random.default_rng(0)
    line = data_set(
        "line",
        300,
        (300, 1800),
        [Series("a", times, np.arange(2000.0) * 5 + draws.normal(0, 0.1, 2000))],
        "here",
    )
    origins = asked(line, 2)
    for peer in (auto_ets(), auto_arima()):
        found = peer.fit(line, 0).predict(line, origins)
        rise = found[:, 1, MEDIAN] - line.values[0, origins.index]
        assert np.allclose(rise, 30, atol=3), peer.name


def test_an_lstm_learns_a_rhythm_that_persistence_cannot_know() -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    times = 300.0 * np.arange(3000)
    values = 100 + 10 * np.sin(2 * np.pi * np.arange(3000) / 12)
    rhythm = data_set("rhythm", 300, (300, 900), [Series("a", times, values)], "here")
    origins = asked(rhythm, 60)
    found = Lstm(max_rounds=6).fit(rhythm, 0).predict(rhythm, origins)
    for at, steps in enumerate((1, 3)):
        came = values[origins.index + steps]
        still = np.abs(came - values[origins.index]).mean()
        assert np.abs(came - found[:, at, MEDIAN]).mean() < 0.3 * still


def test_a_logistic_regression_learns_that_little_room_means_a_breach(data: DataSet) -> None:
    split = data.split
    origins = rolling_origins(data.values, data.times_s, split.begin_s, split.train_end_s, 6)
    limits = np.quantile(data.values[:, : len(data.times_s) // 2], 0.9, axis=1)
    last = data.values[origins.series, origins.index]
    room = (limits[origins.series] - last) / data.scales()[origins.series]
    inputs = np.nan_to_num(room)[:, None]
    breached = data.values[origins.series, origins.index + 2] > limits[origins.series]
    probability = Logistic.fit(inputs, breached).probability(inputs)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert probability[breached].mean() > 2 * probability[~breached].mean()


def test_a_logistic_regression_that_saw_no_breach_expects_none() -> None:
    fitted = Logistic.fit(np.zeros((10, 3)), np.zeros(10, dtype=bool))
    assert fitted.probability(np.ones((4, 3))).tolist() == [0.0] * 4


def test_a_gap_is_filled_by_what_was_known_before_it() -> None:
    values = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0]])
    assert np.array_equal(last_known(values), [[np.nan, 1, 1, 1, 4]], equal_nan=True)
