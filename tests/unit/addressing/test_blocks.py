"""Prefixes as blocks: what neighbours become, and what a buddy allocator gives and takes."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import Shard, ShardState
from controller.plan.shards.aggregation import advertised, fewest
from controller.plan.shards.block import Block, block, cover, merged
from controller.plan.shards.space import Space

ROOT = block("10.0.0.0/24")  # 256 addresses: sets of them can be compared


@st.composite
def blocks(draw: st.DrawFn, root: Block = ROOT, least: int = 0) -> Block:
    bits = draw(st.integers(least, root.bits))
    places = root.size >> bits
    return Block(root.family, root.start + (draw(st.integers(0, places - 1)) << bits), bits)


def addresses(found: list[Block]) -> set[int]:
    return {number for one in found for number in range(one.start, one.end)}


@given(st.lists(blocks(), max_size=20))
def test_neighbours_become_the_fewest_prefixes_that_lead_to_the_same_addresses(
    given_blocks: list[Block],
) -> None:
    found = merged(given_blocks)
    assert addresses(list(found)) == addresses(given_blocks)
    networks = [ipaddress.IPv4Network(str(one)) for one in given_blocks]
    assert fewest(map(str, given_blocks)) == tuple(map(str, ipaddress.collapse_addresses(networks)))


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_range_is_covered_exactly(start: int, size: int) -> None:
    found = list(cover(4, start, start + size))
    assert addresses(found) == set(range(start, start + size))
    assert all(one.start % one.size == 0 for one in found)
    assert len(merged(found)) == len(found)


@pytest.mark.parametrize(
    ("prefix", "capacity"),
    [("10.0.0.0/26", 62), ("10.0.0.0/31", 2), ("fd00::/122", 63), ("fd00::/127", 2)],
)
def test_a_prefix_reads_back_as_itself_and_knows_what_it_can_give(
    prefix: str, capacity: int
) -> None:
    assert str(block(prefix)) == prefix
    assert block(prefix).capacity == capacity


def test_what_is_no_prefix_is_named_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"'10.0.0.1/24'.*write it as"):
        block("10.0.0.1/24")


def test_routes_of_different_subdivisions_are_not_joined() -> None:
    shards = [
        Shard("10.0.0.0/26", "a", ShardState.ASSIGNED, 1, 0.0),
        Shard("10.0.0.64/26", "a", ShardState.DRAINING, 2, 0.0),
        Shard("10.0.0.128/26", "b", ShardState.PREFETCHED, 3, 0.0),
        Shard("10.0.0.192/26", None, ShardState.FREE, 4, 0.0),
        Shard("fd00::/122", "b", ShardState.CLAIMING, 5, 0.0),
    ]
    assert advertised(shards) == {"a": ("10.0.0.0/25",), "b": ("10.0.0.128/26", "fd00::/122")}


@given(st.lists(st.tuples(st.booleans(), blocks(least=2)), max_size=40))
def test_what_was_taken_is_not_free_and_what_was_given_back_is(
    operations: list[tuple[bool, Block]],
) -> None:
    space, free = Space([ROOT]), set(range(ROOT.start, ROOT.end))
    for take, one in operations:
        mine = set(range(one.start, one.end))
        if take and mine <= free:
            space.take(one)
            free -= mine
        elif not take and not mine & free:
            space.give(one)
            free |= mine
        else:
            with pytest.raises(ValueError, match=r"is not free|cannot be given back"):
                (space.take if take else space.give)(one)
        assert addresses(list(space.free())) == free
        assert len(merged(space.free())) == len(space.free()), "buddies are joined"
        assert 0.0 <= space.fragmentation() < 1.0


@given(st.lists(blocks(least=2), max_size=20), blocks(least=2))
def test_a_space_made_from_what_is_used_is_the_same_as_one_it_was_taken_from(
    used: list[Block], asked: Block
) -> None:
    space = Space([ROOT], used)
    assert addresses(list(space.free())) == addresses([ROOT]) - addresses(used)
    found = space.best(ROOT, asked.bits)
    possible = [one for one in ROOT.pieces(asked.bits) if space.is_free(one)]
    assert (found is None) == (not possible)
    assert found is None or found in possible
    inside = list(space.within(asked, 0))
    assert addresses(inside) == addresses(list(space.free())) & addresses([asked])


def test_fragmentation_tells_scattered_free_space_from_one_free_block() -> None:
    half = Space([ROOT], [block("10.0.0.0/25")])
    every_other = Space([ROOT], list(ROOT.pieces(4))[::2])
    assert half.fragmentation() == 0.0
    assert every_other.fragmentation() == pytest.approx(1 - 16 / 128)


def test_a_full_space_has_nothing() -> None:
    space = Space([ROOT], [block("10.0.0.0/16")])
    assert space.free() == ()
    assert space.best(ROOT, 2) is None
    assert space.fragmentation() == 0.0
