"""When the route planner shifts new traffic, how far, and when it takes it back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.model import Kind
from controller.plan.routes import HYSTERESIS_CYCLES, plan_routes
from controller.plan.routes_state import RouterState, RoutesState, with_manual
from harness.routes import NAMES, RULES, given_routers, only, shifted, steps, threatened, view


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


def test_a_trained_alarm_decides_in_place_of_the_least_probability() -> None:
    likely, unlikely = threatened("r1", 0.9, 60.0), threatened("r1", 0.3, 60.0)
    assert only(steps(given_routers(replace(unlikely, alarm=True)))).trigger == "prediction"
    quiet = steps(given_routers(replace(likely, alarm=False)))
    assert not quiet.decisions
    assert only(steps(given_routers(likely))).trigger == "prediction"  # no rule was trained


def test_no_alarm_takes_nothing_back_while_the_demand_may_be_too_high_and_the_floor_stays() -> None:
    shifted = steps(given_routers(replace(threatened("r1", 0.9, 0.0), alarm=True)), 3)
    before = shifted.state.of("r1").shift_pct
    assert before > 0
    over = replace(
        threatened("r1", 0.01, 60.0), alarm=False
    )  # its 95 % forecast is above the limit
    held = steps(given_routers(over), 20, shifted.state)
    assert held.state.of("r1").shift_pct == before
    breached = view("r1", 320.0, breach_probability=0.0, alarm=False)
    assert only(steps(given_routers(breached))).trigger == "reactive"


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


@pytest.mark.parametrize("state", [shifted(30), with_manual(shifted(30), "r1", 30)])
def test_a_controller_that_is_cut_off_changes_nothing(state: RoutesState) -> None:
    cut_off = [replace(view(name), healthy=False, live=None, demand=None) for name in NAMES]
    plan = steps(given_routers(*cut_off), 3, state)
    assert plan.state.of("r1") == state.of("r1")
    assert plan.shares["e1", 1] == {301: 70, 302: 15, 303: 15}
    assert plan.decisions == ()


def test_a_router_without_fresh_counters_keeps_its_shift() -> None:
    inputs = given_routers(replace(view("r1"), live=None, demand=None))
    plan = steps(inputs, 5, shifted(30))
    assert plan.state.of("r1").shift_pct == 30


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
