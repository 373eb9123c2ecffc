"""What the route planner promises for any input."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import Kind
from controller.plan.routes import plan_routes
from controller.plan.routes_state import RouterView, RoutesState
from harness.routes import LABELS, NAMES, RULES, given_routers, view

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
