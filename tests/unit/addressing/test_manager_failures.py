"""What becomes of addresses when the controller, a host, a switch or a router is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.model import AddressState, ShardState
from controller.plan.shards.aggregation import fewest
from controller.pool.errors import Full, Unavailable
from harness.addressing import ADDRESSES_YAML, AddressWorld


def test_a_restart_keeps_rows_holders_instances_and_grants(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = await world.manager.take("pod", "web-1")
        before = (world.switches.delivered(), world.switches.translated(), world.held())
        await world.stop()
        world.journal.clear()
        manager = await world.start()
        assert (world.switches.delivered(), world.switches.translated(), world.held()) == before
        again = await manager.take("pod", "web-1")
        assert (again.address, again.sequence, again.again) == (taken.address, taken.sequence, True)
        await world.turns(3)
        assert not [what for what in world.journal if what.startswith(("unhold", "start"))]
        assert before[2] <= world.held()
        assert world.troubles.open == {}

    tell(story)


def test_a_restart_while_an_agent_is_away_takes_no_row_from_its_addresses(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        before = world.switches.delivered()
        await world.stop()
        world.hosts["h1"].down = True
        await world.start()
        assert world.switches.delivered() == before

    tell(story)


def test_a_host_that_does_not_answer_is_named_and_others_serve(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        world.hosts["h1"].down = True
        taken = [await world.manager.take("pod", f"web-{n}") for n in range(4)]
        assert {one.host for one in taken} == {"h2"}
        port = world.hosts["h2"].place.port
        assert all(world.switches.delivered()[one.address] == port for one in taken)
        assert "host h1" in world.troubles.open
        world.hosts["h1"].down = False
        world.hosts["h1"].held.clear()  # its shadow instances ended with the agent
        await world.turns(10)
        assert "host h1" not in world.troubles.open
        held = {one.address for one in world.pool.addresses("pod", state=AddressState.HELD)}
        assert held == {one for one in world.held() if one.startswith("10.64")}

    tell(story)


def test_with_no_host_left_the_owner_is_told_and_keeps_nothing(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        for name in ("h1", "h2"):
            world.hosts[name].down = True
        with pytest.raises(Unavailable, match="no host of pod"):
            await world.manager.take("pod", "web-1")
        assert world.pool.addresses("pod", owner="web-1", state=AddressState.GRANTED) == []

    tell(story)


def test_an_instance_that_died_gives_its_address_back_after_two_looks(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = await world.manager.take("pod", "web-1")
        other = await world.manager.take("rack", "vm-1")  # run by somebody whom no agent sees
        for host in world.hosts.values():
            host.instances.clear()
        await world.turns(20)
        found = world.pool.address(taken.address)
        assert found is not None
        assert found.state is not AddressState.GRANTED
        kept = world.pool.address(other.address)
        assert kept is not None
        assert kept.owner == "vm-1"
        assert any(step["act"] == "reclaim" for step in world.notes)

    tell(story)


def test_a_switch_that_refuses_rows_gets_no_shard_confirmed(tmp_path: Path) -> None:
    async def told() -> None:
        world = AddressWorld(tmp_path)
        manager = await world.start()
        world.switches.unwilling.add("e1")
        await world.turns(3)
        assert {shard.state for shard in world.pool.shards()} == {ShardState.CLAIMING}
        assert "address rows" in world.troubles.open
        with pytest.raises(Full):
            await manager.take("pod", "web-1")
        world.switches.unwilling.clear()
        await world.turns(3)
        assert ShardState.CLAIMING not in {shard.state for shard in world.pool.shards()}
        assert "address rows" not in world.troubles.open
        await world.stop()

    asyncio.run(told())


BGP_YAML = (
    ADDRESSES_YAML
    + """\
  bgp:
    local_as: 65000
    router_id: 10.255.0.1
    peers: [{name: border, address: 192.0.2.1, remote_as: 65001, next_hop: 10.1.1.1, switch: e1}]
"""
)


def test_routers_are_told_of_shards_and_a_broken_speaker_stops_nothing(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        told = {route.prefix for route in world.speaker.told["192.0.2.1"]}
        shards = [one.prefix for one in world.pool.shards() if ":" not in one.prefix]
        assert told == {*fewest(shards)}  # neighbours are joined
        world.speaker.broken = True
        await world.turns(10)
        assert "BGP" in world.troubles.open
        assert (await world.manager.take("pod", "web-1")).warm
        world.speaker.broken = False
        await world.turns(10)
        assert "BGP" not in world.troubles.open

    tell(story, BGP_YAML)


def test_a_dry_run_plans_and_changes_nothing(tmp_path: Path) -> None:
    async def told() -> None:
        world = AddressWorld(tmp_path)
        world.dry = True
        await world.start()
        await world.turns(5)
        assert world.pool.shards() == []
        assert world.journal == []
        assert any(step["act"] == "claim" and step["dry_run"] for step in world.notes)
        await world.stop()

    asyncio.run(told())


def test_what_happened_is_remembered_by_the_next_controller(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = await world.manager.take("pod", "web-1", profile="web")
        await world.turns(40)
        await world.manager.release(taken.address, "web-1")
        await world.turns(1)
        await world.stop()
        manager = await world.start()
        history = manager._happened.history
        history.advance(world.clock.wall_s() + 60.0)
        pod = next(one for one in history.creations() if one.target == "pod")
        assert float(pod.values.sum()) * history.step_s == pytest.approx(1.0)
        assert history.running("pod") == 0

    tell(story)


def test_an_instance_stays_where_it_was_put_though_its_host_is_away_at_a_restart(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = [await world.manager.take("pod", f"web-{n}", host="h2") for n in range(3)]
        await world.turns(1)
        rows = world.switches.delivered()
        assert {rows[one.address] for one in taken} == {world.hosts["h2"].place.port}
        await world.stop()
        world.hosts["h2"].down = True
        await world.start()
        assert world.switches.delivered() == rows
        await world.turns(20)
        found = world.switches.delivered()
        assert {found[one.address] for one in taken} == {world.hosts["h2"].place.port}

    tell(story)


def test_a_linux_nat_host_translates_as_the_edge_does_and_stops_nothing_when_it_fails(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        assert world.nat.rows == world.switches.translated() != {}
        world.nat.broken = True
        taken = [await world.manager.take("pod", f"web-{n}") for n in range(40)]
        assert not all(one.warm for one in taken)
        assert "NAT host" in world.troubles.open
        assert all(one.address in world.switches.translated() for one in taken)
        world.nat.broken = False
        await world.turns(2)
        assert "NAT host" not in world.troubles.open
        assert world.nat.rows == world.switches.translated()

    tell(story)
