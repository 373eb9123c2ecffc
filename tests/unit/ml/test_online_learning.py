"""What a model learns from the outcomes of its forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from ml.forecasting.conformal import Conformal
from ml.forecasting.online import PATIENCE, Online, Priors
from ml.forecasting.outputs import Outputs

LEVELS = (0.05, 0.5, 0.95)


def outputs(median: float, reach: float = 1.0, rows: int = 1) -> Outputs:
    return Outputs(np.full((rows, 1), median), np.full((rows, 1), reach), np.full((rows, 1), reach))


def online(gain: float = 0.05, steps: int = 1) -> Online:
    scores = np.array([[-1.0, 0.0, 1.0]])
    gains = np.array([[gain, 0.0, gain]])
    return Online(LEVELS, Priors(scores, scores, np.ones(1), np.ones(1), gains), (steps,))


@pytest.mark.parametrize("spread", [0.2, 1.0, 5.0])
def test_a_band_that_is_wrong_becomes_one_that_holds_nine_of_ten(spread: float) -> None:
    draws = np.random.default_rng(3)
    tracker = Conformal(LEVELS, np.array([[-1.0, 0.0, 1.0]]), np.array([[0.05, 0.0, 0.05]]))
    tracker.grow(1)
    one = np.array([0])
    inside = []
    for outcome in draws.normal(0, spread, 6000):
        low, _, high = tracker.of(one, 0)[0]
        inside.append(low <= outcome <= high)
        tracker.learn(one, 0, np.array([outcome]))
    assert np.mean(inside[3000:]) == pytest.approx(0.9, abs=0.02)


def test_it_follows_when_the_noise_doubles_and_each_target_for_itself() -> None:
    draws = np.random.default_rng(4)
    tracker = Conformal(LEVELS, np.array([[-1.6, 0.0, 1.6]]), np.array([[0.1, 0.0, 0.1]]))
    tracker.grow(2)
    both = np.array([0, 1])
    for _ in range(3000):
        tracker.learn(both, 0, draws.normal(0, [1.0, 2.0]))
    calm, restless = tracker.scores(both)[:, 0]
    assert calm[2] == pytest.approx(1.64, abs=0.6)
    assert restless[2] == pytest.approx(3.3, abs=1.0)


def test_quantiles_made_from_scores_never_cross_and_scores_invert_them() -> None:
    made = Outputs(np.array([[10.0]]), np.array([[2.0]]), np.array([[5.0]]))
    levels = made.levels(np.array([-1.0, 0.0, 2.0]))
    assert levels.tolist() == [[[8.0, 10.0, 20.0]]]
    assert made.scores(np.array([[20.0]])) == 2.0
    assert made.scores(np.array([[8.0]])) == -1.0


def test_a_model_that_is_worse_than_persistence_gives_way_until_it_is_better_again() -> None:
    state = online(gain=0.0)
    index = state.index(["r"])
    bad, good, still = outputs(5.0), outputs(0.0), outputs(0.0)
    draws = np.random.default_rng(5)

    def live(made: Outputs, times: int) -> bool:
        for _ in range(times):
            outcome = draws.normal(0, 0.1, 1)
            state.learn(index, 0, made.horizon(0), outputs(0.3).horizon(0), outcome)
        return bool(state.serve(index, made, still)[1][0, 0])

    assert live(bad, int(PATIENCE) - 2), "a few outcomes prove nothing"
    assert not live(bad, 100)
    served, _ = state.serve(index, bad, still)
    assert abs(served[0, 0, 1]) < 0.1, "persistence serves"
    assert live(good, 2000)


def test_a_median_that_is_worse_than_the_last_value_gives_way_to_it_alone() -> None:
    state = online(gain=0.0)
    index = state.index(["r"])
    draws = np.random.default_rng(6)
    made = outputs(0.3, 1.0)
    wide = outputs(0.0, 20.0)  # persistence's median is right, its band far too wide
    for _ in range(200):
        state.learn(index, 0, made.horizon(0), wide.horizon(0), draws.normal(0, 0.5, 1))
    served, trusted = state.serve(index, made, wide)
    assert trusted[0, 0]
    assert served[0, 0].tolist() == [-0.7, 0.0, 1.3]


def test_unknown_outcomes_teach_nothing() -> None:
    state = online()
    index = state.index(["a", "b"])
    before = state.serve(index, outputs(0.0, rows=2), outputs(0.0, rows=2))[0]
    state.learn(
        index,
        0,
        outputs(0.0, rows=2).horizon(0),
        outputs(0.0, rows=2).horizon(0),
        np.array([np.nan, 3.0]),
    )
    after = state.serve(index, outputs(0.0, rows=2), outputs(0.0, rows=2))[0]
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).any()


def test_the_overlapping_outcomes_of_a_long_horizon_need_more_patience() -> None:
    near, far = online(gain=0.0), online(gain=0.0, steps=36)
    bad = outputs(5.0)
    for state in (near, far):
        index = state.index(["r"])
        for _ in range(300):
            state.learn(index, 0, bad.horizon(0), outputs(0.3).horizon(0), np.zeros(1))
    assert not near.serve(index, bad, outputs(0.0))[1][0, 0]
    assert far.serve(index, bad, outputs(0.0))[1][0, 0], "300 outcomes are eight horizons"
    for _ in range(100):
        far.learn(index, 0, bad.horizon(0), outputs(0.3).horizon(0), np.zeros(1))
    assert not far.serve(index, bad, outputs(0.0))[1][0, 0]
