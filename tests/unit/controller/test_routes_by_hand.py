"""Routers that a person froze or shifted by hand."""

from __future__ import annotations

import pytest

from controller.model import Kind
from controller.plan.routes_state import RoutesState, with_freeze, with_manual
from harness.routes import given_routers, only, steps, threatened


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
