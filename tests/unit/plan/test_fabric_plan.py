"""The plan of a fabric: every node can reach what it must, by the shortest way."""

from __future__ import annotations

from dataclasses import replace

from controller.model import Fabric, Idle, Link, Port, Stage, Switch
from controller.plan.fabric import base_shares, fabric_plan, slot_set_id
from controller.plan.paths import next_hops
from harness.small import B1, B2, CLIENT_IP, DNS, E1, R1, R2, WEB, small_fabric, small_plan


def two_sites(delay_ms: float) -> Fabric:
    """Two sites, a spine, an edge and a router each; a direct link, and a way round by a third spine."""

    def switch(name: str, stage: Stage, label: int) -> Switch:
        return Switch(name, stage, label, "127.0.0.1:1", label, "02:00:00:00:00:01")

    names = [
        *((f"e{i}", Stage.EDGE, 100 + i) for i in (1, 2)),
        *((f"s{i}", Stage.SPINE, 200 + i) for i in (1, 2, 3)),
        *((f"r{i}", Stage.ROUTER, 300 + i) for i in (1, 2)),
    ]
    links = [
        Link(Port("e1", 1), Port("s1", 1)),
        Link(Port("e2", 1), Port("s2", 1)),
        Link(Port("r1", 1), Port("s1", 2)),
        Link(Port("r2", 1), Port("s2", 2)),
        Link(Port("s1", 3), Port("s2", 3), delay_ms),
        Link(Port("s1", 4), Port("s3", 1), 1.0),
        Link(Port("s3", 2), Port("s2", 4), 1.0),
    ]
    return Fabric(tuple(switch(*name) for name in names), tuple(links), (), (), ())


def test_equal_paths_are_all_used() -> None:
    hops = next_hops(small_fabric())
    assert hops["e1"]["r1"] == (1, 2)
    assert hops["r2"]["e1"] == (1, 2)
    assert hops["s1"]["r2"] == (3,)


def test_only_spines_pass_packets_on() -> None:
    assert "s2" not in next_hops(small_fabric())["s1"]


def test_a_slow_link_is_gone_round() -> None:
    assert next_hops(two_sites(delay_ms=0.5))["s1"]["r2"] == (3,)
    assert next_hops(two_sites(delay_ms=5.0))["s1"]["r2"] == (4,)


def test_an_edge_knows_routers_and_a_router_backends() -> None:
    edge, router = small_plan("e1"), small_plan("r1")
    assert {row.binding for row in edge.targets} == {R1, R2}
    assert {row.binding for row in router.targets} == {B1, B2}
    assert {set_.id for set_ in edge.slot_sets} == {16 * WEB, 16 * DNS}
    assert edge.slot_sets[0].share_pct(R1) == 50
    assert router.slot_sets[0].share_pct(B2) == 50


def test_a_spine_delivers_its_backend_and_knows_no_service() -> None:
    spine = small_plan("s1")
    assert spine.services == ()
    assert spine.slot_sets == ()
    assert [(row.label, row.pop) for row in spine.labels if row.label == B1] == [(B1, True)]
    assert [row.prefix for row in spine.tunnels if row.label == E1] == ["10.1.1.0/24"]


def test_an_edge_delivers_its_clients_and_answers_for_the_gateway() -> None:
    edge = small_plan("e1")
    assert [row.prefix for row in edge.delivers] == [f"{CLIENT_IP}/32"]
    assert [row.address for row in edge.arp] == ["10.1.1.1"]


def test_shares_in_force_stay_where_they_are() -> None:
    fabric = small_fabric()
    number = slot_set_id(fabric.services[0])
    in_force = (R1, R2) * 50
    plan = fabric_plan(fabric, idle=Idle(), in_force={("e1", number): in_force}).node("e1")
    assert plan.slot_sets[0].slots == in_force
    shares = {**base_shares(fabric), ("e1", WEB): {R1: 40.0, R2: 60.0}}
    moved = fabric_plan(fabric, idle=Idle(), in_force={("e1", number): in_force}, shares=shares)
    differs = sum(
        a != b for a, b in zip(moved.node("e1").slot_sets[0].slots, in_force, strict=True)
    )
    assert differs == 10


def test_the_same_fabric_gives_the_same_plan() -> None:
    assert fabric_plan(small_fabric(), idle=Idle()) == fabric_plan(small_fabric(), idle=Idle())


def test_a_backend_that_cannot_be_reached_gets_no_label() -> None:
    fabric = small_fabric()
    cut = replace(fabric, links=tuple(x for x in fabric.links if x.b.switch != "s2"))
    assert B2 not in {row.label for row in fabric_plan(cut, idle=Idle()).node("r1").labels}


def test_a_router_serves_from_the_backends_of_its_own_site_and_without_any_from_all() -> None:
    def sites(**own: str) -> Fabric:
        base = small_fabric()
        switches = tuple(replace(one, site=own.get(one.name, "main")) for one in base.switches)
        return replace(base, switches=switches)

    south = {"s2": "south", "r2": "south"}  # b1 hangs on s1, b2 on s2
    plans = {one.node: one for one in fabric_plan(sites(**south), idle=Idle()).nodes}
    assert plans["r1"].slot_sets[0].share_pct(B1) == 100
    assert plans["r2"].slot_sets[0].share_pct(B2) == 100
    assert {row.binding for row in plans["r2"].targets} == {B1, B2}  # for connections it takes over
    alone = {one.node: one for one in fabric_plan(sites(**south, r1="west"), idle=Idle()).nodes}
    assert alone["r1"].slot_sets[0].share_pct(B2) == 50
