"""Standby copies: where they are put, that no limit is exceeded, that they stay, and what is said about it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.destinations import (
    DemandCell,
    Destination,
    Location,
    SiteResources,
    StandbyState,
)
from controller.plan.destinations.placement import plan_standbys
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.state import (
    Demand,
    PlacementAct,
    PlacementPlan,
    PlacementState,
    PlacementView,
    demand_of,
)

RULES = PlacementSettings()
NONE = PlacementState()
T0 = 1_700_000_000.0


def two_sites(
    east_cps: float = 100.0, spare_cps: float = 500.0, room: int = 10, west_cps: float = 100.0
) -> PlacementView:
    """One destination, at home in the west; clients of the east are 1 ms from the east, 31 ms from the west."""
    destinations = [Destination(1, "web", "west")]
    locations = [Location("rome", "east", ("10.2.0.0/16",)), Location("faro", "west", ())]
    return PlacementView(
        destinations,
        locations,
        [
            SiteResources("east", ("r3", "r4"), spare_cps, room, 200.0),
            SiteResources("west", ("r1",), spare_cps, room, 200.0),
        ],
        np.array([[1.0, 31.0], [31.0, 1.0]]),
        demand_of(
            [
                DemandCell(1, "rome", (0.5, 0.9), (east_cps, 1.2 * east_cps)),
                DemandCell(1, "faro", (0.5, 0.9), (west_cps, 1.2 * west_cps)),
            ],
            destinations,
            locations,
            RULES,
        ),
    )


def after(view: PlacementView, plan: PlacementPlan) -> PlacementView:
    return replace(view, standbys=plan.standbys, served=plan.served)


def test_where_the_demand_will_be_there_is_a_copy() -> None:
    plan, _ = plan_standbys(two_sites(), NONE, T0, RULES)
    (copy,) = plan.standbys
    assert (copy.service, copy.site, copy.routers) == (1, "east", ("r3", "r4"))
    assert copy.share_cps == pytest.approx(120.0)
    assert (copy.state, copy.since_s) == (StandbyState.PREPARING, T0)
    assert plan.served == {(1, "rome"): "east"}


def test_the_reason_tells_who_gains_how_much_and_what_it_costs() -> None:
    plan, _ = plan_standbys(two_sites(), NONE, T0, RULES)
    (step,) = plan.steps
    assert step.act is PlacementAct.OPEN
    assert step.reason == (
        "web gets a standby copy at east: 100.0 connections/s are expected from rome, 30.0 ms nearer than at west; "
        "it gains 3000 ms/s and costs 400"
    )
    assert step.inputs["reserved_cps"] == pytest.approx(120.0)


def test_a_copy_that_would_not_pay_is_not_opened() -> None:
    plan, _ = plan_standbys(two_sites(east_cps=13.0), NONE, T0, RULES)  # 29 ms x 13 = 377 < 400
    assert (plan.standbys, plan.served, plan.worth) == ((), {}, 0.0)
    plan, _ = plan_standbys(two_sites(east_cps=14.0), NONE, T0, RULES)
    assert len(plan.standbys) == 1


def test_a_copy_that_exists_stays_until_it_is_worse_than_none_by_the_cost_of_the_change() -> None:
    view = two_sites(east_cps=14.0)
    plan, state = plan_standbys(view, NONE, T0, RULES)
    old_s = T0 + RULES.keep_s
    held = after(view, plan)
    for cps, kept in ((13.0, True), (7.0, True), (5.0, True), (4.5, False)):
        # it gains 31 ms x cps by staying and costs 200 less the 50 of giving it up
        now = replace(held, demand=two_sites(east_cps=cps).demand)
        later, _ = plan_standbys(now, state, old_s, RULES)
        assert bool(later.standbys) is kept, cps
    (step,) = later.steps
    assert step.act is PlacementAct.WITHDRAW
    assert step.reason == (
        "web's copy at east is given up: it could gain 140 ms/s at most, and keeping it costs 150"
    )


def test_a_young_copy_is_not_given_up_for_a_dip() -> None:
    view = two_sites(east_cps=100.0)
    plan, state = plan_standbys(view, NONE, T0, RULES)
    dip = replace(after(view, plan), demand=two_sites(east_cps=0.5).demand)
    young, _ = plan_standbys(dip, state, T0 + 10.0, RULES)
    assert [one.since_s for one in young.standbys] == [T0]
    old, _ = plan_standbys(dip, state, T0 + RULES.keep_s, RULES)
    assert old.standbys == ()


def test_who_does_not_fit_at_the_site_stays_with_the_primary() -> None:
    plan, _ = plan_standbys(two_sites(east_cps=100.0, spare_cps=119.0), NONE, T0, RULES)
    assert plan.served == {}
    plan, _ = plan_standbys(two_sites(east_cps=100.0, spare_cps=121.0), NONE, T0, RULES)
    assert plan.served == {(1, "rome"): "east"}


def test_copies_at_a_site_that_is_down_are_given_up_at_once_and_their_clients_served_elsewhere() -> (
    None
):
    base = two_sites()
    third = SiteResources("south", ("r9",), 500.0, 10, 200.0)
    view = replace(
        base,
        sites=[*base.sites, third],
        latency_ms=np.array([[1.0, 31.0, 6.0], [31.0, 1.0, 25.0]]),
    )
    plan, state = plan_standbys(view, NONE, T0, RULES)
    assert plan.served == {(1, "rome"): "east"}
    down = replace(after(view, plan), sites=[replace(view.sites[0], up=False), *view.sites[1:]])
    plan, _ = plan_standbys(down, state, T0 + 1.0, RULES)
    assert plan.served == {(1, "rome"): "south"}
    assert [(one.act, one.site) for one in plan.steps] == [
        (PlacementAct.OPEN, "south"),
        (PlacementAct.WITHDRAW, "east"),
    ]
    assert plan.steps[1].reason == "web's copy at east is given up: east is down"


def test_a_destination_stays_where_it_may_be() -> None:
    view = two_sites()
    view = replace(view, destinations=[Destination(1, "web", "west", ("west",))])
    assert plan_standbys(view, NONE, T0, RULES)[0].standbys == ()


def test_traffic_does_not_move_for_less_than_the_least_gain() -> None:
    view = two_sites()
    near = replace(view, latency_ms=np.array([[30.2, 31.0], [31.0, 1.0]]))
    assert plan_standbys(near, NONE, T0, RULES)[0].served == {}
    eager = replace(RULES, move_ms=0.0, open_cost=0.0)
    cheap = replace(near, sites=[replace(one, copy_cost=1.0) for one in near.sites])
    assert plan_standbys(cheap, NONE, T0, eager)[0].served == {(1, "rome"): "east"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"latency_ms": np.ones((2, 3))}, "one row per location"),
        ({"destinations": [Destination(1, "web", "north")]}, "north"),
        ({"locations": [Location("rome", "east", ())] * 2}, "location is named twice"),
    ],
)
def test_a_view_that_contradicts_itself_is_refused_with_the_remedy(
    change: dict, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        plan_standbys(replace(two_sites(), **change), NONE, T0, RULES)


def test_demand_between_the_levels_is_interpolated() -> None:
    cell = DemandCell(1, "rome", (0.1, 0.5, 0.9), (10.0, 20.0, 60.0))
    assert [cell.at(level) for level in (0.05, 0.1, 0.3, 0.7, 0.95)] == [10, 10, 15, 40, 60]
    with pytest.raises(ValueError, match="not fall"):
        DemandCell(1, "rome", (0.1, 0.5), (10.0, 9.0))


@st.composite
def views(draw: st.DrawFn) -> tuple[PlacementView, PlacementSettings]:
    """Any world of up to 6 destinations, 5 locations and 4 sites, with any copies that exist, and any limits."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sites, locations = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    destinations = draw(st.integers(1, 6))
    number = destinations * locations
    chosen = np.flatnonzero(random.random(number) < 0.8)
    expected = random.exponential(20.0, len(chosen)) * (random.random(len(chosen)) < 0.9)
    view = PlacementView(
        [Destination(n + 1, f"d{n}", f"s{random.integers(sites)}") for n in range(destinations)],
        [Location(f"l{n}", None, ()) for n in range(locations)],
        [
            SiteResources(
                f"s{n}",
                (f"r{n}",),
                float(random.choice([0.0, 5.0, 50.0, 500.0])),
                int(random.integers(0, 4)),
                float(random.uniform(0.0, 300.0)),
                float(random.choice([0.0, 3.0])),
                bool(random.random() < 0.9),
            )
            for n in range(sites)
        ],
        random.uniform(0.0, 60.0, (locations, sites)),
        Demand(chosen // locations, chosen % locations, expected, 1.3 * expected),
    )
    limits = PlacementSettings(
        copies=draw(st.integers(0, 3)),
        budget=draw(st.sampled_from([0.0, 150.0, 500.0, math.inf])),
        near=draw(st.integers(1, 4)),
        repairs=8,
        passes=3,
    )
    return view, limits


@settings(max_examples=60, deadline=None)
@given(views(), st.integers(0, 2**16))
def test_no_limit_is_ever_exceeded_also_when_it_shrinks_under_existing_copies(
    case: tuple[PlacementView, PlacementSettings], seed: int
) -> None:
    view, limits = case
    plan, state = plan_standbys(view, NONE, T0, limits)
    _assert_within(view, limits, plan)
    random = np.random.default_rng(seed)
    tighter = replace(limits, copies=int(random.integers(0, limits.copies + 1)))
    shrunk = replace(
        after(view, plan),
        sites=[
            replace(
                one, spare_cps=one.spare_cps * random.random(), room=int(one.room * random.random())
            )
            for one in view.sites
        ],
    )
    second, _ = plan_standbys(shrunk, state, T0 + 2.0, tighter)
    _assert_within(shrunk, tighter, second)
    _assert_steps(plan, second)


@settings(max_examples=30, deadline=None)
@given(views())
def test_the_same_view_gives_the_same_plan_and_a_settled_plan_does_not_change(
    case: tuple[PlacementView, PlacementSettings],
) -> None:
    view, limits = case
    limits = replace(limits, keep_s=0.0)  # else copies age, and a plan may rightly change later
    plan, state = plan_standbys(view, NONE, T0, limits)
    assert plan_standbys(view, NONE, T0, limits) == (plan, state)
    assert plan.worth >= 0.0
    held, now_s = view, T0
    for _ in range(8):
        before, held, now_s = plan, after(held, plan), now_s + 1.0
        plan, state = plan_standbys(held, state, now_s, limits)
    assert plan.served == before.served
    assert plan.steps == ()


def _assert_within(view: PlacementView, limits: PlacementSettings, plan: PlacementPlan) -> None:
    sites = {one.site: one for one in view.sites}
    homes = {one.service: one.primary_site for one in view.destinations}
    copies = {(one.service, one.site) for one in plan.standbys}
    reserve: dict[tuple[int, str], float] = {
        (view.destinations[d].service, view.locations[place].name): amount
        for d, place, amount in zip(
            view.demand.destination.tolist(),
            view.demand.location.tolist(),
            view.demand.reserve.tolist(),
            strict=True,
        )
    }
    loads: defaultdict[str, float] = defaultdict(float)
    shares: defaultdict[tuple[int, str], float] = defaultdict(float)
    for key, site in plan.served.items():
        assert (key[0], site) in copies
        loads[site] += reserve[key]
        shares[key[0], site] += reserve[key]
    for site, load in loads.items():
        assert load <= sites[site].spare_cps * (1.0 + 1e-9)
    for site, count in Counter(one.site for one in plan.standbys).items():
        assert sites[site].up
        assert count <= sites[site].room
    for count in Counter(one.service for one in plan.standbys).values():
        assert count <= limits.copies
    assert sum(sites[one.site].copy_cost for one in plan.standbys) <= limits.budget * (1.0 + 1e-9)
    for one in plan.standbys:
        assert one.site != homes[one.service]
        assert one.share_cps == pytest.approx(shares[one.service, one.site])


def _assert_steps(before: PlacementPlan, now: PlacementPlan) -> None:
    old = {(one.service, one.site) for one in before.standbys}
    new = {(one.service, one.site) for one in now.standbys}
    told = {act: {(s.service, s.site) for s in now.steps if s.act is act} for act in PlacementAct}
    assert told == {PlacementAct.OPEN: new - old, PlacementAct.WITHDRAW: old - new}
    assert all(step.reason for step in now.steps)
