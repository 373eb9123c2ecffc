"""What tenants and clients experience of the address shadow manager: a real pool, real planners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller.model import AddressState
from controller.pool.errors import Full, Refused, Unknown
from harness.addressing import ADDRESSES_YAML, AddressWorld


def test_addresses_are_warm_before_anybody_asks(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        counts = world.pool.counts("pod")
        assert counts.held >= 2
        held = {
            one.address
            for name in ("pod", "rack")
            for one in world.pool.addresses(name, state=AddressState.HELD)
            if ":" not in one.address
        }
        assert world.held() == held
        assert set(world.switches.delivered()) == held
        assert set(world.switches.translated()) == {a for a in held if a.startswith("10.64")}
        assert world.troubles.open == {}

    tell(story)


def test_nothing_answers_for_an_address_that_no_row_leads_to(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        first = next(i for i, what in enumerate(world.journal) if what.startswith("hold"))
        assert "rows s1" in world.journal[:first]

    tell(story)


def test_a_request_gets_a_warm_address_with_its_mac(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        warm = {h.address: h for host in world.hosts.values() for h in host.held.values()}
        rows = world.switches.delivered()
        taken = await world.manager.take("pod", "web-1")
        assert taken.warm
        assert not taken.again
        assert warm[taken.address].mac == taken.mac
        assert taken.external == world.switches.translated()[taken.address]
        assert taken.address not in world.held()
        assert world.switches.delivered() == rows  # nothing had to be written
        again = await world.manager.take("pod", "web-1")
        assert (again.address, again.sequence, again.again) == (taken.address, taken.sequence, True)
        running = [one for host in world.hosts.values() for one in host.instances.values()]
        assert [(one.name, one.address) for one in running] == [("web-1", taken.address)]

    tell(story)


def test_without_a_warm_address_the_same_call_allocates_one(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        warm = len([one for one in world.held() if one.startswith("10.64")])
        taken = [await world.manager.take("pod", f"web-{n}") for n in range(warm + 2)]
        assert [one.warm for one in taken] == [True] * warm + [False] * 2
        for one in taken:
            assert one.address in world.switches.delivered()
            assert world.switches.translated()[one.address] == one.external
        await world.turns(2)
        assert world.pool.counts("pod").held >= 2  # made warm again

    tell(story)


def test_a_released_address_cools_down_and_is_nobodys_meanwhile(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = await world.manager.take("pod", "web-1")
        with pytest.raises(Refused):
            await world.manager.release(taken.address, "somebody")
        assert not await world.manager.release(taken.address, "web-1", taken.sequence - 1)
        assert await world.manager.release(taken.address, "web-1", taken.sequence)
        assert not await world.manager.release(taken.address, "web-1", taken.sequence)
        assert all(not host.instances for host in world.hosts.values())
        found = world.pool.address(taken.address)
        assert found is not None
        assert found.state is AddressState.COOLING
        await world.turns(3)
        assert taken.address not in world.held() | set(world.switches.delivered())

    tell(story)


def test_instances_run_elsewhere_end_the_shadow_and_keep_the_rows(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        taken = await world.manager.take("rack", "vm-1")
        assert taken.warm
        assert taken.ready_ms is None
        assert taken.address not in world.held()
        assert taken.address in world.switches.delivered()
        second = await world.manager.take("rack", "vm-1", family=6)
        assert second.address.startswith("fd00:65:")
        await world.turns(20)
        for one in (taken, second):
            assert await world.manager.release(one.address, "vm-1", one.sequence)

    tell(story)


def test_demand_that_went_away_leaves_fewer_warm_addresses(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        for number in range(6):
            await world.manager.take("pod", f"web-{number}")
            await world.turns(1)
        most = max(world.pool.counts("pod").held, 3)
        await world.turns(300)
        assert 2 <= world.pool.counts("pod").held <= most
        held = {one.address for one in world.pool.addresses("pod", state=AddressState.HELD)}
        assert held == {one for one in world.held() if one.startswith("10.64")}

    tell(story)


def test_what_is_not_there_is_named(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        with pytest.raises(Unknown, match="there are pod, rack"):
            await world.manager.take("nowhere", "web-1")
        with pytest.raises(Unknown, match="there are h1, h2"):
            await world.manager.take("pod", "web-1", host="h9")
        with pytest.raises(Unknown, match="no shard"):
            await world.manager.release("10.99.0.1", "web-1")
        with pytest.raises(Refused, match="nothing to compact"):
            await world.manager.approve("abc")

    tell(story)


def test_many_owners_at_once_get_one_address_each_and_one_that_answers(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        manager = world.manager
        owners = [f"web-{number % 20}" for number in range(40)]  # everybody asks twice
        taken = await asyncio.gather(
            manager.turn(), *(manager.take("pod", owner) for owner in owners)
        )
        by_owner: dict[str, set[str]] = {}
        for one in taken[1:]:
            by_owner.setdefault(one.owner, set()).add(one.address)
        assert all(len(own) == 1 for own in by_owner.values())
        assert len({address for own in by_owner.values() for address in own}) == 20
        running = {one.address for host in world.hosts.values() for one in host.instances.values()}
        assert running == {address for own in by_owner.values() for address in own}
        assert not running & world.held()
        assert running <= set(world.switches.delivered())
        await world.turns(10)
        assert not running & world.held()

    tell(story)


def test_a_full_subdivision_gets_another_shard_in_the_same_call(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        manager = world.manager
        shards = len(world.pool.shards("pod"))
        taken = await asyncio.gather(*(manager.take("pod", f"web-{n}") for n in range(100)))
        assert len({one.address for one in taken}) == 100
        assert len(world.pool.shards("pod")) > shards
        assert {one.address for one in taken} <= set(world.switches.delivered())
        assert {shard.prefix for shard in world.pool.shards("pod")} <= {
            one["prefix"] for one in (await manager.shards())["shards"] if one["routed"]
        }

    tell(story)


def test_no_shard_is_claimed_for_who_has_spent_the_quota(tell: Callable[..., None]) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        for number in range(3):
            await world.manager.take("pod", f"web-{number}")
        shards = world.pool.shards("pod")
        with pytest.raises(Full):
            await world.manager.take("pod", "one-more")
        assert world.pool.shards("pod") == shards

    tell(story, ADDRESSES_YAML.replace("external: 198", "quota: 3\n      external: 198"))


def test_a_warm_address_that_is_reserved_goes_cold_and_waits_for_its_owner(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        address = min(one for one in world.held() if one.startswith("10.64"))
        await world.manager.reserve("pod", address, "db")
        assert address not in world.held()
        with pytest.raises(Unknown, match="no shard of rack"):
            await world.manager.reserve("rack", address, "db")
        others = [await world.manager.take("pod", f"web-{n}") for n in range(3)]
        assert address not in {one.address for one in others}
        with pytest.raises(Refused, match="release it first"):
            await world.manager.reserve("pod", others[0].address, "db")
        await world.turns(20)
        assert address not in world.held() | set(world.switches.delivered())
        taken = await world.manager.take("pod", "db", reserved=address)
        assert taken.address == address
        assert address in world.switches.delivered()
        assert world.troubles.open == {}

    tell(story)


def test_a_quota_of_the_configuration_holds_from_the_next_start_on(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        for number in range(3):
            await world.manager.take("pod", f"web-{number}")
        await world.stop()
        section = world.config.addresses
        assert section is not None
        changed = tuple(
            one.model_copy(update={"quota": 3}) if one.name == "pod" else one
            for one in section.subdivisions
        )
        world.config = world.config.model_copy(
            update={"addresses": section.model_copy(update={"subdivisions": changed})}
        )
        manager = await world.start()
        with pytest.raises(Full, match="quota of 3"):
            await manager.take("pod", "web-3")
        assert (await manager.take("pod", "web-2")).again

    tell(story)


def test_an_ipv6_address_is_ready_when_it_is_asked_for_and_keeps_its_owner_over_a_restart(
    tell: Callable[..., None],
) -> None:
    async def story(world: AddressWorld) -> None:
        assert world.manager is not None
        held = world.pool.addresses("six", state=AddressState.HELD)
        assert len(held) >= 2
        taken = await world.manager.take("six", "vm-1")
        assert (taken.address, taken.mac) == (held[0].address, held[0].mac)
        assert (taken.external, taken.host) == (None, None)
        assert not [what for what in world.journal if "fd00" in what], "no host, no row: elsewhere"
        await world.stop()
        manager = await world.start()
        await world.turns(20)
        again = await manager.take("six", "vm-1")
        assert (again.address, again.sequence, again.again) == (taken.address, taken.sequence, True)
        assert await manager.release(taken.address, "vm-1")
        shards = (await manager.shards())["shards"]
        assert sum(one["cooling"] for one in shards if one["subdivision"] == "six") == 1

    six = '    - {name: six, prefixes: ["fd00:66::/64"], instances: elsewhere}\n'
    tell(story, ADDRESSES_YAML + six)
