"""Counters → samples and demand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import NodeCounters, ServiceCounters
from controller.observe.demand import DemandTracker
from controller.observe.history import History
from controller.observe.samples import Sampler


def counters(node: str, time_s: float, **totals: int) -> NodeCounters:
    return NodeCounters(node, time_s, {1: ServiceCounters(**totals)})


def sampler() -> Sampler:
    return Sampler(frozenset({"r1", "r2"}))


def test_rates_are_what_happened_between_two_readings() -> None:
    s = sampler()
    first = s.update([counters("r1", 10.0, opened=100, closed=60, bytes=1000)])
    assert first.samples["r1"].live == 40
    assert math.isnan(first.samples["r1"].new_per_s)
    now = s.update(
        [counters("r1", 12.0, opened=120, closed=66, expired=4, refused=2, bytes=5000)]
    ).samples["r1"]
    assert (now.live, now.new_per_s, now.closed_per_s, now.refused_per_s) == (50, 10, 5, 1)
    assert now.bytes_per_s == 2000


def test_a_switch_that_starts_anew_gives_no_negative_rates() -> None:
    s = sampler()
    s.update([counters("r1", 10.0, opened=1000, closed=900)])
    reading = s.update([counters("r1", 11.0, opened=5, closed=1)])
    now = reading.samples["r1"]
    assert reading.restarted == ("r1",)
    assert (now.live, now.new_per_s, now.closed_per_s) == (4, 5, 1)
    after = s.update([counters("r1", 12.0, opened=8, closed=1)]).samples["r1"]
    assert (after.live, after.new_per_s) == (7, 3)


def test_an_old_reading_is_ignored_and_edges_get_no_samples() -> None:
    s = sampler()
    s.update([counters("r1", 10.0), counters("e1", 10.0)])
    reading = s.update([counters("r1", 10.0, opened=5), counters("e1", 11.0, opened=3)])
    assert reading.samples == {}
    assert reading.flows["e1"][1].opened == 3


def test_the_mean_duration_follows_littles_law() -> None:
    s = sampler()
    for second in range(200):  # 10 new per second, 200 live: each lasts 20 s
        opened = 200 + 10 * second
        reading = s.update([counters("r1", float(second), opened=opened, closed=10 * second)])
    assert reading.samples["r1"].mean_duration_s == pytest.approx(20.0, rel=0.01)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 9), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_no_sequence_of_counters_gives_nonsense(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    s, opened, closed, refused = sampler(), 0, 0, 0
    for second, (new, gone, no, restart) in enumerate(steps):
        if restart:
            opened = closed = refused = 0
        opened, refused = opened + new, refused + no
        closed = min(opened, closed + gone)
        reading = s.update(
            [counters("r1", float(second), opened=opened, closed=closed, refused=refused)]
        )
        sample = reading.samples["r1"]
        assert sample.live == opened - closed
        for rate in (sample.new_per_s, sample.closed_per_s, sample.refused_per_s):
            assert math.isnan(rate) or rate >= 0


BASE = {1: {"r1": 100.0}}


def test_without_a_shift_the_demand_is_the_live_count() -> None:
    s, tracker = sampler(), DemandTracker(BASE)
    for second in range(20):
        reading = s.update(
            [
                counters("r1", float(second), opened=20 * second, closed=13 * second),
                counters("r2", float(second)),
            ]
        )
        demand = tracker.update(reading, ())
        assert demand["r1"].count == reading.samples["r1"].live
    assert demand["r1"].new_per_s == 20.0


def test_a_shift_leaves_the_demand_as_it_is() -> None:
    """20 new per second of 10 s each: 200 connections, whoever holds them."""
    s, tracker = sampler(), DemandTracker(BASE)
    live = {"r1": 200.0, "r2": 0.0}
    total = {"r1": [200.0, 0.0], "r2": [0.0, 0.0]}
    for second in range(80):
        share = {"r1": 0.5, "r2": 0.5} if second >= 20 else {"r1": 1.0, "r2": 0.0}
        for name in live:
            new, gone = 20 * share[name], live[name] / 10
            live[name] += new - gone
            total[name][0] += new
            total[name][1] += gone
        reading = s.update(
            [
                counters(name, float(second), opened=round(a), closed=round(b))
                for name, (a, b) in total.items()
            ]
        )
        demand = tracker.update(reading, (1,) if second >= 20 else ())
        assert demand["r1"].count == pytest.approx(200, abs=8)
    assert reading.samples["r1"].live < 110
    assert demand["r2"].count < 8
    assert demand["r1"].new_per_s == pytest.approx(20, abs=1)


def test_a_shadow_that_starts_anew_has_lost_its_guests_too() -> None:
    s, tracker = sampler(), DemandTracker({1: {"r1": 100.0}})
    tracker.displaced = {"r1": {1: 100.0}, "r2": {1: -100.0}}
    tracker.update(s.update([counters("r1", 0.0), counters("r2", 0.0, opened=500)]), (1,))
    anew = s.update([counters("r1", 1.0), counters("r2", 1.0, opened=40)])
    demand = tracker.update(anew, ())
    assert anew.restarted == ("r2",)
    assert demand["r2"].count == 40
    assert demand["r1"].count == 100


def test_refused_connections_are_demand() -> None:
    s, tracker = sampler(), DemandTracker(BASE)
    for second in range(60):  # full at 100 with 10 s each: 10 come in, 10 are refused
        reading = s.update(
            [
                counters(
                    "r1",
                    float(second),
                    opened=100 + 10 * second,
                    closed=10 * second,
                    refused=10 * second,
                )
            ]
        )
        demand = tracker.update(reading, ())
    assert demand["r1"].count == pytest.approx(200, rel=0.1)
    assert demand["r1"].new_per_s == 20


def test_while_a_router_is_silent_the_edges_tell_the_total() -> None:
    s, tracker = sampler(), DemandTracker({1: {"r1": 50.0, "r2": 50.0}}, frozenset({"e1"}))
    for second in range(3):
        reading = s.update(
            [
                counters("r1", float(second), opened=100 + 5 * second),
                counters("e1", float(second), opened=1000 + 30 * second),
            ]
        )
        demand = tracker.update(reading, (1,))
    assert demand["r1"].new_per_s == 15.0


def test_connections_taken_over_are_live_and_no_new_ones() -> None:
    s, tracker = sampler(), DemandTracker(BASE)
    s.update([counters("r1", 0.0, opened=50, closed=10), counters("r2", 0.0, opened=5)])
    reading = s.update(
        [
            counters("r1", 1.0, opened=50, closed=12, released=30),
            counters("r2", 1.0, opened=5, adopted=30),
        ]
    )
    demand = tracker.update(reading, ())
    one, other = reading.samples["r1"], reading.samples["r2"]
    assert (one.live, one.new_per_s, one.closed_per_s) == (8, 0, 2)
    assert (other.live, other.new_per_s, other.closed_per_s) == (35, 0, 0)
    assert (demand["r1"].count, demand["r2"].count) == (8, 35)


def test_a_switch_whose_adopted_connections_are_fewer_than_before_has_started_anew() -> None:
    s = sampler()
    s.update([counters("r1", 0.0, adopted=40)])
    reading = s.update([counters("r1", 1.0, adopted=3)])
    assert reading.restarted == ("r1",)
    assert reading.samples["r1"].live == 3


def test_what_a_dead_router_would_get_is_demand_on_those_that_stand_in() -> None:
    s, tracker = sampler(), DemandTracker({1: {"r1": 50.0, "r2": 50.0}}, frozenset({"e1"}))
    for second in range(30):
        reading = s.update([counters("r2", float(second), opened=20 * second)])
        demand = tracker.update(reading, (1,), {"r1": ("r2",)})
    assert demand["r2"].new_per_s == 20
    assert demand["r2"].count == reading.samples["r2"].live
    assert tracker.displaced.get("r2", {}) == {}


def test_the_history_keeps_the_latest_samples_in_order() -> None:
    history = History(keep=10)
    for second in range(57):
        history.add("r1", float(second), float(second), 1.0, math.nan)
    history.add("r1", 55.5, 0.0, 0.0, 0.0)  # late: ignored
    series = history.series("r1")
    assert series.times_s.tolist() == list(range(47, 57))
    assert len(history.series("r2")) == 0
    again = History(keep=5)
    again.load(series)
    assert again.series("r1").times_s.tolist() == list(range(52, 57))


def test_a_clock_set_back_costs_one_sample_not_an_hour() -> None:
    s = sampler()
    s.update([counters("r1", 5000.0, opened=10)])
    s.update([counters("r1", 5001.0, opened=12)])
    assert s.update([counters("r1", 1400.0, opened=14)]).samples["r1"].live == 14
    assert s.update([counters("r1", 1401.0, opened=17)]).samples["r1"].new_per_s == 3
    history = History(keep=10)
    for second in (1397, 1398, 1399, 5000, 5001):
        history.add("r1", float(second), 1.0, 1.0, math.nan)
    history.add("r1", 1400.0, 2.0, 1.0, math.nan)
    assert history.series("r1").times_s.tolist() == [1397, 1398, 1399, 1400]
