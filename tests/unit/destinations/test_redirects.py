"""Redirects over time: where new connections go while copies come, fail, come back, and pay or do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.destinations import Destination, Location, Standby, StandbyState
from controller.plan.redirects.achieved import Achieved
from controller.plan.redirects.decision import route_traffic
from controller.plan.redirects.engine import plan_redirects
from controller.plan.redirects.memory import from_json, to_json
from controller.plan.redirects.rows import redirects_of
from controller.plan.redirects.settings import RedirectSettings
from controller.plan.redirects.state import (
    RedirectAct,
    RedirectPlan,
    RedirectState,
    RedirectView,
)

RULES = RedirectSettings()
NEW = RedirectState()
T0 = 1_700_000_000.0
WEB = 1
READY, PREPARING, DRAINING, FAILED = (
    StandbyState.READY,
    StandbyState.PREPARING,
    StandbyState.DRAINING,
    StandbyState.FAILED,
)


def copy_at(site: str, state: StandbyState = READY, share_cps: float = 150.0) -> Standby:
    return Standby(WEB, site, (f"r-{site}",), share_cps, T0, state)


def world(*standbys: Standby, rome: str | None = "east") -> RedirectView:
    """One destination at home in the west; rome is 1 ms from the east, 10 ms from the north, 31 ms from the west."""
    return RedirectView(
        [Destination(WEB, "web", "west")],
        [Location("rome", "east", ("10.2.0.0/16",)), Location("oslo", "north", ("10.3.0.0/16",))],
        standbys or (copy_at("east"), copy_at("north")),
        {} if rome is None else {(WEB, "rome"): rome},
        {
            ("rome", "east"): 1.0,
            ("rome", "north"): 10.0,
            ("rome", "west"): 31.0,
            ("oslo", "north"): 1.0,
            ("oslo", "east"): 10.0,
            ("oslo", "west"): 31.0,
        },
        forecast_cps={(WEB, "rome"): 100.0, (WEB, "oslo"): 80.0},
    )


def rome_goes_to(plan: RedirectPlan) -> str:
    return route_traffic(plan.routing, "10.2.0.1", WEB)


def run(
    view: RedirectView,
    state: RedirectState = NEW,
    now_s: float = T0,
    rules: RedirectSettings = RULES,
) -> tuple[RedirectPlan, RedirectState]:
    return plan_redirects(view, state, now_s, rules)


FAILING = replace(world(), failed=frozenset({(WEB, "east")}))


def test_a_ready_copy_gets_new_connections_and_says_why() -> None:
    plan, _ = run(world())
    assert rome_goes_to(plan) == "east"
    assert [(one.source_prefix, one.site) for one in plan.redirects] == [("10.2.0.0/16", "east")]
    [step] = plan.steps
    assert step.act is RedirectAct.REDIRECT
    assert step.reason == (
        "new connections from rome to web go to east instead of west: "
        "a copy is ready there, 30.0 ms nearer than west; 100.0 connections/s are expected"
    )


@pytest.mark.parametrize("state", [PREPARING, DRAINING, FAILED])
def test_a_copy_that_is_not_ready_gets_none(state: StandbyState) -> None:
    plan, _ = run(world(copy_at("east", state)))
    assert rome_goes_to(plan) == "west"
    assert plan.redirects == ()


def test_the_slot_set_is_there_before_anybody_is_redirected() -> None:
    early, state = run(world(copy_at("east", PREPARING)))
    assert early.redirects == ()
    then, _ = run(world(), state)
    assert early.slot_sets[WEB, "east"] == then.slot_sets[WEB, "east"]


def test_nothing_changes_while_nothing_happens() -> None:
    first, state = run(world())
    again, after = run(world(), state, T0 + 10)
    assert again.steps == ()
    assert again.redirects == first.redirects
    assert after.rows[WEB] is state.rows[WEB]


def test_a_location_stays_where_it_is_until_its_new_copy_is_ready() -> None:
    _, state = run(world())
    moving = world(copy_at("east"), copy_at("north", PREPARING), rome="north")
    plan, state = run(moving, state)
    assert rome_goes_to(plan) == "east"
    plan, _ = run(world(rome="north"), state)
    assert rome_goes_to(plan) == "north"
    assert plan.steps[0].act is RedirectAct.MOVE


def test_a_failed_copy_is_replaced_at_once_by_the_nearest_with_room() -> None:
    _, state = run(world())
    plan, _ = run(FAILING, state, T0 + 1)
    assert rome_goes_to(plan) == "north"
    [step] = plan.steps
    assert step.act is RedirectAct.FAIL_OVER
    assert "the copy at east does not serve" in step.reason


def test_without_room_elsewhere_the_primary_serves_at_once() -> None:
    full = world(copy_at("east"), copy_at("north", share_cps=99.0))
    _, state = run(full)
    plan, _ = run(replace(full, failed=frozenset({(WEB, "east")})), state)
    assert rome_goes_to(plan) == "west"
    assert plan.steps[0].act is RedirectAct.FAIL_OVER


def test_who_stands_in_takes_only_what_its_own_clients_leave() -> None:
    view = world()
    view = replace(view, served={(WEB, "rome"): "east", (WEB, "oslo"): "north"})
    _, state = run(view)
    plan, _ = run(replace(view, failed=frozenset({(WEB, "east")})), state)
    assert rome_goes_to(plan) == "west"  # 80 of 150 are oslo's
    assert route_traffic(plan.routing, "10.3.0.1", WEB) == "north"


def test_it_fails_back_only_after_the_copy_was_well_for_a_while() -> None:
    _, state = run(world())
    _, state = run(FAILING, state, T0 + 1)
    plan, state = run(world(), state, T0 + 2)
    assert rome_goes_to(plan) == "north"
    plan, state = run(world(), state, T0 + 2 + RULES.hold_s - 0.1)
    assert rome_goes_to(plan) == "north"
    plan, state = run(world(), state, T0 + 2 + RULES.hold_s)
    assert rome_goes_to(plan) == "east"
    assert plan.steps[0].act is RedirectAct.FAIL_BACK


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 100.0)), max_size=40))
def test_a_flapping_copy_is_never_used_while_it_fails_and_changes_get_rare(
    story: list[tuple[bool, float]],
) -> None:
    state, now_s = NEW, T0
    well_since_s: float | None = T0 - 1e6
    failures = 0
    for failing, wait_s in story:
        now_s += wait_s
        plan, state = run(FAILING if failing else world(), state, now_s)
        if failing:
            failures += well_since_s is not None
            well_since_s = None
            assert rome_goes_to(plan) == "north"
        else:
            well_since_s = now_s if well_since_s is None else well_since_s
            if failures and now_s - T0 < RULES.forget_s:
                wait = min(RULES.hold_max_s, RULES.hold_s * 2 ** (failures - 1))
                assert (rome_goes_to(plan) == "east") == (now_s - well_since_s >= wait)


def did(connections: int = 1000, latency_ms: float = 40.0, refused: int = 0) -> Achieved:
    return Achieved(WEB, "rome", "east", connections, 10.0, latency_ms, 31.0, refused)


def test_a_redirect_that_does_not_pay_is_withdrawn_and_tried_again_later() -> None:
    _, state = run(world())
    now_s = T0
    for cycle in range(RULES.losing_cycles):
        now_s += 10
        plan, state = run(replace(world(), achieved=[did()]), state, now_s)
        assert rome_goes_to(plan) == ("east" if cycle + 1 < RULES.losing_cycles else "west")
    [step] = plan.steps
    assert step.act is RedirectAct.RETURN
    assert step.reason == (
        "new connections from rome to web return to west instead of east: "
        "it gained -900 ms/s; tried again in 300 s at the earliest"
    )
    plan, state = run(world(), state, now_s + RULES.retry_s - 1)
    assert rome_goes_to(plan) == "west"
    now_s += RULES.retry_s
    plan, state = run(world(), state, now_s)
    assert rome_goes_to(plan) == "east"
    for _ in range(RULES.losing_cycles):
        now_s += 10
        plan, state = run(replace(world(), achieved=[did()]), state, now_s)
    plan, state = run(world(), state, now_s + 2 * RULES.retry_s - 1)
    assert rome_goes_to(plan) == "west"
    plan, state = run(world(), state, now_s + 2 * RULES.retry_s)
    assert rome_goes_to(plan) == "east"


def test_one_that_pays_is_kept_in_spite_of_a_bad_cycle() -> None:
    _, state = run(world())
    for cycle in range(30):
        bad = cycle % 4 == 3
        view = replace(world(), achieved=[did(latency_ms=35.0 if bad else 2.0)])
        plan, state = run(view, state, T0 + 10 * cycle)
        assert rome_goes_to(plan) == "east"


def test_a_handful_of_connections_proves_nothing() -> None:
    _, state = run(world())
    for cycle in range(20):
        few = did(connections=RULES.least_connections - 1)
        plan, state = run(replace(world(), achieved=[few]), state, T0 + 10 * cycle)
        assert rome_goes_to(plan) == "east"


def test_a_copy_that_refuses_sheds_those_who_gain_least() -> None:
    view = world()
    view = replace(view, served={(WEB, "rome"): "east", (WEB, "oslo"): "east"})
    _, state = run(view)
    oslo = Achieved(WEB, "oslo", "east", 800, 10.0, 10.0, 31.0, 50)
    plan, _ = run(replace(view, achieved=[did(latency_ms=1.0, refused=50), oslo]), state, T0 + 10)
    assert rome_goes_to(plan) == "east"
    assert route_traffic(plan.routing, "10.3.0.1", WEB) == "west"
    assert "the copy refuses connections" in plan.steps[0].reason


def test_what_comes_corrects_what_is_forecast() -> None:
    cell = (WEB, "rome")
    state = NEW
    for cycle in range(20):
        view = replace(world(), forecast_before_cps={cell: 99.0}, observed_cps={cell: 199.0})
        _, state = run(view, state, T0 + 10 * cycle)
    assert state.corrections[cell] == pytest.approx(2.0, rel=0.01)
    view = replace(world(), forecast_before_cps={cell: 0.0}, observed_cps={cell: 1e9})
    for cycle in range(60):
        _, state = run(view, state, T0 + 10 * cycle)
    assert state.corrections[cell] == pytest.approx(RULES.correction_max)


def test_rows_that_do_not_fit_leave_their_service_to_the_primary() -> None:
    rules = RedirectSettings(rows=0)
    plan, _ = run(world(), rules=rules)
    assert plan.left_out == (WEB,)
    assert plan.redirects == ()
    assert rome_goes_to(plan) == "west"


def test_without_room_for_its_slot_set_a_copy_gets_nobody() -> None:
    plan, _ = run(world(copy_at("east")), rules=RedirectSettings(slot_sets=0))
    assert rome_goes_to(plan) == "west"


def test_a_restart_changes_nothing() -> None:
    _, state = run(world(copy_at("north"), rome="north"))
    _, state = run(replace(world(), achieved=[did()]), state, T0 + 1)
    view = replace(
        FAILING, forecast_before_cps={(WEB, "rome"): 9.0}, observed_cps={(WEB, "rome"): 3.0}
    )
    _, state = run(view, state, T0 + 2)
    again = from_json(to_json(state))
    assert again == replace(state, prefixes=(), sources=None, rows={})
    assert run(world(), again, T0 + 3)[0] == run(world(), state, T0 + 3)[0]


def test_prefixes_are_read_again_only_when_they_are_others() -> None:
    plan, state = run(world())
    again, state = run(world(), state, T0 + 1)
    assert again.routing.sources is plan.routing.sources
    rome, oslo = world().locations
    moved = [replace(rome, prefixes=("10.4.0.0/16",)), oslo]
    plan, _ = run(replace(world(), locations=moved), state, T0 + 2)
    assert route_traffic(plan.routing, "10.4.0.1", WEB) == "east"
    assert route_traffic(plan.routing, "10.2.0.1", WEB) == "west"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"turn": 1, "sites": [[1]]}'])
def test_a_state_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no state of redirects"):
        from_json(text)


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="told twice"):
        run(world(copy_at("east"), copy_at("east")))
    with pytest.raises(ValueError, match="name the destination and the location"):
        run(replace(world(), served={(WEB, "atlantis"): "east"}))


states = st.sampled_from([None, PREPARING, READY, DRAINING, FAILED])
sites = st.sampled_from([None, "east", "north", "west"])
moments = st.tuples(
    st.tuples(states, states),
    st.tuples(sites, sites),
    st.frozensets(st.sampled_from(["east", "north"])),
    st.floats(0.1, 400.0),
    st.floats(0.0, 60.0),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(moments, min_size=1, max_size=12))
def test_whatever_happens_rows_are_the_decision_and_only_copies_that_serve_are_used(
    story: list[
        tuple[
            tuple[StandbyState | None, StandbyState | None],
            tuple[str | None, str | None],
            frozenset[str],
            float,
            float,
        ]
    ],
) -> None:
    state, now_s = NEW, T0
    for (east, north), (rome, oslo), failed, wait_s, latency_ms in story:
        now_s += wait_s
        standbys = {
            site: copy_at(site, one) for site, one in (("east", east), ("north", north)) if one
        }
        served = {(WEB, at): to for at, to in (("rome", rome), ("oslo", oslo)) if to}
        view = replace(
            world(),
            standbys=tuple(standbys.values()),
            served=served,
            failed=frozenset((WEB, site) for site in failed),
            achieved=[did(latency_ms=latency_ms)],
        )
        before = state.sites
        plan, state = run(view, state, now_s)
        assert plan.redirects == redirects_of(plan.routing, WEB)
        for cell, site in plan.routing.predicted.items():
            assert cell in served
            assert standbys[site].state is READY
            assert site not in failed
        changed = {
            c for c in before.keys() | state.sites.keys() if before.get(c) != state.sites.get(c)
        }
        assert {(one.service, one.location) for one in plan.steps} == changed
        assert all(one.reason for one in plan.steps)
