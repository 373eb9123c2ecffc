"""What becomes of packets, and of sessions, in worlds that one test has to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.act.router_files import Kind, Umbra
from controller.model.bgp import Advertisement
from harness import bgp_world
from harness.bgp_world import INSTANCE, NEXT_HOP, SHARD, assert_nothing_learnt, sync, until
from harness.programmed import Make


def test_each_kind_of_switch_forwards_what_the_router_sends(make: Make, tmp_path: Path) -> None:
    with bgp_world.bgp_world(Kind.FRR, make, tmp_path) as world:
        world.route_shards(SHARD)
        sync(world, [SHARD])
        until(lambda: world.reaches(INSTANCE), "a ping through the router and the P4 edge")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_router_with_the_shards_in_its_file_forwards_to_them_without_a_session(
    kind: Kind, tmp_path: Path
) -> None:
    by_file = bgp_world.router_settings(
        umbra=None, shards=(Advertisement(SHARD, NEXT_HOP, local_pref=200),)
    )
    with bgp_world.bgp_world(kind, bgp_world.embedded(tmp_path), tmp_path, by_file) as world:
        world.route_shards(SHARD)
        until(lambda: world.reaches(INSTANCE), "a ping through the router and the P4 edge")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_speaker_further_away_than_configured_is_refused(kind: Kind, tmp_path: Path) -> None:
    # The router demands TTL 255 on arrival; umbra, told not to care, sends 1. (Elsewhere both sides use TTL security.)
    far = bgp_world.router_settings(umbra=Umbra(bgp_world.OURS, bgp_world.LOCAL_AS))
    with bgp_world.bgp_world(kind, bgp_world.embedded(tmp_path), tmp_path, far) as world:
        sync(world, [SHARD], password=None, ttl_security=False)
        assert_nothing_learnt(world)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_router_of_the_same_as_learns_shards_too(kind: Kind, tmp_path: Path) -> None:
    own = bgp_world.router_settings(local_as=bgp_world.LOCAL_AS)
    with bgp_world.bgp_world(kind, bgp_world.embedded(tmp_path), tmp_path, own) as world:
        sync(world, [SHARD], remote_as=bgp_world.LOCAL_AS)
        until(lambda: world.router.prefixes() == {SHARD}, "the shard")
        assert world.router.attributes(SHARD) == (200, 0, "65000:100", NEXT_HOP)
