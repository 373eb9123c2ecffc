"""The direct classifier: what it sees, and what it has learnt."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ml import simulate
from ml.breaches.claims import watch
from ml.breaches.crossing import CrossingModel, fit_crossing
from ml.breaches.crossing_channels import COLUMNS, channel_inputs, recorded
from ml.breaches.crossing_inputs import crossing_inputs

STEP_S, HORIZON = 300.0, 6


def wave(seed: int, days: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Daily cycles with noise; times are Unix seconds."""
    random = np.random.default_rng(seed)
    times_s = 1_700_006_400.0 + STEP_S * np.arange(days * 288)
    noise = np.convolve(random.normal(0, 1.5, len(times_s) + 11), np.ones(12) / 4, "valid")
    return times_s, 100 + 30 * np.sin(2 * np.pi * times_s / 86_400) + noise


def rows(seed: int, limit: float) -> tuple[np.ndarray, np.ndarray]:
    times_s, values = wave(seed)
    watched = watch(0, values, limit, HORIZON, STEP_S, 288, len(values))
    ends = 288 + np.flatnonzero(watched.below & watched.judged)
    inputs = crossing_inputs(values, times_s, ends, limit, HORIZON, STEP_S)
    return inputs, watched.crosses[ends - 288]


@pytest.fixture(scope="module")
def model() -> CrossingModel:
    parts = [rows(seed, limit) for seed in (1, 2) for limit in (115.0, 124.0)]
    return fit_crossing(
        np.concatenate([inputs for inputs, _ in parts]),
        np.concatenate([crossed for _, crossed in parts]),
    )


def test_a_row_sees_nothing_after_its_own_end() -> None:
    times_s, values = wave(3)
    ends = np.array([400, 900, 2200])
    whole = crossing_inputs(values, times_s, ends, 120.0, HORIZON, STEP_S)
    for row, end in enumerate(ends.tolist()):
        until = crossing_inputs(
            values[: end + 1], times_s[: end + 1], np.array([end]), 120.0, HORIZON, STEP_S
        )
        np.testing.assert_array_equal(whole[row], until[0])


def test_it_tells_crossings_it_has_not_seen(model: CrossingModel) -> None:
    inputs, crossed = rows(9, 124.0)
    probability = model.raw(inputs)
    assert probability[crossed].mean() > 5 * probability[~crossed].mean()


def test_a_higher_limit_is_never_likelier_to_be_crossed_for_the_trees(model: CrossingModel) -> None:
    times_s, values = wave(5)
    ends = np.arange(600, 2300, 25)
    risks = [
        model.trees[0].decision_function(
            crossing_inputs(values, times_s, ends, limit, HORIZON, STEP_S)[:, model.tree_columns[0]]
        )
        for limit in (116.0, 120.0, 125.0, 140.0)
    ]
    assert all((left >= right - 1e-9).all() for left, right in pairwise(risks))


def test_missing_samples_and_a_short_history_are_no_obstacle(model: CrossingModel) -> None:
    times_s, values = wave(6)
    values[350:380:2] = np.nan
    inputs = crossing_inputs(
        values[300:400], times_s[300:400], np.array([99]), 120.0, HORIZON, STEP_S
    )
    assert 0.0 <= float(model.probability(inputs)[0]) <= 1.0


def test_recalibrated_probabilities_mean_what_they_say(model: CrossingModel) -> None:
    parts = [rows(seed, 122.0) for seed in (11, 12)]
    fitted = model.recalibrated(
        np.concatenate([inputs for inputs, _ in parts]),
        np.concatenate([crossed for _, crossed in parts]),
    )
    inputs, crossed = rows(13, 122.0)
    assert fitted.probability(inputs).mean() == pytest.approx(crossed.mean(), abs=0.02)


def test_the_same_seed_gives_the_same_model(model: CrossingModel) -> None:
    inputs, crossed = rows(1, 120.0)
    first, second = fit_crossing(inputs, crossed, 3), fit_crossing(inputs, crossed, 3)
    np.testing.assert_array_equal(first.raw(inputs[:50]), second.raw(inputs[:50]))


def test_too_few_crossings_are_refused_with_a_remedy() -> None:
    inputs, crossed = rows(1, 122.0)
    with pytest.raises(ValueError, match="lower limits"):
        fit_crossing(inputs[~crossed], crossed[~crossed])


def test_arrivals_tell_where_the_count_is_going_before_it_goes_there() -> None:
    series = simulate.connections(simulate.step(8.0, 20.0, 200.0), 206.0, 8.0, 1)
    assert recorded(series)
    before, after = channel_inputs(series, np.array([195, 205]), 120.0, 30, 1.0)
    nearest = [name for name, _ in COLUMNS].index("equilibrium_3")
    assert after[nearest] < before[nearest]
    until = channel_inputs(
        series.until(float(series.times_s[195])), np.array([195]), 120.0, 30, 1.0
    )
    np.testing.assert_allclose(until[0], before)


def test_what_came_one_duration_ago_closes_next() -> None:
    """A burst that is over is still in the count; the queue knows that it will leave."""
    names = [name for name, _ in COLUMNS]

    def burst(seconds: np.ndarray) -> np.ndarray:
        return np.where((seconds >= 190) & (seconds < 195), 30.0, 10.0)

    series = simulate.connections(burst, 201.0, 8.0, 2, duration_spread=0.1)
    rising, ending = channel_inputs(series, np.array([194, 200]), 200.0, 30, 1.0)
    half = names.index("closing_0.5_2")
    room = names.index("room")
    assert rising[half] < rising[room], "more will come than close"
    assert ending[half] > ending[room], "more will close than come"
