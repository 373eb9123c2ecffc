"""Claims of shards: two phases, no overlap, nothing given before or after its time."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model import ShardState, Subdivision
from controller.pool import Full, Pool, Refused, Unknown
from harness.pools import POD, HandClock, assign


@pytest.fixture
def pool(tmp_path: Path, clock: HandClock) -> Iterator[Pool]:
    with Pool(tmp_path / "pool.db", clock=clock) as opened:
        opened.register(POD)
        yield opened


def test_nothing_is_granted_from_a_claim_that_is_not_confirmed(pool: Pool) -> None:
    shard = pool.claim("10.0.0.0/28", "pod", "one")
    with pytest.raises(Full):
        pool.take("pod", "vm1")
    assert pool.confirm("10.0.0.0/28", shard.sequence).state is ShardState.ASSIGNED
    assert pool.take("pod", "vm1").shard == "10.0.0.0/28"


def test_the_same_claim_again_is_the_same_and_another_claimant_is_refused(pool: Pool) -> None:
    shard = pool.claim("10.0.0.0/28", "pod", "one")
    assert pool.claim("10.0.0.0/28", "pod", "one") == shard
    with pytest.raises(Refused, match="overlaps"):
        pool.claim("10.0.0.0/28", "pod", "two")


@pytest.mark.parametrize("prefix", ["10.0.0.0/27", "10.0.0.16/29", "10.0.0.31/32", "10.0.0.0/24"])
def test_shards_never_overlap(pool: Pool, prefix: str) -> None:
    pool.claim("10.0.0.16/28", "pod", "one")
    with pytest.raises(Refused, match="overlaps"):
        pool.claim(prefix, "pod", "one")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(24, 30)), max_size=12))
def test_any_claims_leave_disjoint_shards(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[int, int]]
) -> None:
    with Pool(tmp_path_factory.mktemp("pool") / "pool.db") as pool:
        pool.register(Subdivision("pod", ("10.0.0.0/24",), "site", max_shards=99))
        mine: list[ipaddress.IPv4Network] = []
        for number, length in wanted:
            prefix = ipaddress.IPv4Network((f"10.0.0.{number}", length), strict=False)
            if any(prefix.overlaps(each) for each in mine):
                with pytest.raises(Refused):
                    pool.claim(str(prefix), "pod", f"claimant {len(mine)}")
            else:
                pool.claim(str(prefix), "pod", f"claimant {len(mine)}")
                mine.append(prefix)
        assert [each.prefix for each in pool.shards()] == [str(each) for each in sorted(mine)]
        assert pool.audit() == []


def test_a_claim_outside_the_subdivision_or_beyond_its_number_is_refused(pool: Pool) -> None:
    with pytest.raises(Refused, match="outside pod"):
        pool.claim("10.0.1.0/28", "pod", "one")
    pool.register(Subdivision("pod", ("10.0.0.0/24",), "site", max_shards=1))
    pool.claim("10.0.0.0/28", "pod", "one")
    with pytest.raises(Full, match="max_shards"):
        pool.claim("10.0.0.16/28", "pod", "one")


def test_a_subdivision_cannot_shrink_below_its_shards(pool: Pool) -> None:
    assign(pool, "10.0.0.128/28")
    with pytest.raises(Refused, match="outside"):
        pool.register(Subdivision("pod", ("10.0.0.0/25",), "site"))
    assert pool.subdivisions() == [POD]


def test_an_old_sequence_number_confirms_nothing(pool: Pool) -> None:
    old = pool.claim("10.0.0.0/28", "pod", "one")
    pool.abandon("10.0.0.0/28", old.sequence)
    pool.claim("10.0.0.0/28", "pod", "two")
    with pytest.raises(Refused, match="look again"):
        pool.confirm("10.0.0.0/28", old.sequence)


def test_a_shard_is_prefetched_while_some_of_it_is_warm(pool: Pool) -> None:
    assign(pool, "10.0.0.0/28")
    (held,) = pool.hold("pod", 1)
    assert pool.shards()[0].state is ShardState.PREFETCHED
    pool.unhold([held])
    assert pool.shards()[0].state is ShardState.ASSIGNED


def test_a_draining_shard_gives_nothing_and_is_free_when_all_came_back(
    pool: Pool, clock: HandClock
) -> None:
    assign(pool, "10.0.0.0/29")
    grant = pool.take("pod", "vm1")
    pool.hold("pod", 1)
    draining = pool.drain("10.0.0.0/29", pool.shards()[0].sequence)
    with pytest.raises(Full):
        pool.take("pod", "vm2")
    assert pool.counts("pod").free == 0
    with pytest.raises(Refused, match="1 addresses are granted"):
        pool.free("10.0.0.0/29", draining.sequence)
    pool.release(grant.address, "vm1", grant.sequence)
    with pytest.raises(Refused, match="2 cooling"):
        pool.free("10.0.0.0/29", draining.sequence)
    clock.pass_s(31)
    pool.free("10.0.0.0/29", draining.sequence)
    assert pool.shards() == []
    with pytest.raises(Unknown, match="is free"):
        pool.undrain("10.0.0.0/29", draining.sequence)


def test_a_shard_that_was_given_back_starts_with_new_sequence_numbers(
    pool: Pool, clock: HandClock
) -> None:
    assign(pool, "10.0.0.0/30")
    old = pool.take("pod", "vm1")
    pool.release(old.address, "vm1", old.sequence)
    draining = pool.drain("10.0.0.0/30", pool.shards()[0].sequence)
    clock.pass_s(31)
    pool.free("10.0.0.0/30", draining.sequence)
    assign(pool, "10.0.0.0/30")
    new = pool.take("pod", "vm1")
    assert new.address == old.address
    assert not pool.release(old.address, "vm1", old.sequence)
    assert pool.take("pod", "vm1") == new


def test_a_shard_taken_back_from_draining_gives_its_addresses_again(
    pool: Pool, clock: HandClock
) -> None:
    assign(pool, "10.0.0.0/30")
    for owner in ("vm1", "vm2"):
        grant = pool.take("pod", owner)
        pool.release(grant.address, owner, grant.sequence)
    draining = pool.drain("10.0.0.0/30", pool.shards()[0].sequence)
    pool.undrain("10.0.0.0/30", draining.sequence)
    clock.pass_s(31)
    assert pool.take("pod", "vm3").address == "10.0.0.1"


def test_an_ipv6_shard_goes_through_its_whole_life(pool: Pool, clock: HandClock) -> None:
    assign(pool, "fd00::/120")
    with pytest.raises(Refused, match="overlaps"):
        pool.claim("fd00::80/121", "pod", "another")
    held = pool.hold("pod", 2, family=6)
    grant = pool.take("pod", "vm1", family=6)
    assert (grant.address, grant.warm) == (held[0].address, True)
    shard = pool.drain("fd00::/120", pool.shards("pod")[0].sequence)
    with pytest.raises(Refused, match="1 addresses are granted"):
        pool.free(shard.prefix, shard.sequence)
    with pytest.raises(Full):
        pool.take("pod", "vm2", family=6)
    assert pool.release(grant.address, "vm1", grant.sequence)
    clock.pass_s(31.0)
    pool.free(shard.prefix, shard.sequence)
    assert pool.shards("pod") == []
    assert pool.audit() == []
