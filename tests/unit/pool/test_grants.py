"""What somebody who asks for an address experiences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import AddressState, Subdivision
from controller.pool import Full, Pool, Refused, Unknown, mac_of
from controller.pool.space import address_at, block, offset_of, packed
from harness.pools import POD, HandClock, assign


def test_the_same_request_twice_gives_the_same_address(pool: Pool) -> None:
    assert pool.take("pod", "vm1") == pool.take("pod", "vm1")
    assert pool.counts("pod").granted == 1


def test_a_warm_address_comes_first_and_keeps_its_mac(pool: Pool) -> None:
    (warm,) = pool.hold("pod", 1)
    cold = pool.take("pod", "other", reserved=pool.reserve("10.0.0.5", "other").address)
    grant = pool.take("pod", "vm1")
    assert not cold.warm
    assert grant.warm
    assert (grant.address, grant.mac) == (warm.address, warm.mac)


def test_addresses_are_held_in_the_fullest_shard_first(pool: Pool) -> None:
    assign(pool, "10.0.0.16/29")
    pool.take("pod", "vm1", reserved=pool.reserve("10.0.0.17", "vm1").address)
    assert {one.shard for one in pool.hold("pod", 2)} == {"10.0.0.16/29"}
    assert {one.shard for one in pool.hold("pod", 10)} == {"10.0.0.0/29", "10.0.0.16/29"}


def test_without_a_warm_address_the_same_call_gives_a_cold_one(pool: Pool) -> None:
    assert not pool.take("pod", "vm1").warm


def test_a_grant_tells_again_that_it_was_warm(pool: Pool) -> None:
    pool.hold("pod", 1)
    assert pool.take("pod", "vm1").warm
    assert pool.take("pod", "vm1").warm


def test_a_release_that_comes_late_does_not_end_the_next_grant(
    pool: Pool, clock: HandClock
) -> None:
    first = pool.take("pod", "vm1")
    assert pool.release(first.address, "vm1", first.sequence)
    clock.pass_s(31)
    for number in range(5):
        pool.take("pod", f"fresh{number}")
    again = pool.take("pod", "vm1")
    assert again.address == first.address
    assert again.sequence > first.sequence
    assert not pool.release(first.address, "vm1", first.sequence)
    assert pool.take("pod", "vm1") == again


def test_nobody_releases_another_owners_address(pool: Pool) -> None:
    grant = pool.take("pod", "vm1")
    with pytest.raises(Refused, match="only its owner"):
        pool.release(grant.address, "vm2", grant.sequence)


def test_the_address_idle_longest_is_given_first(pool: Pool, clock: HandClock) -> None:
    grants = [pool.take("pod", f"vm{number}") for number in range(6)]
    order = [grants[3], grants[0], grants[5]]
    for grant in order:
        clock.pass_s(1)
        pool.release(grant.address, grant.owner, grant.sequence)
    clock.pass_s(31)
    assert [pool.take("pod", f"new{n}").address for n in range(3)] == [g.address for g in order]


def test_a_released_address_cools_down_before_anybody_gets_it(pool: Pool, clock: HandClock) -> None:
    grants = [pool.take("pod", f"vm{number}") for number in range(6)]
    pool.release(grants[0].address, "vm0", grants[0].sequence)
    clock.pass_s(29.9)
    with pytest.raises(Full, match="no free address"):
        pool.take("pod", "new")
    assert pool.counts("pod").cooling == 1
    clock.pass_s(0.2)
    assert pool.counts("pod").free == 1
    assert pool.take("pod", "new").address == grants[0].address


def test_setting_the_wall_clock_ends_no_cool_down(pool: Pool, clock: HandClock) -> None:
    grants = [pool.take("pod", f"vm{number}") for number in range(6)]
    pool.release(grants[0].address, "vm0", grants[0].sequence)
    for jump_s in (1e6, -1e8, 1e9):
        clock.people_s += jump_s
        with pytest.raises(Full):
            pool.take("pod", "new")


def test_neither_a_reboot_nor_a_clock_that_goes_backwards_ends_a_cool_down(
    tmp_path: Path, clock: HandClock
) -> None:
    with Pool(tmp_path / "pool.db", clock=clock) as pool:
        pool.register(POD)
        assign(pool, "10.0.0.0/30")
        grants = [pool.take("pod", f"vm{number}") for number in range(2)]
        clock.pass_s(100)
        pool.release(grants[0].address, "vm0", grants[0].sequence)
        clock.pass_s(20)
        pool.observe()
    clock.reboot()
    clock.since_boot_s = 10_000.0  # far more than the cool-down, but of another boot
    with Pool(tmp_path / "pool.db", clock=clock) as pool:
        with pytest.raises(Full):
            pool.take("pod", "new")
        clock.since_boot_s -= 5_000
        with pytest.raises(Full):
            pool.take("pod", "new")
        clock.pass_s(10)  # with the twenty seconds before: cooled
        assert pool.take("pod", "new").address == grants[0].address


def test_a_quota_holds_and_may_change(pool: Pool) -> None:
    pool.register(replace(POD, quota=2))
    kept = [pool.take("pod", "vm1"), pool.take("pod", "vm2")]
    with pytest.raises(Full, match="quota of 2"):
        pool.take("pod", "vm3")
    pool.register(replace(POD, quota=1))
    assert [pool.take("pod", "vm1"), pool.take("pod", "vm2")] == kept
    assert pool.hold("pod", 3) == []
    pool.register(POD)
    assert pool.take("pod", "vm3")
    with pytest.raises(Refused, match="0 or more"):
        pool.register(replace(POD, quota=-1))


def test_a_reservation_is_for_its_owner_alone(pool: Pool) -> None:
    pool.reserve("10.0.0.1")  # the gateway's
    pool.reserve("10.0.0.2", "db")
    others = {pool.take("pod", f"vm{number}").address for number in range(4)}
    assert others == {"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}
    with pytest.raises(Full):
        pool.take("pod", "vm9")
    with pytest.raises(Refused, match=r"not reserved for 'vm9'"):
        pool.take("pod", "vm9", reserved="10.0.0.2")
    grant = pool.take("pod", "db")
    assert grant.address == "10.0.0.2"
    pool.release(grant.address, "db", grant.sequence)
    found = pool.address("10.0.0.2")
    assert found is not None
    assert (found.state, found.owner) == (AddressState.RESERVED, "db")


def test_an_address_in_use_cannot_be_reserved(pool: Pool) -> None:
    grant = pool.take("pod", "vm1")
    (held,) = pool.hold("pod", 1)
    with pytest.raises(Refused, match="release it first"):
        pool.reserve(grant.address, "vm2")
    with pytest.raises(Refused, match="unhold it first"):
        pool.reserve(held.address, "vm2")


def test_what_was_granted_meanwhile_is_not_unheld(pool: Pool) -> None:
    held = pool.hold("pod", 2)
    grant = pool.take("pod", "vm1")
    assert pool.unhold(held) == [held[1].address]
    assert pool.take("pod", "vm1") == grant


def test_an_owner_has_one_address_of_each_family(pool: Pool) -> None:
    assign(pool, "fd00::/120")
    first, second = pool.take("pod", "vm1", family=4), pool.take("pod", "vm1", family=6)
    assert first.address == "10.0.0.1"
    assert second.address == "fd00::1"
    assert pool.take("pod", "vm1", family=6) == second
    assert pool.take("pod", "vm1") == first
    assert pool.release("fd00:0::1", "vm1", second.sequence)


def test_a_wide_ipv6_shard_costs_nothing_until_it_is_used(pool: Pool) -> None:
    assign(pool, "fd00::/64")
    assert pool.counts("pod").capacity == 6 + 2**20 - 1
    assert pool.hold("pod", 2, family=6)[1].address == "fd00::2"
    assert len(pool.addresses()) == 2


def test_an_owner_that_asks_in_another_subdivision_is_told_what_it_has(pool: Pool) -> None:
    pool.register(Subdivision("row", ("10.1.0.0/16",), "site"))
    assign(pool, "10.1.0.0/24", "row")
    pool.take("pod", "vm1")
    with pytest.raises(Refused, match=r"has 10\.0\.0\.1 already"):
        pool.take("row", "vm1")


def test_nonsense_is_refused_at_the_border(pool: Pool) -> None:
    for owner in ("", "x" * 257, "two\nlines"):
        with pytest.raises(Refused, match="owner"):
            pool.take("pod", owner)
    with pytest.raises(Refused, match="not an address"):
        pool.release("10.0.0.300", "vm1", 1)
    with pytest.raises(Unknown, match="register it"):
        pool.take("nowhere", "vm1")
    with pytest.raises(Unknown, match="claim its shard"):
        pool.reserve("192.0.2.1")


def test_the_list_is_read_page_by_page(pool: Pool) -> None:
    taken = [pool.take("pod", f"vm{number}").address for number in range(5)]
    pages = [pool.addresses("pod", most=2)]
    while pages[-1]:
        pages.append(pool.addresses("pod", most=2, after=pages[-1][-1].address))
    assert [each.address for page in pages for each in page] == taken
    assert [each.address for each in pool.addresses(owner="vm3")] == [taken[3]]


@given(st.ip_addresses())
def test_a_mac_is_local_unicast_and_the_same_for_ever(address: object) -> None:
    mac = mac_of(str(address))
    first = int(mac[:2], 16)
    assert first & 0b11 == 0b10
    assert mac == mac_of(str(address))
    assert len(mac.split(":")) == 6


@given(st.integers(0, 2**32 - 1), st.integers(8, 32), st.data())
def test_number_and_address_are_two_names_of_one_thing(
    number: int, length: int, data: st.DataObject
) -> None:
    network = number >> (32 - length) << (32 - length)
    shard = block(f"{address_at(4, network.to_bytes(4, 'big'), 0)}/{length}")
    offset = data.draw(st.integers(0, shard.capacity - 1))
    address = address_at(4, shard.first, offset)
    assert offset_of(shard.first, packed(address)[1]) == offset
    assert shard.low <= packed(address)[1] <= shard.high
