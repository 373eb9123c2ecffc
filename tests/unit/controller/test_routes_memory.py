"""A restarted controller goes on where the last one stopped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.routes_memory import continued, from_json, to_json
from controller.plan.routes_shares import shares
from controller.plan.routes_state import RouterState, RoutesState, ServiceView

NAMES = ("r1", "r2", "r3", "r4")
LABELS = {name: 301 + index for index, name in enumerate(NAMES)}
SERVICES = (ServiceView(1, ("r1",)), ServiceView(2, ("r2", "r3")))


def in_force(state: RoutesState) -> dict[int, dict[int, int]]:
    now = shares(SERVICES, ("e1",), LABELS, state)
    return {service.id: dict(now["e1", service.id]) for service in SERVICES}


@st.composite
def states(draw: st.DrawFn) -> RoutesState:
    routers = {}
    for name in NAMES:
        others = [other for other in NAMES if other != name]
        split = draw(st.dictionaries(st.sampled_from(others), st.integers(1, 16), max_size=3))
        routers[name] = RouterState(
            tuple(split.items()),
            draw(st.sampled_from([-1, 0, 1])),
            tuple(draw(st.lists(st.integers(0, 99), max_size=3))),
            draw(st.none() | st.integers(0, 100)),
            draw(st.booleans()),
            draw(st.sampled_from(["", "no_room"])),
        )
    return RoutesState(draw(st.integers(0, 10**6)), routers, draw(st.booleans()))


@given(states())
def test_the_state_survives_being_written_down(state: RoutesState) -> None:
    assert from_json(to_json(state)) == state


@given(states())
def test_what_is_remembered_and_in_force_goes_on_unchanged(state: RoutesState) -> None:
    assert continued(state, in_force(state), SERVICES, LABELS) == state


@given(st.dictionaries(st.sampled_from(["r2", "r3", "r4"]), st.integers(1, 16), max_size=3))
def test_with_nothing_remembered_the_switches_tell_the_shift(split: dict[str, int]) -> None:
    before = RoutesState(routers={"r1": RouterState(tuple(split.items()))})
    after = continued(RoutesState(), in_force(before), SERVICES, LABELS)
    assert in_force(after)[1] == in_force(before)[1]
    assert dict(after.of("r1").split) == split


def test_the_switches_are_right_when_the_memory_is_old() -> None:
    old = RoutesState(7, {"r1": RouterState((("r2", 10),), manual_pct=10, frozen=True)})
    now = RoutesState(9, {"r1": RouterState((("r2", 20), ("r3", 10)))})
    after = continued(old, in_force(now), SERVICES, LABELS)
    assert dict(after.of("r1").split) == {"r2": 20, "r3": 10}
    assert after.of("r1").frozen
    assert after.cycle == 7


def test_routers_that_left_the_configuration_are_forgotten() -> None:
    old = RoutesState(
        1, {"r9": RouterState((("r1", 5),)), "r1": RouterState((("r9", 5), ("r2", 5)))}
    )
    after = continued(old, {}, SERVICES, LABELS)
    assert after.routers == {"r1": RouterState((("r2", 5),))}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cycle": 1, "routers": [], "frozen": true}'])
def test_a_memory_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
