"""Tail probabilities and the three views of a sample, in constant memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.surges.level import Peak
from ml.surges.tail import Evidence, Tail, combined
from ml.surges.views import DAY_S, Novelty, Season, Shift


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_decades_of_an_exponential_stream_are_right_in_any_unit(unit: float) -> None:
    tail = Tail(kept=200)
    for value in np.random.default_rng(1).exponential(unit, 20_000).tolist():
        tail.add(value)
    for decades in (2.5, 3.0, 5.0):
        truth = decades * math.log(10) * unit
        assert tail.decades(truth) == pytest.approx(decades, abs=0.5)


def test_a_tail_says_nothing_before_it_has_seen_more_than_it_keeps() -> None:
    tail = Tail(kept=40)
    for _ in range(40):
        tail.add(1.0)
        assert tail.decades(1e9) == 0.0
    tail.add(1.0)
    assert tail.decades(1e9) > 3.0


def test_surges_among_the_largest_do_not_make_the_next_surge_likely() -> None:
    noise = np.abs(np.random.default_rng(2).normal(size=20_000))
    clean, disturbed = Tail(kept=200), Tail(kept=200)
    for index, value in enumerate(noise.tolist()):
        clean.add(value)
        disturbed.add(30.0 if index % 400 == 0 else value)
    assert disturbed.decades(10.0) > 0.5 * clean.decades(10.0) > 4.0


def test_what_was_rare_two_generations_ago_is_forgotten() -> None:
    tail = Tail(kept=10, memory=100)
    for _ in range(50):
        tail.add(100.0)
    for _ in range(100):
        tail.add(1.0)
    assert tail.decades(50.0) < 1.0
    for _ in range(100):
        tail.add(1.0)
    assert tail.decades(50.0) > 3.0


def test_a_long_surge_counts_once() -> None:
    evidence = Evidence(both=False, most=12.0, kept=5, apart=20)
    for index in range(400):
        evidence.learn(9.0 if 100 <= index < 115 else 0.1)
    assert evidence.larger(9.0, 1.0) == 1


def test_a_drop_is_evidence_only_when_both_directions_are_looked_at() -> None:
    noise = np.random.default_rng(3).normal(size=1000).tolist()
    up, both = Evidence(both=False, most=8.0), Evidence(both=True, most=8.0)
    for value in noise:
        up.learn(value)
        both.learn(value)
    assert up.decades(-8.0) == 0.0
    assert both.decades(-8.0) > 3.0
    assert both.decades(math.nan) == 0.0


def test_the_product_of_uniform_probabilities_is_combined_without_bias() -> None:
    uniform = np.random.default_rng(4).uniform(size=(20_000, 3))
    decades = [combined(total, 3) for total in (-np.log10(uniform)).sum(axis=1).tolist()]
    assert np.mean(np.array(decades) >= 2.0) == pytest.approx(0.01, rel=0.3)


def test_a_value_between_the_usual_ones_is_novel_and_soon_is_not() -> None:
    novelty = Novelty()
    for index in range(200):
        novelty.learn(10.0 if index % 2 else 90.0)
    assert abs(novelty.residual(50.0)) == pytest.approx(40.0, abs=1.0)
    novelty.learn(50.0)
    assert novelty.residual(50.0) == pytest.approx(0.0, abs=1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=150))
@settings(max_examples=60, deadline=None)
def test_the_shift_equals_the_difference_of_the_two_means(values: list[float]) -> None:
    short, long = 4, 20
    shift = Shift(short, long)
    for index, value in enumerate(values):
        seen = shift.residual(value)
        recent = values[max(0, index + 1 - short) : index + 1]
        before = values[max(0, index + 1 - short - long) : max(0, index + 1 - short)]
        if len(before) > 1:
            expected = float(np.mean(recent) - np.mean(before))
            assert seen == pytest.approx(expected, rel=1e-6, abs=1e-3)
        shift.learn(value)


def test_the_time_of_day_explains_a_nightly_job() -> None:
    season = Season()
    for minute in range(3 * 1440):
        t_s = 60.0 * minute
        season.learn(t_s, 80.0 if minute % 1440 == 125 else 10.0)
    nightly_s = 3 * DAY_S + 125 * 60.0
    assert 55.0 < season.rise(nightly_s) <= 70.0
    assert season.rise(nightly_s + 3600.0) == pytest.approx(0.0)
    assert season.residual(nightly_s + 3600.0, 12.0) == pytest.approx(2.0)


def test_a_saturday_is_compared_with_saturdays() -> None:
    season = Season()
    for hour in range(24 * 15):
        weekend = (hour // 24) % 7 == 2  # 3 January 1970 was a Saturday
        season.learn(3600.0 * hour, 5.0 if weekend else 100.0)
    saturday_s = 16 * DAY_S + 12 * 3600.0
    assert abs(season.residual(saturday_s, 5.0)) < 1.0
    assert math.isnan(Season().residual(0.0, 5.0))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=80), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_the_peak_is_that_of_the_latest_values(values: list[int], size: int) -> None:
    peak = Peak(size)
    for index, value in enumerate(values):
        latest = values[max(0, index - size) : index]
        assert peak.above(value) == (not latest or value > max(latest))
        peak.learn(float(value))
