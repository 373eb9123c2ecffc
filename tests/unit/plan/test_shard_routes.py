"""Where a packet to a shard goes from every switch."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import DeliverRow, Shard, ShardState, Subdivision, TunnelRow
from controller.plan.fabric import fabric_plan
from controller.plan.shard_routes import (
    Attachment,
    ShardRouteError,
    routed_prefixes,
    shard_rows,
    with_shards,
)
from harness.small import E1, PATIENT, S1, mac, small_fabric

FABRIC = small_fabric()
PODS = (
    Subdivision("pod1", ("10.50.0.0/16",), "main", switch="e1"),
    Subdivision("pod2", ("10.51.0.0/16", "2001:db8::/40"), "main", switch="s1"),
)


def shard(prefix: str, pod: str = "pod1", state: ShardState = ShardState.ASSIGNED) -> Shard:
    return Shard(prefix, pod, state, 1, 0.0)


def test_the_subdivisions_switch_delivers_and_others_tunnel_to_it() -> None:
    rows = shard_rows(
        FABRIC,
        PODS,
        [shard("10.50.1.0/26")],
        [Attachment("10.50.1.0/26", "e1", 4, "02:00:00:50:00:05")],
    )
    assert rows["e1"].delivers == (DeliverRow("10.50.1.0/26", 4, "02:00:00:50:00:05"),)
    assert rows["e1"].tunnels == ()
    for name in ("s1", "s2", "r1", "r2"):
        assert rows[name].delivers == ()
        assert rows[name].tunnels == (TunnelRow("10.50.1.0/26", E1, mac("e1")),)


def test_an_instance_on_a_port_of_its_own_is_reached_through_its_shards_route() -> None:
    rows = shard_rows(
        FABRIC,
        PODS,
        [shard("10.50.1.0/26")],
        [Attachment("10.50.1.7/32", "e1", 3, "02:00:00:50:00:07")],
    )
    assert rows["e1"].delivers == (DeliverRow("10.50.1.7/32", 3, "02:00:00:50:00:07"),)
    assert rows["r1"].tunnels == (TunnelRow("10.50.1.0/26", E1, mac("e1")),)


def test_an_instance_that_moved_to_another_switch_has_a_route_of_its_own() -> None:
    rows = shard_rows(
        FABRIC,
        PODS,
        [shard("10.50.1.0/26")],
        [Attachment("10.50.1.7/32", "s1", 4, "02:00:00:50:00:07")],
    )
    assert rows["e1"].tunnels == (TunnelRow("10.50.1.7/32", S1, mac("s1")),)
    assert set(rows["r1"].tunnels) == {
        TunnelRow("10.50.1.0/26", E1, mac("e1")),
        TunnelRow("10.50.1.7/32", S1, mac("s1")),
    }


def test_what_lies_behind_a_real_router_is_reached_from_everywhere() -> None:
    rows = shard_rows(FABRIC, PODS, [], [Attachment("0.0.0.0/0", "e1", 3, "02:00:00:10:00:01")])
    assert rows["e1"].delivers == (DeliverRow("0.0.0.0/0", 3, "02:00:00:10:00:01"),)
    assert rows["r2"].tunnels == (TunnelRow("0.0.0.0/0", E1, mac("e1")),)


def test_a_shard_has_routes_from_its_claim_until_it_is_free() -> None:
    for state in ShardState:
        routed = routed_prefixes([shard("10.50.1.0/26", state=state)])
        assert bool(routed) == (state is not ShardState.FREE)


def test_neighbours_of_one_subdivision_share_a_route_and_ipv6_has_none() -> None:
    assert routed_prefixes(
        [
            shard("10.50.1.0/26"),
            shard("10.50.1.64/26", state=ShardState.DRAINING),
            shard("10.50.1.128/26", pod="pod2"),
            shard("2001:db8::/64", pod="pod2"),
        ]
    ) == {"pod1": ("10.50.1.0/25",), "pod2": ("10.50.1.128/26",)}


def test_rows_come_on_top_of_the_fabrics_own() -> None:
    plan = fabric_plan(FABRIC, idle=PATIENT)
    rows = shard_rows(FABRIC, PODS, [shard("10.50.1.0/26")])
    both = with_shards(plan, rows)
    assert both.node("r1").tunnels == (*plan.node("r1").tunnels, *rows["r1"].tunnels)
    assert both.node("e1") == plan.node("e1")


@pytest.mark.parametrize(
    ("shards", "attachments", "message"),
    [
        ([shard("10.50.1.0/26", pod="pod9")], [], "pod9, which is unknown"),
        ([shard("10.1.1.0/26")], [], "overlaps the subnet of switch e1"),
        ([shard("10.50.1.0/26"), shard("10.50.1.0/27", pod="pod2")], [], "overlap"),
        ([], [Attachment("10.50.1.0/26", "e9", 1, "02:00:00:00:00:09")], "e9, which is no switch"),
        (
            [],
            [Attachment("10.50.1.0/26", name, 1, "02:00:00:00:00:09") for name in ("e1", "s1")],
            "two places",
        ),
    ],
)
def test_what_cannot_be_routed_is_named(
    shards: list[Shard], attachments: list[Attachment], message: str
) -> None:
    with pytest.raises(ShardRouteError, match=message):
        shard_rows(FABRIC, PODS, shards, attachments)


def test_a_subdivision_with_shards_needs_a_switch() -> None:
    with pytest.raises(ShardRouteError, match="name one"):
        shard_rows(
            FABRIC, (Subdivision("pod1", ("10.50.0.0/16",), "main"),), [shard("10.50.1.0/26")]
        )


def test_two_routes_for_one_prefix_are_refused() -> None:
    plan = fabric_plan(FABRIC, idle=PATIENT)
    rows = shard_rows(FABRIC, PODS, [], [Attachment("10.1.1.10/32", "e1", 4, "02:00:00:00:00:09")])
    with pytest.raises(ShardRouteError, match=r"e1: two routes for 10\.1\.1\.10/32"):
        with_shards(plan, rows)


@given(
    st.sets(st.integers(0, 255), max_size=40),
    st.lists(st.sampled_from(list(ShardState)), min_size=256, max_size=256),
)
def test_exactly_the_addresses_of_claimed_shards_are_routed(
    numbers: set[int], states: list[ShardState]
) -> None:
    shards = [
        Shard(f"10.{50 + number % 2}.{number}.0/24", f"pod{number % 2 + 1}", states[number], 1, 0.0)
        for number in numbers
    ]
    rows = shard_rows(FABRIC, PODS, shards)
    wanted = {
        str(address)
        for one in shards
        if one.state is not ShardState.FREE
        for address in (ipaddress.ip_network(one.prefix)[0], ipaddress.ip_network(one.prefix)[-1])
    }
    routed = [ipaddress.ip_network(row.prefix) for row in rows["r1"].tunnels]
    assert sum(network.num_addresses for network in routed) == 128 * len(wanted)
    for address in wanted:
        assert sum(ipaddress.ip_address(address) in network for network in routed) == 1
