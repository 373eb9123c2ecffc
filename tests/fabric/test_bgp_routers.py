"""What a client behind a real router experiences of shards: FRR and BIRD learn them, forward to them, keep them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from controller.act.bgp import BgpSpeaker
from controller.act.router_files import Kind
from controller.model.bgp import Advertisement
from harness import bgp_world
from harness.bgp_world import (
    INSTANCE,
    OTHER,
    SHARD,
    SHARD_IPV6,
    THEIRS,
    World,
    assert_nothing_learnt,
    sync,
    until,
)


@pytest.fixture(scope="module", params=list(Kind))
def router_kind(request: pytest.FixtureRequest) -> Kind:
    """The real router: FRR, then BIRD."""
    return Kind(request.param)


@pytest.fixture(scope="module")
def lasting(router_kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Client — real router — P4 edge — instance, for all tests of a router."""
    directory = tmp_path_factory.mktemp("bgp")
    with bgp_world.bgp_world(router_kind, bgp_world.embedded(directory), directory) as made:
        yield made


@pytest.fixture
def world(lasting: World) -> Iterator[World]:
    """The same; afterwards nothing is advertised. The session stays: a router waits ever longer for one that flaps."""
    yield lasting
    sync(lasting, [])
    until(lambda: lasting.router.prefixes() == set(), "the router to forget all")


def test_a_client_reaches_a_shard_through_the_router_while_it_is_advertised(world: World) -> None:
    world.route_shards(SHARD)
    assert not world.reaches(INSTANCE)
    sync(world, [SHARD, OTHER])
    until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards in the router")
    until(lambda: world.reaches(INSTANCE), "a ping through the router and the P4 edge")
    sync(world, [OTHER])
    until(lambda: world.router.prefixes() == {OTHER}, "the router to forget the shard")
    until(lambda: not world.reaches(INSTANCE), "the router to have no way to the shard")


def test_routes_carry_the_policy_and_ipv6_shards_are_told_too(world: World) -> None:
    sync(world, [SHARD, SHARD_IPV6])
    until(lambda: world.router.prefixes() == {SHARD}, "the IPv4 shard")
    until(lambda: world.router.prefixes(6) == {SHARD_IPV6}, "the IPv6 shard")
    assert world.router.attributes(SHARD) == (200, 0, "65000:100", "10.1.1.1")


def test_what_is_the_same_is_not_sent_again(world: World) -> None:
    assert sync(world, [SHARD])
    until(lambda: world.router.prefixes() == {SHARD}, "the shard")
    before = world.router.history()
    assert not sync(world, [SHARD])
    assert world.router.history() == before


def test_a_router_that_asks_again_is_told_everything_again(world: World) -> None:
    sync(world, [SHARD, OTHER])
    until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards")
    before = world.router.updates()
    world.router.ask_again()
    until(lambda: world.router.updates() > before, "the routes to come once more")
    assert world.router.prefixes() == {SHARD, OTHER}


def test_neighbouring_shards_become_one_route_and_no_packet_is_lost(world: World) -> None:
    world.route_shards(SHARD)
    sync(world, [SHARD])
    until(lambda: world.reaches(INSTANCE), "a ping through")
    with world.pinging(INSTANCE) as result:
        sync(world, [SHARD, "10.50.1.64/26"])
        until(lambda: world.router.prefixes() == {"10.50.1.0/25"}, "the wider prefix alone")
    sent, received = map(int, result)
    assert sent == received > 0


def test_a_killed_and_restarted_controller_withdraws_nothing(world: World) -> None:
    world.route_shards(SHARD)
    with world.controller(SHARD, OTHER) as (_, wrote):
        assert wrote == "2 0"
        until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards")
        until(lambda: world.reaches(INSTANCE), "a ping through")
    # That one is killed now, with all of its process group.
    with world.pinging(INSTANCE) as result:
        before, speaker = world.router.history(), world.speaker_pid()
        for _ in range(3):
            with world.controller(SHARD, OTHER) as (_, wrote):
                assert wrote == "0 0"
                assert world.router.history() == before
                assert world.router.prefixes() == {SHARD, OTHER}
        assert world.router.history() == before
        assert world.speaker_pid() == speaker
    sent, received = map(int, result)
    assert sent == received > 0


def test_a_new_controller_withdraws_what_is_no_longer_wanted_and_nothing_else(world: World) -> None:
    with world.controller(SHARD, OTHER):
        until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards")
    with world.controller(OTHER) as (_, wrote):
        assert wrote == "0 1"
        until(lambda: world.router.prefixes() == {OTHER}, "the one that is left")


def test_routes_stay_while_a_killed_speaker_is_replaced(world: World) -> None:
    world.route_shards(SHARD)
    sync(world, [SHARD, OTHER])
    until(lambda: world.reaches(INSTANCE), "a ping through")
    first = world.speaker_pid()
    with world.pinging(INSTANCE) as result:
        os.kill(first, signal.SIGKILL)
        until(lambda: world.router.prefixes() == {SHARD, OTHER}, "routes kept as stale")
        sync(world, [SHARD])
        until(lambda: world.router.prefixes() == {SHARD}, "what the new speaker does not tell goes")
    sent, received = map(int, result)
    assert world.speaker_pid() != first
    assert sent == received > 0


def test_a_router_that_starts_anew_is_told_everything_again(world: World) -> None:
    sync(world, [SHARD, OTHER])
    until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards")
    world.router.stop()
    world.router.start(bgp_world.router_settings())
    until(lambda: world.router.prefixes() == {SHARD, OTHER}, "both shards once more")


def test_stopping_the_speaker_withdraws_everything(world: World) -> None:
    sync(world, [SHARD])
    until(lambda: world.router.prefixes() == {SHARD}, "the shard")

    asyncio.run(BgpSpeaker(world.directory).stop())
    until(lambda: world.router.prefixes() == set(), "no shard left")


def test_without_the_right_password_nothing_is_learnt(world: World) -> None:
    sync(world, [SHARD], password="another")
    assert_nothing_learnt(world)


def test_the_routers_policy_refuses_what_is_no_shard(world: World) -> None:
    stranger = Advertisement("198.51.100.0/24", "10.1.1.1", communities=((65000, 100),))
    unmarked = Advertisement("10.50.7.0/26", "10.1.1.1")

    async def tell() -> None:
        speaker = BgpSpeaker(world.directory)
        wanted = bgp_world.advertised([SHARD])
        await speaker.sync(
            bgp_world.settings(),
            {THEIRS: [*wanted[THEIRS], stranger, unmarked]},
        )
        assert await speaker.settled(bgp_world.PATIENCE_S)
        await speaker.close()

    asyncio.run(tell())
    until(lambda: SHARD in world.router.prefixes(), "the shard")
    assert world.router.prefixes() == {SHARD}
