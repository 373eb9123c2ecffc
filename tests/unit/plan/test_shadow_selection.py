"""Who stands in for whom, for any fabric, any noise and any failure."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import Config
from controller.model import Fabric, Stage
from controller.plan.replicas import MAX_NUMBER, primary_numbers
from controller.plan.shadows import candidates, ranked, select
from controller.plan.shadows_near import trips
from controller.plan.shadows_reasons import Assessment, explain
from controller.plan.shadows_state import (
    Peer,
    Seat,
    ShadowInputs,
    ShadowSettings,
    ShadowState,
    Trip,
    from_json,
    to_json,
)
from topologies.clos import ClosSpec, configuration

RULES = ShadowSettings()
FIXED = {"r1": {"r2": 1.0, "r3": 1.2, "r4": 2.0}}


def routers(*names: str, **domains: str) -> tuple[Peer, ...]:
    return tuple(Peer(name, domains.get(name, "main"), 400.0) for name in names)


def near(
    peers: tuple[Peer, ...], own: dict[str, dict[str, float]], measured: bool = True
) -> ShadowInputs:
    """own: primary → candidate → round trip; everybody else is 5 ms from everybody."""
    names = [peer.name for peer in peers]
    found = {
        a: {b: Trip(own.get(a, {}).get(b, 5.0), measured) for b in names if b != a} for a in names
    }
    return ShadowInputs(peers, found)


def run(
    inputs: ShadowInputs,
    cycles: int = 1,
    state: ShadowState | None = None,
    rules: ShadowSettings = RULES,
) -> ShadowState:
    state = state or ShadowState()
    for _ in range(cycles):
        state = select(state, inputs, rules, float(state.cycle))
    return state


def changed(inputs: ShadowInputs, name: str, **values: object) -> ShadowInputs:
    return replace(
        inputs,
        peers=tuple(replace(p, **values) if p.name == name else p for p in inputs.peers),  # type: ignore[arg-type]
    )


def about(state: ShadowState, inputs: ShadowInputs, primary: str, name: str) -> Assessment:
    return next(one for one in explain(state, inputs, RULES, primary) if one.name == name)


def clos(count: int) -> Fabric:
    return Config.model_validate(configuration(ClosSpec(routers=count))).fabric()


FOUR = routers("r1", "r2", "r3", "r4")


def test_the_nearest_by_measurement_stand_in() -> None:
    state = run(near(FOUR, FIXED))
    assert state.assigned["r1"] == ("r2", "r3")


def test_a_dead_shadow_is_replaced_in_the_same_cycle_and_does_not_come_straight_back() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs)
    dead = run(changed(inputs, "r2", usable=False, failed=True), 1, state)
    assert dead.assigned["r1"] == ("r3", "r4")
    again = run(inputs, 20, dead)
    assert again.assigned["r1"] == ("r3", "r4"), "patience: r2 has to be better for 30 cycles"
    assert "r2 failed" in dead.changes["r1"][-2].why


def test_a_shadow_whose_stream_is_down_is_given_time() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs)
    silent = changed(inputs, "r2", usable=False)
    assert run(silent, RULES.silent_cycles, state).assigned["r1"] == ("r2", "r3")
    back = run(inputs, 1, run(silent, RULES.silent_cycles, state))
    assert run(silent, RULES.silent_cycles, back).assigned["r1"] == ("r2", "r3")
    assert run(silent, RULES.silent_cycles + 1, state).assigned["r1"] == ("r3", "r4")


def test_a_full_shadow_is_replaced_after_its_patience_only() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs)
    full = changed(inputs, "r2", available=10.0)
    assert run(full, RULES.full_cycles - 1, state).assigned["r1"] == ("r2", "r3")
    after = run(full, RULES.full_cycles, state)
    assert after.assigned["r1"] == ("r4", "r3")
    assert "has been full for 10 cycles" in after.changes["r1"][-1].why


def test_a_full_candidate_is_better_than_no_shadow() -> None:
    inputs = changed(near(FOUR, FIXED), "r2", available=1.0)
    inputs = changed(changed(inputs, "r3", available=1.0), "r4", available=1.0)
    assert len(run(inputs).assigned["r1"]) == 2


def test_somebody_clearly_better_takes_over_after_patience_and_tenure() -> None:
    state = run(near(FOUR, FIXED))
    better = near(FOUR, {"r1": {"r2": 1.0, "r3": 4.0, "r4": 1.0}})
    waited = max(RULES.patience_cycles, RULES.tenure_cycles)
    assert run(better, waited - 2, state).assigned["r1"] == ("r2", "r3")
    later = run(better, waited, state)
    assert later.assigned["r1"] == ("r2", "r4")
    assert "r4 was better for" in later.changes["r1"][-1].why


def test_somebody_slightly_better_never_does() -> None:
    state = run(near(FOUR, FIXED))
    little = near(FOUR, {"r1": {"r2": 1.0, "r3": 1.2, "r4": 0.9}})
    assert run(little, 300, state).assigned["r1"] == ("r2", "r3")
    why = about(run(little, 1, state), little, "r1", "r4").why
    assert "a change needs 1.5 times" in why


def test_one_shadow_is_in_another_failure_domain_when_that_is_near_enough() -> None:
    peers = routers("r1", "r2", "r3", "far", far="rack2")
    within = near(peers, {"r1": {"r2": 1.0, "r3": 1.0, "far": 9.0}})
    state = run(within)
    assert state.assigned["r1"] == ("r2", "far")
    assert "only one in another failure domain" in about(state, within, "r1", "far").why
    assert "only shadow in another failure domain" in about(state, within, "r1", "r3").why
    beyond = near(peers, {"r1": {"r2": 1.0, "r3": 1.0, "far": 11.0}})
    assert run(beyond).assigned["r1"] == ("r2", "r3")
    assert run(beyond, 200, state).assigned["r1"] == ("r2", "far"), "not for ten per cent"


def test_a_failure_domain_that_becomes_near_enough_gets_a_shadow() -> None:
    peers = routers("r1", "r2", "r3", "far", far="rack2")
    state = run(near(peers, {"r1": {"r2": 1.0, "r3": 1.1, "far": 30.0}}))
    assert state.assigned["r1"] == ("r2", "r3")
    closer = near(peers, {"r1": {"r2": 1.0, "r3": 1.1, "far": 8.0}})
    assert run(closer, 62, state).assigned["r1"] == ("r2", "far")


def test_shadows_are_spread_over_several_other_domains() -> None:
    peers = routers("r1", "r2", "r3", "r4", r2="b", r3="b", r4="c")
    inputs = near(peers, {"r1": {"r2": 1.0, "r3": 1.0, "r4": 1.5}})
    assert run(inputs).assigned["r1"] == ("r2", "r4")


def test_while_a_router_is_down_its_shadows_stay() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs)
    down = changed(
        near(FOUR, {"r1": {"r2": 9.0, "r3": 9.0, "r4": 0.5}}), "r1", usable=False, failed=True
    )
    assert run(down, 200, state).assigned["r1"] == ("r2", "r3")
    both = changed(down, "r2", usable=False, failed=True)
    assert run(both, 5, state).assigned["r1"] == ("r3",), "nobody else knows its connections"


def test_a_controller_that_is_cut_off_changes_nothing() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs)
    for name in ("r1", "r2", "r3", "r4"):
        inputs = changed(inputs, name, usable=False, failed=True)
    assert run(inputs, 50, state).assigned == state.assigned


def test_named_shadows_are_the_only_ones_and_come_in_that_order() -> None:
    rules = replace(RULES, overrides={"r1": ("r4", "r2")})
    inputs = near(FOUR, FIXED)
    state = run(inputs, rules=rules)
    assert state.assigned["r1"] == ("r4", "r2")
    dead = run(changed(inputs, "r4", usable=False, failed=True), 100, state, rules)
    assert dead.assigned["r1"] == ("r2",)
    assert run(inputs, 1, dead, rules).assigned["r1"] == ("r2", "r4")


def test_what_is_only_configured_replaces_nothing_that_was_measured() -> None:
    state = run(near(FOUR, FIXED))
    inputs = near(FOUR, {"r1": {"r2": 1.0, "r3": 5.0}})
    mixed = {**inputs.trips, "r1": {**inputs.trips["r1"], "r4": Trip(0.2, False)}}
    unmeasured = replace(inputs, trips=mixed)
    assert run(unmeasured, 200, state).assigned["r1"] == ("r2", "r3")
    assert "not measured yet" in about(state, unmeasured, "r1", "r4").why


def test_an_unmeasured_round_trip_gets_what_measured_ones_take_beyond_the_configured() -> None:
    found = trips({"r1": {"r2": 0.0, "r3": 0.0, "r4": 10.0}}, {("r1", "r2"): 0.8})
    assert found["r1"]["r2"] == Trip(0.8, True)
    assert found["r1"]["r3"] == Trip(0.8, False)
    assert found["r1"]["r4"] == Trip(10.8, False)


def test_fewer_configured_shadows_are_fewer_shadows() -> None:
    inputs = near(FOUR, FIXED)
    state = run(inputs, rules=replace(RULES, per_router=3))
    assert len(state.assigned["r1"]) == 3
    assert len(run(inputs, 1, state).assigned["r1"]) == 2


def test_everything_about_a_router_is_explained() -> None:
    inputs = changed(near(FOUR, FIXED), "r4", usable=False, failed=True)
    state = run(inputs)
    seen = explain(state, inputs, RULES, "r1")
    assert [one.name for one in seen] == ["r2", "r3", "r4"]
    assert [one.state for one in seen] == ["shadow", "shadow", "failed"]
    assert all(one.why and one.cost_ms for one in seen)
    with pytest.raises(KeyError):
        explain(state, inputs, RULES, "r9")


@st.composite
def fabrics(draw: st.DrawFn) -> ShadowInputs:
    size = draw(st.integers(2, 9))
    states = [(True, False), (True, False), (True, False), (False, True), (False, False)]
    peers = []
    for n in range(size):
        usable, failed = draw(st.sampled_from(states))
        peers.append(
            Peer(
                f"r{n}",
                draw(st.sampled_from(["a", "b", "c"])),
                draw(st.sampled_from([100.0, 400.0, 1600.0])),
                usable,
                draw(st.sampled_from([None, 0.0, 30.0, 100.0, 400.0])),
                failed,
            )
        )
    where = [draw(st.floats(0.0, 20.0)) for _ in range(size)]
    found: dict[str, dict[str, Trip]] = {}
    for i, one in enumerate(peers):
        found[one.name] = {
            other.name: Trip(0.5 + abs(where[i] - where[j]), draw(st.booleans()))
            for j, other in enumerate(peers)
            if i != j and draw(st.sampled_from([True, True, True, False]))
        }
    return ShadowInputs(tuple(peers), found)


@settings(max_examples=80, deadline=None)
@given(st.lists(fabrics(), min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 12))
def test_never_itself_never_a_dead_one_while_a_living_one_is_there(
    story: list[ShadowInputs], per_router: int, each: int
) -> None:
    rules = replace(RULES, per_router=per_router, patience_cycles=2, tenure_cycles=3, full_cycles=2)
    state = ShadowState()
    for inputs in story:
        for _ in range(each):
            before = state
            state = select(state, inputs, rules, 0.0)
            usable = {peer.name for peer in inputs.peers if peer.usable}
            failed = {peer.name for peer in inputs.peers if peer.failed}
            if not usable:
                assert state.assigned == before.assigned
                continue
            for primary, own in state.assigned.items():
                assert primary not in own
                assert len(set(own)) == len(own) <= per_router
                assert not set(own) & failed
                reach = usable & inputs.trips[primary].keys()
                if primary in usable or not own:
                    assert len(own) >= min(per_router, len(reach))
    assert state == from_json(to_json(state), frozenset(f"r{n}" for n in range(9)))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.integers(0, 3), st.integers(16, 60))
def test_nobody_is_the_shadow_of_more_than_it_has_numbers_for(
    per_router: int, seed: int, size: int
) -> None:
    rng = random.Random(seed)
    peers = routers(*(f"r{n}" for n in range(size)))
    # Everybody would like the same few.
    found = {
        a.name: {
            b.name: Trip(0.5 if j < 3 else 5.0 + rng.random())
            for j, b in enumerate(peers)
            if b is not a
        }
        for a in peers
    }
    rules = replace(RULES, per_router=per_router, patience_cycles=2, tenure_cycles=2)
    state = run(ShadowInputs(peers, found), 6, rules=rules)
    used = Counter(name for own in state.assigned.values() for name in own)
    for name, primaries in used.items():
        known = {*state.primaries_of(name), *state.assigned[name]}
        assert primaries == len(state.primaries_of(name))
        assert len(known) <= MAX_NUMBER
    assert all(len(own) == per_router for own in state.assigned.values())


def test_an_assignment_of_other_settings_is_cut_back_to_what_there_are_numbers_for() -> None:
    fabric = clos(20)
    names = [router.name for router in fabric.stage(Stage.ROUTER)]
    seats = {name: (Seat("r1", 1),) for name in names[1:14]}  # as many as with one shadow each
    rules = replace(RULES, per_router=3, overrides={"r2": ("r1",)})
    state = run(near(routers(*names), {}), 1, ShadowState(1, seats), rules)
    assert state.assigned["r2"] == ("r1",)
    assert len({*state.primaries_of("r1"), *state.assigned["r1"]}) <= MAX_NUMBER
    assert primary_numbers(fabric, state.assigned)
    assert any("too many" in change.why for own in state.changes.values() for change in own)


def test_a_shadow_that_is_named_may_be_far_down_the_list() -> None:
    fabric = clos(40)
    assert "r30" not in candidates(fabric)["r1"]
    assert candidates(fabric, overrides={"r1": ("r30",)})["r1"] == ("r30",)


def settled(inputs: ShadowInputs) -> ShadowState:
    state = run(inputs, 5)
    for _ in range(20):
        before = state.assigned
        state = run(inputs, 70, state)
        if state.assigned == before:
            return state
    raise AssertionError("the assignments do not come to rest")


@settings(max_examples=12, deadline=None)
@given(fabrics(), st.integers(0, 1000))
def test_noise_changes_nothing(inputs: ShadowInputs, seed: int) -> None:
    inputs = replace(
        inputs, peers=tuple(replace(p, usable=True, failed=False) for p in inputs.peers)
    )
    state = settled(inputs)
    rng = random.Random(seed)
    for _ in range(200):
        noisy = {
            primary: {
                name: replace(trip, ms=trip.ms * rng.uniform(0.85, 1.18))
                for name, trip in own.items()
            }
            for primary, own in inputs.trips.items()
        }
        after = select(state, replace(inputs, trips=noisy), RULES, 0.0)
        assert after.assigned == state.assigned
        state = after


@settings(max_examples=30, deadline=None)
@given(fabrics())
def test_the_same_inputs_give_the_same_assignment(inputs: ShadowInputs) -> None:
    assert run(inputs, 40) == run(inputs, 40)
    state = run(inputs, 3)
    for primary, names in ranked(state, inputs, RULES).items():
        assert primary not in names
        assert len(set(names)) == len(names)
        shown = explain(state, inputs, RULES, primary)
        own = tuple(one.name for one in shown if one.state == "shadow")
        assert own == state.assigned.get(primary, ())
