"""The demo's load: more than one router may hold, never more than its shadows can help with."""

from __future__ import annotations

from itertools import pairwise

import pytest

from topologies.demo import scenario

SECONDS = [30.0, 45.0, 75.0, 120.0]


def test_the_two_runs_differ_in_prediction_only() -> None:
    reactive = scenario.config(predictive=False)
    predictive = scenario.config(predictive=True)
    assert reactive["cycle"].pop("predictive") is False
    assert predictive["cycle"].pop("predictive") is True
    assert reactive == predictive


@pytest.mark.parametrize("seconds", SECONDS)
def test_every_peak_is_over_before_the_end(seconds: float) -> None:
    for peak in scenario.peaks(seconds):
        assert peak.start_s > 5
        assert peak.start_s + peak.rise_s + peak.hold_s + peak.fall_s < seconds


@pytest.mark.parametrize("seconds", SECONDS)
def test_peaks_do_not_overlap(seconds: float) -> None:
    peaks = scenario.peaks(seconds)
    for before, after in pairwise(peaks):
        assert before.start_s + before.rise_s + before.hold_s + before.fall_s < after.start_s


def test_a_peak_is_too_much_for_its_router_and_half_of_it_is_not() -> None:
    limit = scenario.CAPACITY - scenario.THRESHOLD
    demand = scenario.TOP_PER_S * scenario.MEAN_DURATION_S
    assert demand > scenario.CAPACITY
    assert demand / 2 < limit
    spare = limit - scenario.CALM_PER_S * scenario.MEAN_DURATION_S
    assert demand / 4 < spare  # each of two shadows takes a quarter


def test_both_runs_make_exactly_the_same_connections() -> None:
    plans = [
        scenario.connections(scenario.config(predictive=predictive), 1, 75.0)
        for predictive in (False, True)
    ]
    assert plans[0] == plans[1]
    assert len(plans[0]) > 2000
