"""Who sends replica records to whom, and under which numbers they are held."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import Fabric, Hop, Idle, Link, Port, PrimaryRow, SessionRow, Stage, Switch
from controller.plan.fabric import fabric_plan
from controller.plan.replicas import (
    CPU_PORT,
    CPU_SESSION,
    SHADOWS_SESSION,
    primaries_of,
    primary_numbers,
)
from harness.small import E1, R1, R2, mac, small_fabric

MUTUAL = {"r1": ("r2",), "r2": ("r1",)}


def routers(count: int) -> Fabric:
    """A star: one spine, that many routers."""
    switches = [Switch("s1", Stage.SPINE, 1, "127.0.0.1:1", 200, "02:00:00:00:00:01")]
    links = []
    for number in range(1, count + 1):
        switches.append(
            Switch(
                f"r{number}",
                Stage.ROUTER,
                number,
                "127.0.0.1:1",
                300 + number,
                "02:00:00:00:00:02",
            )
        )
        links.append(Link(Port(f"r{number}", 1), Port("s1", number)))
    return Fabric(tuple(switches), tuple(links), (), (), ())


def test_a_switch_without_shadows_sends_no_records_and_accepts_none() -> None:
    node = fabric_plan(small_fabric(), idle=Idle()).node("r1")
    assert not node.replicate
    assert node.primaries == ()
    assert [row.id for row in node.sessions] == [CPU_SESSION]


def test_records_go_to_every_shadow_and_to_each_alone() -> None:
    fabric = routers(4)
    node = fabric_plan(fabric, idle=Idle(), shadows={"r1": ("r2", "r3")}).node("r1")
    assert node.replicate
    assert node.sessions == (
        SessionRow(SHADOWS_SESSION, ((1, 302), (1, 303))),
        SessionRow(CPU_SESSION, ((CPU_PORT, 0),)),
        SessionRow(302, ((1, 302),)),
        SessionRow(303, ((1, 303),)),
    )


def test_a_shadow_may_give_back_and_its_primary_accepts_it() -> None:
    plan = fabric_plan(routers(4), idle=Idle(), shadows={"r1": ("r2",)})
    assert {row.id for row in plan.node("r2").sessions} == {CPU_SESSION, 301}
    assert [row.origin for row in plan.node("r1").primaries] == [302]
    assert [row.origin for row in plan.node("r2").primaries] == [301]
    assert plan.node("r3").primaries == ()


def test_only_ports_of_the_fabric_are_trusted() -> None:
    plan = fabric_plan(small_fabric(), idle=Idle(), shadows=MUTUAL)
    assert plan.node("e1").trusted_ports == (1, 2)  # 3 is the client's
    assert plan.node("s1").trusted_ports == (1, 2, 3)  # 4 is the backend's


def test_a_spine_neither_replicates_nor_sends_probes() -> None:
    node = fabric_plan(small_fabric(), idle=Idle(), shadows=MUTUAL).node("s1")
    assert (node.sessions, node.trains, node.primaries, node.replicate) == ((), (), (), False)


def test_trains_of_probes_leave_through_any_port_towards_the_fabric() -> None:
    trains = fabric_plan(small_fabric(), idle=Idle()).node("e1").trains
    assert [(row.group, row.port) for row in trains] == [(1, 1), (2, 2)]


def test_the_shadows_stand_in_for_a_dead_router_on_every_edge() -> None:
    plan = fabric_plan(small_fabric(), idle=Idle(), targets={"r1": ("r2",)})
    hops = {row.binding: row.hops for row in plan.node("e1").targets}
    assert hops == {R1: (Hop(R2, mac("r2")),), R2: (Hop(R2, mac("r2")),)}


def test_a_generation_reaches_the_holder_that_it_is_for() -> None:
    plan = fabric_plan(
        small_fabric(), idle=Idle(), shadows=MUTUAL, generations={("r2", "r1"): 17, ("r1", "e1"): 3}
    )
    assert plan.node("r2").primaries == (PrimaryRow(R1, 1, 1),)
    assert plan.node("r1").primaries[0].generation == 0


def test_connections_refresh_their_replicas_before_these_idle_out() -> None:
    assert fabric_plan(small_fabric(), idle=Idle()).node("r1").refresh_s == 30
    soon = fabric_plan(small_fabric(), idle=Idle(udp_s=4)).node("r1").refresh_s
    assert soon == 2


def test_a_shadow_that_cannot_be_reached_gets_no_copy() -> None:
    fabric = routers(3)
    cut = replace(fabric, links=tuple(x for x in fabric.links if x.a.switch != "r2"))
    node = fabric_plan(cut, idle=Idle(), shadows={"r1": ("r2",)}).node("r1")
    assert not node.replicate
    assert [row.id for row in node.sessions] == [CPU_SESSION]


def assignments(count: int) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    names = [f"r{number}" for number in range(1, count + 1)]
    return st.fixed_dictionaries(
        {
            name: st.lists(
                st.sampled_from([x for x in names if x != name]), unique=True, max_size=3
            ).map(tuple)
            for name in names
        }
    )


@given(st.lists(assignments(6), min_size=1, max_size=6))
def test_a_number_means_one_primary_and_stays(steps: list[dict[str, tuple[str, ...]]]) -> None:
    fabric = routers(6)
    numbers: dict[tuple[str, str], int] = {}
    for shadows in steps:
        before, numbers = numbers, primary_numbers(fabric, shadows, numbers)
        assert before.items() <= numbers.items()
        for holder in shadows:
            own = [number for key, number in numbers.items() if key[0] == holder]
            assert len(set(own)) == len(own)
            assert set(own) <= set(range(1, 16))
            assert {(holder, name) for name in primaries_of(shadows, holder)} <= numbers.keys()


def test_numbers_do_not_depend_on_what_came_before_in_a_stage_of_sixteen() -> None:
    fabric = routers(16)
    one, other = {"r1": ("r2", "r9")}, {"r9": ("r2",), "r2": ("r1",)}
    both = {**one, **other}
    assert primary_numbers(fabric, both) == primary_numbers(
        fabric, both, primary_numbers(fabric, other)
    )


def test_in_a_larger_stage_a_number_no_longer_in_force_is_given_again() -> None:
    fabric = routers(40)
    numbers: dict[tuple[str, str], int] = {}
    for number in range(2, 40):
        shadows = {f"r{number}": ("r1",)}
        numbers = primary_numbers(fabric, shadows, numbers)
        own = [value for key, value in numbers.items() if key[0] == "r1"]
        assert 1 <= numbers["r1", f"r{number}"] <= 15
        assert len(set(own)) == len(own) <= 15


def test_a_switch_cannot_be_the_shadow_of_more_than_fifteen() -> None:
    fabric = routers(17)
    shadows = {f"r{number}": ("r1",) for number in range(2, 18)}
    with pytest.raises(ValueError, match="r1: 16 primaries"):
        primary_numbers(fabric, shadows)


def test_an_edge_keeps_the_bindings_of_its_peer() -> None:
    fabric = small_fabric()
    other = replace(fabric.switch("e1"), name="e2", label=E1 + 1, subnet=None)
    links = (Link(Port("e2", 1), Port("s1", 9)), Link(Port("e2", 2), Port("s2", 9)))
    grown = replace(fabric, switches=(*fabric.switches, other), links=(*fabric.links, *links))
    plan = fabric_plan(grown, idle=Idle(), shadows={"e1": ("e2",), "e2": ("e1",)})
    assert [row.origin for row in plan.node("e1").primaries] == [E1 + 1]
    assert [row.origin for row in plan.node("e2").primaries] == [E1]
