"""Which shadows of a router take its new traffic, and how much of it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import Kind
from controller.plan.routes_state import RouterState, RoutesState
from harness.routes import given_routers, only, shifted, steps, threatened, view


def test_a_shadow_near_a_breach_itself_gets_nothing() -> None:
    plan = steps(given_routers(threatened("r1", 1.0, 0.0), threatened("r2", 0.6, 90.0)), 5)
    assert {name for name, _ in plan.state.of("r1").split} == {"r3", "r4"}
    assert {name for name, _ in plan.state.of("r2").split} <= {"r3", "r4"}


def test_a_shadow_that_comes_into_danger_loses_its_share_at_once() -> None:
    danger = threatened("r1", 1.0, 0.0)
    inputs = given_routers(danger, view("r2", 100.0, anomaly_severity=2.0))
    plan = steps(inputs, 1, shifted(50))
    assert dict(plan.state.of("r1").split) == {"r3": 25, "r4": 25}
    assert only(plan).trigger == "shadow"


def test_a_failed_shadow_is_replaced_by_the_next() -> None:
    inputs = given_routers(threatened("r1", 1.0, 0.0), replace(view("r3"), healthy=False))
    plan = steps(inputs, 1, shifted(50))
    assert dict(plan.state.of("r1").split) == {"r2": 25, "r4": 25}
    assert only(plan).kind is Kind.SHIFT
    assert only(plan).shift_before_pct == only(plan).shift_after_pct == 50


def test_a_shadow_that_comes_back_gets_its_equal_part_again_step_by_step() -> None:
    alone = RoutesState(50, {"r1": RouterState((("r2", 50),), direction=1, turns=(0,))})
    danger = given_routers(threatened("r1", 1.0, 0.0))
    assert dict(steps(danger, 1, alone).state.of("r1").split) == {"r2": 40, "r3": 10}
    settled = steps(danger, 4, alone)
    assert dict(settled.state.of("r1").split) == {"r2": 25, "r3": 25}
    assert settled.decisions == ()


def test_when_the_last_shadow_fails_everything_goes_back_at_once() -> None:
    gone = [replace(view(name), healthy=False) for name in ("r2", "r3", "r4")]
    plan = steps(given_routers(threatened("r1", 1.0, 0.0), *gone), 1, shifted(50))
    assert plan.state.of("r1").shift_pct == 0
    assert plan.shares["e1", 1] == {301: 100}


def test_without_room_anywhere_the_shift_is_held_and_says_so() -> None:
    full = [view(name, 299.0) for name in ("r2", "r3", "r4")]
    plan = steps(given_routers(threatened("r1", 1.0, 0.0), *full))
    assert only(plan).kind is Kind.HOLD
    assert "no shadow has room" in only(plan).reason
    assert plan.state.of("r1").shift_pct == 0


def test_a_full_shadow_gets_nothing_while_another_has_room() -> None:
    inputs = given_routers(threatened("r1", 1.0, 0.0), view("r2", 290.0))
    split = dict(steps(inputs, 5).state.of("r1").split)
    assert split.get("r2", 0) <= 3
    assert sum(split.values()) == 50


def test_guests_beyond_a_shadows_limit_are_taken_back_not_passed_on() -> None:
    inputs = given_routers(view("r1", 300.0, demand=600.0), view("r2", 340.0, demand=180.0))
    plan = steps(inputs, 1, shifted(50))
    assert plan.state.of("r2").shift_pct == 0
    assert dict(plan.state.of("r1").split)["r2"] < 25


def test_no_more_is_added_than_a_shadow_can_carry_by_its_test() -> None:
    hot = view(
        "r1", 100.0, anomaly_severity=5.0, packets_per_connection_s=10.0
    )  # ten packets/s a percent
    slow = view("r2", 20.0, packets_per_connection_s=10.0, carries_pps=300.0)
    plan = steps(given_routers(hot, slow), 3)
    split = dict(plan.state.of("r1").split)
    assert split["r2"] == 10, "200 packets/s of its own and 100 of its guest"
    assert split["r3"] == 40
    unknown = replace(slow, carries_pps=None)
    assert dict(steps(given_routers(hot, unknown), 3).state.of("r1").split)["r2"] == 25
    lower = replace(slow, carries_pps=50.0)
    kept = steps(given_routers(hot, lower), 3, plan.state)
    assert dict(kept.state.of("r1").split)["r2"] == 10, "what is there stays"


@settings(max_examples=100, deadline=None)
@given(
    own=st.lists(st.integers(0, 299), min_size=3, max_size=3),
    demand=st.integers(301, 900),
)
def test_shadows_are_not_overfilled(own: list[int], demand: int) -> None:
    spare = [view(name, float(load)) for name, load in zip(("r2", "r3", "r4"), own, strict=True)]
    hot = view("r1", 310.0, demand=float(demand), breach_probability=1.0, lead_s=0.0)
    split = dict(steps(given_routers(hot, *spare), 8).state.of("r1").split)
    for name, load in zip(("r2", "r3", "r4"), own, strict=True):
        assert load + demand * split.get(name, 0) / 100 <= 300
