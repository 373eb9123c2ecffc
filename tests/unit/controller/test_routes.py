"""What the route planner decides, step by step and for any input."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import Decision, Kind
from controller.plan.routes import HYSTERESIS_CYCLES, plan_routes
from controller.plan.routes_state import (
    RouterState,
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesPlan,
    RoutesState,
    ServiceView,
    with_freeze,
    with_manual,
)

RULES = RouteSettings()
NAMES = ("r1", "r2", "r3", "r4")
LABELS = {name: 301 + index for index, name in enumerate(NAMES)}


def view(name: str, live: float = 50.0, **known: Any) -> RouterView:
    known.setdefault("demand", live)
    return RouterView(name, LABELS[name], 400, 100, live=live, **known)


def threatened(name: str, probability: float = 1.0, lead_s: float = 60.0) -> RouterView:
    return view(
        name,
        200.0,
        demand_p50=320.0,
        demand_p95=360.0,
        breach_probability=probability,
        lead_s=lead_s,
    )


def given_routers(*views: RouterView) -> RoutesInputs:
    named = {one.name: one for one in views}
    routers = tuple(named.get(name, view(name)) for name in NAMES)
    services = (ServiceView(1, ("r1",)), ServiceView(2, ("r1", "r2")))
    candidates = {name: tuple(n for n in NAMES if n != name) for name in NAMES}
    return RoutesInputs(routers, services, ("e1", "e2"), candidates)


def steps(
    inputs: RoutesInputs,
    number: int = 1,
    state: RoutesState | None = None,
    rules: RouteSettings = RULES,
) -> RoutesPlan:
    state = state or RoutesState()
    for _ in range(number):
        plan = plan_routes(state, inputs, float(state.cycle + 1), rules)
        state = plan.state
    return plan


def shifted(pct: int = 50, **known: Any) -> RoutesState:
    half = pct // 2
    own = RouterState((("r2", pct - half), ("r3", half)), direction=1, turns=(0,), **known)
    return RoutesState(cycle=50, routers={"r1": own})


def only(plan: RoutesPlan, router: str = "r1") -> Decision:
    decisions = [d for d in plan.decisions if d.router == router]
    assert len(decisions) == 1, plan.decisions
    return decisions[0]


def test_a_quiet_fabric_is_left_alone() -> None:
    plan = steps(given_routers(), 20)
    assert plan.decisions == ()
    assert plan.shares["e1", 1] == {301: 100}
    assert plan.shares["e2", 2] == {301: 50, 302: 50}


@pytest.mark.parametrize(
    ("probability", "lead_s", "target"),
    [(1.0, 0.0, 50), (1.0, 60.0, 25), (0.8, 60.0, 20), (1.0, 120.0, 10), (0.5, 110.0, 10)],
)
def test_the_shift_grows_with_probability_and_nearness(
    probability: float, lead_s: float, target: int
) -> None:
    plan = steps(given_routers(threatened("r1", probability, lead_s)), 8)
    assert plan.state.of("r1").shift_pct == target


def test_a_shift_ramps_up_ten_points_a_cycle_equally_over_the_shadows() -> None:
    state, seen = RoutesState(), []
    for _ in range(6):
        plan = steps(given_routers(threatened("r1", 1.0, 0.0)), 1, state)
        state = plan.state
        seen.append(state.of("r1").split)
    assert seen[0] == (("r2", 5), ("r3", 5))
    assert [sum(pct for _, pct in split) for split in seen] == [10, 20, 30, 40, 50, 50]
    assert seen[-1] == (("r2", 25), ("r3", 25))
    assert plan.shares["e1", 1] == {301: 50, 302: 25, 303: 25}
    # r1 has 50 base slots of service 2: half of them go to r2 and r3, in whole slots.
    two = plan.shares["e1", 2]
    assert two[301] == 25
    assert sum(two.values()) == 100
    assert abs(two[302] - 62.5) <= 0.5
    assert abs(two[303] - 12.5) <= 0.5


def test_an_anomaly_skips_the_ramp_and_adds_to_the_prediction() -> None:
    plan = steps(given_routers(view("r1", 100.0, anomaly_severity=3.0)))
    assert plan.state.of("r1").shift_pct == 30
    assert only(plan).trigger == "anomaly"
    both = replace(threatened("r1", 1.0, 60.0), anomaly_severity=2.0)
    assert steps(given_routers(both)).state.of("r1").shift_pct == 45


def test_without_a_usable_forecast_the_floor_acts_on_what_is_seen() -> None:
    plan = steps(given_routers(view("r1", 301.0)))
    assert only(plan).trigger == "reactive"
    assert "fewer than its threshold of 100" in only(plan).reason
    assert steps(given_routers(view("r1", 300.0))).decisions == ()


def test_thresholds_only_ignores_forecast_and_surge() -> None:
    rules = replace(RULES, predictive=False)
    danger = replace(threatened("r1", 1.0, 0.0), anomaly_severity=5.0)
    assert steps(given_routers(danger), 5, rules=rules).decisions == ()
    assert only(steps(given_routers(view("r1", 301.0)), rules=rules)).trigger == "reactive"


def test_an_improbable_breach_moves_nothing() -> None:
    assert steps(given_routers(threatened("r1", 0.49, 0.0)), 5).decisions == ()


def test_one_percent_comes_back_per_cycle_when_all_is_well() -> None:
    calm = given_routers(view("r1", 60.0, demand_p95=80.0))
    plan = steps(calm, 1, shifted(50))
    assert only(plan).kind is Kind.RESTORE
    assert plan.state.of("r1").shift_pct == 49
    assert steps(calm, 50, shifted(50)).state.of("r1").shift_pct == 0
    assert steps(calm, 60, shifted(50)).shares["e1", 1] == {301: 100}


def test_nothing_comes_back_while_the_forecast_leaves_no_room() -> None:
    plan = steps(given_routers(view("r1", 60.0, demand=100.0, demand_p95=301.0)), 1, shifted(50))
    assert only(plan).kind is Kind.HOLD
    assert "may still reach 301" in only(plan).reason
    assert plan.state.of("r1").shift_pct == 50
    # The same hold is told once, not in every cycle.
    again = steps(given_routers(view("r1", 60.0, demand_p95=301.0)), 1, plan.state)
    assert again.decisions == ()


def test_a_quiet_forecast_alone_brings_nothing_back() -> None:
    plan = steps(given_routers(view("r1", 200.0, demand=400.0, demand_p95=100.0)), 3, shifted(50))
    assert plan.state.of("r1").shift_pct == 50


def test_the_direction_changes_at_most_once_in_ten_cycles() -> None:
    calm, danger = given_routers(), given_routers(threatened("r1", 1.0, 0.0))
    first = steps(danger, 1)
    held = steps(calm, 1, first.state)
    assert only(held).kind is Kind.HOLD
    assert "less than ten cycles ago" in only(held).reason
    state = held.state
    for _ in range(HYSTERESIS_CYCLES - 2):
        state = steps(calm, 1, state).state
        assert state.of("r1").shift_pct == 10
    assert steps(calm, 1, state).state.of("r1").shift_pct == 9


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


@pytest.mark.parametrize("state", [shifted(30), with_manual(shifted(30), "r1", 30)])
def test_a_controller_that_is_cut_off_changes_nothing(state: RoutesState) -> None:
    cut_off = [replace(view(name), healthy=False, live=None, demand=None) for name in NAMES]
    plan = steps(given_routers(*cut_off), 3, state)
    assert plan.state.of("r1") == state.of("r1")
    assert plan.shares["e1", 1] == {301: 70, 302: 15, 303: 15}
    assert plan.decisions == ()


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


def test_a_router_without_fresh_counters_keeps_its_shift() -> None:
    inputs = given_routers(replace(view("r1"), live=None, demand=None))
    plan = steps(inputs, 5, shifted(30))
    assert plan.state.of("r1").shift_pct == 30


def test_a_frozen_router_stays_as_it_is_until_unfrozen() -> None:
    danger = given_routers(threatened("r1", 1.0, 0.0))
    frozen = with_freeze(RoutesState(), "r1", True)
    plan = steps(danger, 1, frozen)
    assert only(plan).kind is Kind.HOLD
    assert "frozen" in only(plan).reason
    assert steps(danger, 5, plan.state).state.of("r1").shift_pct == 0
    freed = with_freeze(plan.state, "r1", False)
    assert steps(danger, 1, freed).state.of("r1").shift_pct == 10


def test_freezing_everything_holds_every_router_and_unfreezing_frees_each() -> None:
    danger = given_routers(threatened("r1", 1.0, 0.0))
    state = with_freeze(with_freeze(RoutesState(), None, True), "r1", True)
    assert steps(danger, 5, state).state.of("r1").shift_pct == 0
    assert steps(danger, 1, with_freeze(state, None, False)).state.of("r1").shift_pct == 10


def test_a_weight_set_by_hand_applies_at_once_and_ends_on_request() -> None:
    plan = steps(given_routers(), 1, with_manual(RoutesState(), "r1", 40))
    assert only(plan).kind is Kind.MANUAL
    assert plan.state.of("r1").split == (("r2", 20), ("r3", 20))
    assert plan.shares["e1", 1] == {301: 60, 302: 20, 303: 20}
    stays = steps(given_routers(threatened("r1", 1.0, 0.0)), 5, plan.state)
    assert stays.state.of("r1").shift_pct == 40
    back = steps(given_routers(), 3, with_manual(plan.state, "r1", None))
    assert back.state.of("r1").shift_pct == 37
    with pytest.raises(ValueError, match="101"):
        with_manual(RoutesState(), "r1", 101)


def test_a_weight_beyond_fifty_percent_ends_with_the_persons_override() -> None:
    set_by_hand = steps(given_routers(), 1, with_manual(RoutesState(), "r1", 80))
    assert set_by_hand.state.of("r1").shift_pct == 80
    released = with_manual(set_by_hand.state, "r1", None)
    danger = given_routers(threatened("r1", 1.0, 0.0))
    plan = steps(danger, 1, released)
    assert plan.state.of("r1").shift_pct == 79
    assert "without a person" in only(plan).reason
    assert steps(danger, 40, released).state.of("r1").shift_pct == 50


def test_a_dry_run_marks_its_decisions() -> None:
    plan = steps(given_routers(view("r1", 350.0)), rules=replace(RULES, dry_run=True))
    assert only(plan).dry_run


def test_a_surge_does_not_wait_and_what_it_raised_waits_to_come_back() -> None:
    own = RouterState((("r2", 10),), direction=-1, turns=(49,))
    state = RoutesState(cycle=50, routers={"r1": own})
    reactive = steps(given_routers(view("r1", 301.0)), 1, state)
    assert reactive.state.of("r1").shift_pct == 10
    surging = given_routers(view("r1", 200.0, demand_p95=310.0, anomaly_severity=4.0))
    raised = steps(surging, 1, state)
    assert raised.state.of("r1").shift_pct == 40
    calm = given_routers(view("r1", 20.0))
    assert steps(calm, 9, raised.state).state.of("r1").shift_pct == 40
    assert steps(calm, 10, raised.state).state.of("r1").shift_pct == 39


def test_a_plan_for_one_router_between_cycles_leaves_the_others_as_they_are() -> None:
    state = RoutesState(
        cycle=50,
        routers={"r3": RouterState((("r4", 20),), direction=1, turns=(1,))},
    )
    inputs = given_routers(view("r1", 100.0, anomaly_severity=3.0), view("r3", 20.0))
    plan = plan_routes(state, inputs, 1.0, RULES, only=frozenset({"r1"}))
    assert plan.state.cycle == 50
    assert plan.state.of("r3") == state.of("r3"), "nothing comes back between cycles"
    assert plan.state.of("r1").shift_pct == 30
    assert [decision.router for decision in plan.decisions] == ["r1"]
    again = plan_routes(plan.state, inputs, 1.1, RULES, only=frozenset({"r1"}))
    assert again.decisions == ()


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


counts = st.floats(0, 500, allow_nan=False)
maybe = st.none() | counts


@st.composite
def views(draw: st.DrawFn, name: str) -> RouterView:
    return RouterView(
        name,
        LABELS[name],
        400,
        100,
        healthy=draw(st.sampled_from([True, True, True, False])),
        live=draw(maybe),
        demand=draw(maybe),
        demand_p50=draw(maybe),
        demand_p95=draw(maybe),
        breach_probability=draw(st.none() | st.floats(0, 1)),
        lead_s=draw(st.none() | st.floats(0, 200)),
        anomaly_severity=draw(st.sampled_from([0.0, 0.0, 0.0, 1.0, 5.0])),
    )


days = st.lists(st.tuples(*(views(name) for name in NAMES)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(day=days, predictive=st.booleans(), budget=st.integers(1, 3))
def test_whatever_happens_the_plan_keeps_its_promises(
    day: list[tuple[RouterView, ...]], predictive: bool, budget: int
) -> None:
    rules = replace(RULES, predictive=predictive, direction_changes=budget)
    state = RoutesState()
    for views_now in day:
        inputs = given_routers(*views_now)
        before, plan = state, plan_routes(state, inputs, float(state.cycle), rules)
        assert repr(plan_routes(before, inputs, float(before.cycle), rules)) == repr(plan)
        state = plan.state
        healthy = {one.name for one in views_now if one.healthy and one.live is not None}
        cut_off = not any(one.healthy for one in views_now)
        explained = {decision.router for decision in plan.decisions}
        for name in NAMES:
            was, now = before.of(name), state.of(name)
            assert 0 <= now.shift_pct <= 50
            assert name not in dict(now.split)
            assert {shadow for shadow, _ in now.split} <= healthy or cut_off
            assert all(pct > 0 for _, pct in now.split)
            assert state.of(name).shift_pct == was.shift_pct or name in explained
        for shares in plan.shares.values():
            assert sum(shares.values()) == 100
            assert all(isinstance(pct, int) and pct > 0 for pct in shares.values())
        for decision in plan.decisions:
            assert decision.reason
            if decision.kind is Kind.RESTORE and decision.trigger == "restore":
                assert decision.shift_before_pct - decision.shift_after_pct == 1


@settings(max_examples=60, deadline=None)
@given(
    loads=st.lists(
        st.tuples(st.sampled_from([20.0, 250.0, 320.0]), st.booleans()), min_size=30, max_size=80
    )
)
def test_no_load_makes_a_shift_oscillate(loads: list[tuple[float, bool]]) -> None:
    turns: list[tuple[int, int, bool]] = []  # cycle, direction, by a surge
    state, direction = RoutesState(), 0
    for cycle, (load, surge) in enumerate(loads):
        danger = view("r1", load, demand_p95=load, anomaly_severity=2.0 if surge else 0.0)
        plan = plan_routes(state, given_routers(danger), float(cycle), RULES)
        change = plan.state.of("r1").shift_pct - state.of("r1").shift_pct
        if change * direction < 0:
            turns.append((cycle, change, surge))
        if change:
            direction = 1 if change > 0 else -1
        state = plan.state
    for (earlier, _, _), (later, change, surge) in pairwise(turns):
        assert later - earlier >= 10 or (surge and change > 0), "only a surge need not wait"


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
