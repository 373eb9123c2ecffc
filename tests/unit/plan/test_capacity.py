"""What follows from a test with synthetic load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.capacity import (
    LoadResult,
    LoadSettings,
    Step,
    Subject,
    carries_pps,
    frame_sizes,
    judge,
    next_test,
    rates,
    target_pps,
)

RULES = LoadSettings()


def step(
    pps: float,
    lost: int = 0,
    max_ms: float = 2.0,
    mean_ms: float = 1.0,
    sent: int = 100,
    sign: str = "",
) -> Step:
    return Step(pps, sent, sent - lost, mean_ms, max_ms, sign)


def result(*steps: Step, stopped: str = "", at_s: float = 0.0, own_pps: float = 50.0) -> LoadResult:
    return LoadResult("r2", "e1", at_s, 400.0, own_pps, 340.0, steps, stopped)


def test_rates_rise_to_the_target() -> None:
    assert rates(1000.0, RULES) == (250.0, 500.0, 750.0, 1000.0)
    assert rates(0.0, RULES)[-1] == RULES.least_pps


def test_more_than_one_percent_lost_is_a_sign_and_one_lost_packet_alone_is_none() -> None:
    assert judge(step(100, lost=1, sent=20), 1.0, RULES) == ""
    assert judge(step(100, lost=1, sent=100), 1.0, RULES) == ""
    assert "2.0 % lost at 100 packets/s" in judge(step(100, lost=2), 1.0, RULES)


def test_a_queue_is_a_sign_compared_with_the_idle_round_trip() -> None:
    assert judge(step(100, max_ms=30.0, mean_ms=25.0), 15.0, RULES) == ""
    assert "30.0 ms" in judge(step(100, max_ms=30.0, mean_ms=25.0), 5.0, RULES)
    assert judge(step(100, max_ms=30.0, mean_ms=6.0), 5.0, RULES) == "", "one straggler is no queue"


def test_the_highest_clean_step_counts() -> None:
    late = step(300, sign="late")
    assert result(step(100), step(200), late, late, stopped="late").clean_pps == 200
    assert result(step(100), step(200, sign="late"), step(200)).carries_pps == 250
    assert result(step(100, sign="lost"), stopped="lost").clean_pps == 0


def test_only_two_stopped_tests_in_a_row_bound_and_by_the_better_of_them() -> None:
    late = step(300, sign="late")
    one = result(step(100), late, stopped="late")
    two = result(late, stopped="late", at_s=10.0)
    clean = result(step(100), step(200), at_s=20.0)
    assert carries_pps([], 20.0, RULES) is None
    assert carries_pps([one], 20.0, RULES) is None
    assert carries_pps([one, two], 20.0, RULES) == 150
    assert carries_pps([one, two, clean], 20.0, RULES) is None
    assert carries_pps([one, two], 20.0 + RULES.valid_s, RULES) is None, "too old"


def test_the_target_is_what_shifts_or_a_crash_may_bring() -> None:
    shadows = {"r1": ("r2", "r3"), "r4": ("r2",), "r5": ("r3",)}
    rates_now = {"r1": 400.0, "r4": 100.0, "r5": 9000.0}
    # Shifts of half of r1's and r4's parts: 100 + 50; the crash of r1: 200, with the margin 300.
    assert target_pps("r2", shadows, rates_now, 50.0, RULES) == 300.0
    assert target_pps("r9", shadows, rates_now, 50.0, RULES) == 0.0


def test_without_evidence_the_mix_is_the_simple_imix() -> None:
    sizes = frame_sizes(None)
    assert sorted(sizes) == [81] * 7 + [590] * 4 + [1514]
    assert sizes[:2] != (81, 81)


@given(st.floats(0, 3000))
def test_the_mix_has_the_mean_size_of_the_fabrics_packets(mean: float) -> None:
    sizes = frame_sizes(mean)
    assert len(sizes) == 12
    assert all(81 <= size <= 1514 for size in sizes)
    wanted = min(1518.0, max(85.0, mean))
    assert abs(sum(sizes) / 12 + 4 - wanted) <= (1518 - 85) / 12


def shadow(name: str, at_s: float | None, in_use: bool = False, load: float = 0.2) -> Subject:
    last = None if at_s is None else result(step(100), at_s=at_s)
    return Subject(name, 400.0, in_use, True, load, last)


def chosen(*shadows: Subject, now_s: float = 1000.0) -> str | None:
    found = next_test(shadows, now_s, RULES)
    return found.shadow if found else None


def test_shadows_in_use_are_tested_first_and_then_who_waits_longest() -> None:
    assert chosen(shadow("r2", 500.0), shadow("r3", 100.0)) == "r3"
    assert chosen(shadow("r2", 900.0, in_use=True), shadow("r3", None)) == "r2"
    assert chosen(shadow("r2", 950.0, in_use=True), shadow("r3", 500.0)) is None


def test_a_busy_shadow_and_one_that_is_away_are_left_alone() -> None:
    assert chosen(shadow("r2", None, load=0.9)) is None
    assert chosen(replace(shadow("r2", None), usable=False)) is None


def test_a_limit_is_checked_again_soon() -> None:
    limited = replace(shadow("r2", 985.0), last=result(step(9), stopped="late", at_s=985.0))
    assert chosen(limited) == "r2"
    assert chosen(limited, now_s=990.0) is None


@pytest.mark.parametrize("target", [400.0, 2000.0])
def test_a_shadow_in_use_is_tested_again_when_more_is_planned_for_it(target: float) -> None:
    one = replace(shadow("r2", 980.0, in_use=True), target_pps=target)
    assert (chosen(one) == "r2") == (target > 600.0)
