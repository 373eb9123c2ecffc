"""Losses per cell, coverage by day, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation.bootstrap import interval, resampled_means
from ml.evaluation.losses import (
    cell_means,
    geometric_mean,
    losses,
    mean_losses,
    worst_day_coverage_pct,
)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def test_errors_are_told_in_units_of_the_series_scale() -> None:
    outcome = np.array([[10.0], [1.0]])
    predicted = np.array([[[6.0, 7, 8, 9, 10]], [[1.0, 1, 1, 1, 1]]])
    found = losses(outcome, predicted, np.array([4.0, 1.0]), LEVELS)
    assert found.absolute.tolist() == [[0.5], [0.0]]
    by_hand = (0.05 * 4 + 0.25 * 3 + 0.5 * 2 + 0.75 * 1 + 0) / 5 / 4
    assert found.pinball[0, 0] == pytest.approx(by_hand)
    assert found.inside.tolist() == [[1.0], [1.0]]


def test_an_unknown_outcome_counts_nowhere() -> None:
    outcome = np.array([[np.nan], [2.0]])
    predicted = np.tile(np.arange(1.0, 6.0), (2, 1, 1))
    found = losses(outcome, predicted, np.ones(2), LEVELS)
    assert cell_means(found.absolute).tolist() == [1.0]
    assert np.isnan(found.inside[0, 0])
    assert cell_means(mean_losses([found, found]).inside).tolist() == [1.0]


def test_the_worst_day_is_found_among_good_ones() -> None:
    times = np.arange(0, 3 * 86_400, 300.0)
    inside = np.ones((len(times), 1))
    second = (times >= 86_400) & (times < 2 * 86_400)
    inside[np.flatnonzero(second)[::4]] = 0
    assert worst_day_coverage_pct(inside, times, 0.0) == pytest.approx(75.0)


def test_the_beginning_of_a_last_day_is_judged_with_the_day_before() -> None:
    times = np.arange(0, 1.4 * 86_400, 300.0)
    inside = (times < 86_400).astype(float)[:, None]
    assert worst_day_coverage_pct(inside, times, 0.0) == pytest.approx(100 / 1.4, abs=0.3)


def test_a_geometric_mean_treats_half_and_double_alike() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


def test_an_interval_of_independent_errors_is_as_wide_as_theory_says() -> None:
    draws = np.random.default_rng(1)
    times = np.arange(24_000) * 60.0
    loss = draws.normal(1.0, 1.0, (24_000, 1))
    again = resampled_means([loss], times, 300.0, seed=3)
    found = interval(float(loss.mean()), again[0])
    assert found.low < 1.0 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(24_000), rel=0.35)


def test_an_interval_of_errors_that_hang_together_is_wider() -> None:
    draws = np.random.default_rng(2)
    times = np.arange(24_000) * 60.0
    hours = np.repeat(draws.normal(0.0, 1.0, 400), 60)[:, None]
    independent = draws.permutation(hours)
    wide, narrow = (
        np.ptp(np.quantile(resampled_means([one], times, 300.0, seed=3)[0], [0.025, 0.975]))
        for one in (hours, independent)
    )
    assert wide > 4 * narrow


def test_a_difference_between_two_losses_uses_the_same_draws() -> None:
    draws = np.random.default_rng(4)
    times = np.arange(5000) * 60.0
    loss = draws.gamma(1.0, 1.0, (5000, 2))
    again = resampled_means([loss, 0.9 * loss], times, 600.0, seed=5)
    ratio = again[1] / again[0]
    assert np.allclose(ratio, 0.9)


def test_the_same_seed_gives_the_same_interval() -> None:
    loss = np.random.default_rng(6).normal(size=(900, 1))
    times = np.arange(900) * 10.0
    first, second = (resampled_means([loss], times, 60.0, seed=8) for _ in range(2))
    assert np.array_equal(first, second)
