"""The burst act's load, its figures, and its part of the page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.demo.burst_report import section
from topologies.demo.bursts import Arrival, Bursts, Held, Shape, Start, Stock, announced, arrivals

SHAPE = Shape()


@given(st.integers(min_value=0))
def test_every_burst_brings_its_instances_while_it_lasts(seed: int) -> None:
    found = arrivals(SHAPE, seed)
    for number, begin_s in enumerate(SHAPE.bursts_s, start=1):
        times = [one.time_s for one in found if one.burst == number]
        assert len(times) == SHAPE.in_burst
        assert all(begin_s <= time_s <= begin_s + SHAPE.burst_s for time_s in times)
    assert len([one for one in found if one.burst == 0]) == SHAPE.end_s * SHAPE.per_s
    assert [one.time_s for one in found] == sorted(one.time_s for one in found)
    assert len({one.name for one in found}) == len(found)


def test_both_runs_get_the_same_requests_and_another_seed_gets_others() -> None:
    assert arrivals(SHAPE, 1) == arrivals(SHAPE, 1) != arrivals(SHAPE, 2)


def test_what_is_announced_is_when_bursts_come_and_how_large_they_are() -> None:
    events = announced(SHAPE, 1000.0)
    assert [(one.start_s, one.end_s) for one in events] == [
        (1004.0, 1005.0),
        (1007.0, 1008.0),
        (1010.0, 1011.0),
    ]
    assert {one.expected_factor for one in events} == {16.0}  # 15 a second, beside one
    assert events[0].concerns("pod")
    assert not events[0].concerns("another")


def run(*, held_ahead: bool) -> Bursts:
    """Four instances, of which one never answers."""
    answers_ms = (4.0, 5.0, 20.0, None) if held_ahead else (14.0, 15.0, 20.0, None)
    starts = tuple(
        Start(Arrival(f"i{number}", 4.0 + number / 10, number % 2), held_ahead and number < 3, ms)
        for number, ms in enumerate(answers_ms, start=1)
    )
    stock = (Stock(0.0, 0, 0), Stock(4.0, 7, 1), Stock(12.0, 3, 4))
    held = (Held(1.5, 7, "pod needs 7 <warm> addresses"),) if held_ahead else ()
    return Bursts(held_ahead, SHAPE, starts, stock if held_ahead else (), held)


def test_figures_say_how_many_were_warm_and_when_they_answered() -> None:
    assert run(held_ahead=True).to_json() == {
        "held_ahead": True,
        "instances": 4,
        "in_bursts": 2,
        "warm": 2,
        "unanswered": 1,
        "first_answer_p50_ms": 5.0,
        "first_answer_p90_ms": 20.0,
        "first_answer_max_ms": 20.0,
        "held_most": 7,
        "unused_at_end": 3,
    }


def test_when_nobody_answers_there_are_no_times() -> None:
    silent = Bursts(False, SHAPE, (Start(Arrival("i1", 4.0, 1), False, None),), ())
    assert silent.to_json()["first_answer_p50_ms"] is None
    assert math.isnan(silent.answer_ms(50))
    assert section({"reactive": silent}).count("<td class=n>-</td>") == 3


def test_a_stranger_reads_how_much_sooner_and_why() -> None:
    runs = {"reactive": run(held_ahead=False), "predictive": run(held_ahead=True)}
    text = section(runs)
    assert "<b>10.0 ms sooner</b> in the median: 15.0 → 5.0 ms" in text
    assert "<b>With addresses held ahead</b>, 2 of the 4 instances got a warm address" in text
    assert "At most 7 addresses were held at one time, 3 at the end" in text
    assert "pod needs 7 &lt;warm&gt; addresses" in text
    assert text.count("<svg") == 1
    assert section(runs) == text


def test_it_is_said_when_held_addresses_were_slower() -> None:
    slow = Start(Arrival("i1", 4.0, 1), True, 30.0)
    runs = {
        "reactive": run(held_ahead=False),
        "predictive": Bursts(True, SHAPE, (slow,), (Stock(0.0, 1, 0),)),
    }
    assert "<b>15.0 ms later</b>" in section(runs)


@pytest.mark.parametrize("per_s", [0.5, 1.0, 2.0])
def test_the_announced_factor_fits_the_burst(per_s: float) -> None:
    shape = Shape(per_s=per_s)
    assert shape.factor * per_s == pytest.approx(shape.in_burst / shape.burst_s + per_s)
