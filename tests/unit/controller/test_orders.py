"""What other planners move of a router's new connections, beside the route planner's own shifts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan import routes_memory
from controller.plan.routes_shares import shares
from controller.plan.routes_state import (
    RouterState,
    RoutesState,
    ServiceView,
    with_freeze,
    with_manual,
    with_orders,
)

LABELS = {"r1": 301, "r2": 302, "r3": 303, "r4": 304}
ONE = (ServiceView(1, ("r1",)),)
TWO = (ServiceView(1, ("r1", "r2")),)
PCT = st.integers(0, 100)


def share(state: RoutesState, services: tuple[ServiceView, ...] = ONE) -> dict[int, int]:
    return dict(shares(services, ("e1",), LABELS, state)["e1", 1])


def test_an_order_moves_exactly_its_percent_of_the_base_share() -> None:
    state = with_orders(RoutesState(), "resources", {"r1": (("r3", 30.0),)})
    assert share(state) == {301: 70, 303: 30}
    assert share(state, TWO) == {301: 35, 302: 50, 303: 15}


def test_the_route_planners_shift_is_taken_of_what_is_left() -> None:
    state = RoutesState(routers={"r1": RouterState(split=(("r2", 50),))})
    state = with_orders(state, "ab", {"r1": (("r4", 20.0),)})
    assert share(state) == {301: 40, 302: 40, 304: 20}


def test_an_empty_order_takes_everything_back_and_leaves_others_alone() -> None:
    state = with_orders(RoutesState(), "ab", {"r1": (("r4", 10.0),)})
    state = with_orders(state, "resources", {"r1": (("r3", 30.0),)})
    assert share(state) == {301: 60, 303: 30, 304: 10}
    assert share(with_orders(state, "resources", {})) == {301: 90, 304: 10}


@given(PCT, PCT, PCT, PCT)
def test_all_new_connections_go_somewhere_whatever_is_ordered(
    own: int, first: int, second: int, other: int
) -> None:
    state = RoutesState(routers={"r1": RouterState(split=(("r2", own),) if own else ())})
    state = with_orders(state, "ab", {"r1": (("r4", float(other)),)})
    pair = (("r2", float(first)), ("r3", float(min(second, 100 - first))))
    state = with_orders(state, "resources", {"r1": pair})
    for services in (ONE, TWO):
        found = share(state, services)
        assert sum(found.values()) == 100
        assert min(found.values()) > 0
    assert share(state).get(304, 0) >= other  # the first by name goes first


@pytest.mark.parametrize("parts", [(("r3", 101.0),), (("r3", -1.0),), (("r3", 60.0), ("r2", 50.0))])
def test_more_than_everything_cannot_be_ordered(parts: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(ValueError, match="from 0 to 100 % together"):
        with_orders(RoutesState(), "resources", {"r1": parts})


def test_orders_outlive_the_controller_and_move_no_traffic() -> None:
    state = with_orders(RoutesState(cycle=3), "resources", {"r1": (("r3", 30.0),)})
    again = routes_memory.from_json(routes_memory.to_json(state))
    assert again == state
    in_force = {1: share(state)}
    assert share(routes_memory.continued(again, in_force, ONE, LABELS)) == share(state)


def test_what_a_controller_before_orders_remembered_is_still_read() -> None:
    text = '{"cycle": 3, "frozen": false, "routers": {}}'
    assert routes_memory.from_json(text) == RoutesState(cycle=3)


def test_what_is_in_force_counts_when_it_is_not_what_was_remembered() -> None:
    state = with_orders(RoutesState(), "resources", {"r1": (("r3", 30.0),)})
    found = routes_memory.continued(state, {1: {301: 60, 303: 40}}, ONE, LABELS)
    assert found.ordered == {}
    assert share(found) == {301: 60, 303: 40}


def test_the_state_of_a_plan_keeps_its_orders() -> None:
    state = with_orders(RoutesState(), "resources", {"r1": (("r3", 30.0),)})
    assert replace(state, cycle=9).ordered == state.ordered


def test_a_frozen_router_keeps_what_was_ordered_of_it() -> None:
    state = with_orders(RoutesState(), "resources", {"r1": (("r3", 30.0),)})
    for frozen in (with_freeze(state, "r1", True), with_freeze(state, None, True)):
        assert share(with_orders(frozen, "resources", {})) == {301: 70, 303: 30}
        assert share(with_orders(frozen, "ab", {"r1": (("r4", 50.0),)})) == {301: 70, 303: 30}
    thawed = with_freeze(with_freeze(state, "r1", True), "r1", False)
    assert share(with_orders(thawed, "resources", {})) == {301: 100}


def test_a_weight_set_by_hand_is_all_there_is() -> None:
    state = with_orders(RoutesState(), "resources", {"r1": (("r3", 30.0),)})
    by_hand = with_manual(state, "r1", 10)
    assert share(by_hand) == {301: 100}  # until the next plan, which shifts its 10 %
    assert share(with_manual(by_hand, "r1", None)) == {301: 70, 303: 30}
