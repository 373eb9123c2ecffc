"""The trained model: worth its training, reproducible, the same wherever it was trained."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from ml import simulate
from ml.breaches.breach import breach
from ml.forecasting.boosting import TrainedModel, train
from ml.forecasting.features import features
from ml.forecasting.forecaster import Forecaster
from ml.forecasting.seasonal import SeasonalMemory
from ml.score import coverage_pct, pinball
from ml.series import Series, connections_series
from ml.settings import Settings
from ml.windows import Windows, rolling


def unseen(settings: Settings) -> tuple[Windows, np.ndarray]:
    """Another run of the same kind of day: windows and later counts, (rows, horizons)."""
    rate = simulate.diurnal(40, 0.5, 900, phase_s=40.0)
    series = simulate.connections(rate, 1800, 6.0, 99, start_s=3600.0)
    origins = np.arange(130, 1700, 7)
    later = np.stack([series.values[origins + steps] for steps in settings.horizon_steps], axis=1)
    return rolling(series, settings.lookback_steps, origins), later


def test_boosting_beats_persistence_with_its_best_spread_on_an_unseen_day(
    trained: TrainedModel, settings: Settings
) -> None:
    windows, later = unseen(settings)
    boosted = trained.predict(features(windows, SeasonalMemory(settings.step_s), settings))
    last = windows.values[:, -1:]
    errors = np.quantile(later - last, settings.quantiles, axis=0).T  # known to persistence only
    persistence = last[:, :, None] + errors[None]
    ours = pinball(later, boosted, settings.quantiles).mean(axis=0)
    theirs = pinball(later, persistence, settings.quantiles).mean(axis=0)
    assert (ours < theirs).all(), f"{ours} against {theirs}"
    assert ours.sum() < 0.8 * theirs.sum()


def test_its_ninety_percent_band_holds_about_ninety_percent_of_an_unseen_day(
    trained: TrainedModel, settings: Settings
) -> None:
    windows, later = unseen(settings)
    boosted = trained.predict(features(windows, SeasonalMemory(settings.step_s), settings))
    assert 83 <= coverage_pct(later, boosted[:, :, 0], boosted[:, :, -1]) <= 96


def test_the_report_says_that_it_beat_both_simple_models(trained: TrainedModel) -> None:
    report = trained.report
    assert report.accepted
    assert report.pinball_boosting < report.pinball_trend
    assert report.pinball_boosting < report.pinball_persistence
    assert report.samples == 3 * 3600
    assert report.trained_until_s == 3600.0


def test_the_first_ramp_after_a_calm_history_is_still_predicted(
    settings: Settings,
) -> None:
    calm = [
        simulate.connections(simulate.diurnal(30, 0.2, 900, 300.0 * seed), 1800, 6.0, seed)
        for seed in range(2)
    ]
    model = train([replace_target(one, f"r{i}") for i, one in enumerate(calm)], settings)
    forecaster = Forecaster(settings)
    forecaster.adopt(replace(model, report=replace(model.report, accepted=True)))
    for seed in range(4):
        ramp = simulate.connections(simulate.ramp(20, 60, 90, 40), 170, 6.0, seed)
        before = forecaster.predict([ramp], float(ramp.times_s[80]))["router"]
        assert before.model == "boosting"
        crossing = int(np.argmax(ramp.values > 300))
        made = forecaster.predict([ramp], float(ramp.times_s[crossing - 5]))["router"]
        assert made.model == "trend", "training never saw such a rise"
        assert breach(made, 300).probability >= 0.5


def test_the_same_seed_gives_the_same_model_in_another_process(
    trained: TrainedModel, diurnal_history: list[Series], settings: Settings
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        elsewhere = pool.submit(train, diurnal_history, settings, 1).result()
    assert replace(elsewhere.report, seconds=0.0) == replace(trained.report, seconds=0.0)
    here, there = Forecaster(settings), Forecaster(settings)
    here.adopt(trained)
    there.adopt(elsewhere)
    assert here.predict(diurnal_history, 2500.0) == there.predict(diurnal_history, 2500.0)


def test_a_history_without_rates_and_durations_can_be_learned_from(settings: Settings) -> None:
    whole = simulate.connections(simulate.diurnal(40, 0.5, 600), 3600, 6.0, 4)
    nothing = np.full(len(whole), np.nan)
    bare = connections_series("bare", whole.times_s, whole.values, nothing, nothing)
    model = train([bare], settings)
    assert model.forests
    assert model.report.pinball_boosting < model.report.pinball_persistence


def test_a_dead_flat_history_trains_nothing_and_says_so(settings: Settings) -> None:
    constant = np.full(1800, 5.0)
    series = connections_series("idle", np.arange(1800.0), constant, constant * 0, constant)
    model = train([series], settings)
    assert not model.report.accepted
    assert "usable samples" in model.report.reason


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_loss_is_least_at_the_quantile(level: float) -> None:
    actual = np.random.default_rng(0).normal(size=4001)
    best = np.quantile(actual, level)
    losses = [
        float(pinball(actual, np.full((4001, 1), best + shift), [level]).mean())
        for shift in (-0.3, 0.0, 0.3)
    ]
    assert losses[1] == min(losses)


def replace_target(series: Series, target: str) -> Series:
    return Series(target, series.times_s, series.values, series.channels)


def test_levels_come_from_all_that_the_judged_model_had_not_seen() -> None:
    """Also from the hold-out: here leaps come in it alone."""
    step_s, size = 60.0, 4000
    settings = Settings(metric="load", horizons_s=(60.0,), step_s=step_s, min_history_s=0.0)
    times_s = step_s * np.arange(size)
    draws = np.random.default_rng(3)
    calm = 500.0 + draws.normal(0.0, 1.0, size)
    leaps = calm.copy()
    late = np.flatnonzero(draws.random(size) < 0.1)
    leaps[late[late > 0.89 * size]] += 60.0
    reach = [
        train([Series("a", times_s, values)], settings).priors.scores[0, -1]
        for values in (calm, leaps)
    ]
    assert reach[1] > 1.5 * reach[0]
