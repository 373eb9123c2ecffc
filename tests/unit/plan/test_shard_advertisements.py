"""What each real router is told of shards, and which way traffic then prefers."""

from __future__ import annotations

from controller.model import Shard, ShardState, Subdivision
from controller.model.bgp import Advertisement, BgpPeer, BgpSettings
from controller.plan.shard_advertisements import GRACEFUL_SHUTDOWN, shard_advertisements
from harness.small import small_fabric

FABRIC = small_fabric()
PODS = (
    Subdivision("pod1", ("10.50.0.0/16", "2001:db8::/40"), "main", switch="e1"),
    Subdivision("pod2", ("10.51.0.0/16",), "main", switch="r1"),
)
NEAR = BgpPeer("near", "192.0.2.1", 65001, next_hop="10.1.1.1", switch="e1")
FAR = BgpPeer("far", "192.0.2.2", 65002, next_hop="10.2.1.1", switch="s1")
BOTH = BgpPeer("both", "192.0.2.3", 65000, next_hop="10.1.1.1", next_hop_ipv6="2001:db8:1::1")


def shard(prefix: str, state: ShardState = ShardState.PREFETCHED, pod: str = "pod1") -> Shard:
    return Shard(prefix, pod, state, 1, 0.0)


def told(
    *shards: Shard, peers: tuple[BgpPeer, ...] = (NEAR,), asn: int = 65000
) -> list[Advertisement]:
    settings = BgpSettings(asn, "192.0.2.9", peers)
    routes = shard_advertisements(FABRIC, PODS, shards, settings)
    return [route for peer in peers for route in routes[peer.address]]


def test_a_free_shard_is_told_to_nobody() -> None:
    assert told(Shard("10.50.1.0/26", None, ShardState.FREE, 1, 0.0)) == []


def test_the_warmer_a_shard_the_better_its_route() -> None:
    states = (ShardState.PREFETCHED, ShardState.ASSIGNED, ShardState.DRAINING)
    warm, assigned, draining = (told(shard("10.50.1.0/26", state))[0] for state in states)
    assert warm.local_pref > assigned.local_pref > draining.local_pref
    assert warm.med < assigned.med < draining.med


def test_a_draining_shard_asks_routers_to_leave_it() -> None:
    (route,) = told(shard("10.50.1.0/26", ShardState.DRAINING))
    assert GRACEFUL_SHUTDOWN in route.communities
    (route,) = told(shard("10.50.1.0/26"))
    assert GRACEFUL_SHUTDOWN not in route.communities


def test_the_confirmation_of_a_claim_changes_no_route() -> None:
    claiming = told(shard("10.50.1.0/26", ShardState.CLAIMING))
    assert claiming == told(shard("10.50.1.0/26", ShardState.ASSIGNED))


def test_among_two_ways_in_the_one_next_to_the_shard_is_preferred() -> None:
    near, far = told(shard("10.50.1.0/26"), peers=(NEAR, FAR))
    assert (near.next_hop, far.next_hop) == ("10.1.1.1", "10.2.1.1")
    assert near.med < far.med
    assert far.med < told(shard("10.50.1.0/26", ShardState.ASSIGNED))[0].med


def test_neighbours_of_one_subdivision_and_rank_are_one_route() -> None:
    routes = told(
        shard("10.50.1.0/26"),
        shard("10.50.1.64/26"),
        shard("10.50.1.128/26", ShardState.ASSIGNED),
        shard("10.50.1.192/26", ShardState.CLAIMING),
        shard("10.51.0.0/26", pod="pod2"),
    )
    assert [route.prefix for route in routes] == ["10.50.1.0/25", "10.50.1.128/25", "10.51.0.0/26"]


def test_ipv6_is_told_only_where_there_is_a_next_hop_for_it() -> None:
    shards = (shard("10.50.1.0/26"), shard("2001:db8:0:1::/64"))
    assert [route.prefix for route in told(*shards)] == ["10.50.1.0/26"]
    routes = told(*shards, peers=(BOTH,))
    assert {(route.prefix, route.next_hop) for route in routes} == {
        ("10.50.1.0/26", "10.1.1.1"),
        ("2001:db8:0:1::/64", "2001:db8:1::1"),
    }


def test_communities_name_the_state_where_the_as_number_fits() -> None:
    (route,) = told(shard("10.50.1.0/26"))
    assert route.communities == ((65000, 100),)
    (route,) = told(shard("10.50.1.0/26"), asn=4200000000)
    assert route.communities == ()
