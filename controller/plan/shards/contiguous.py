"""Which free blocks a subdivision gets: contiguous ones first, so that they are few routes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller.plan.shards.block import Block
from controller.plan.shards.space import Space


def select_contiguous(
    space: Space, own: Sequence[Block], supernets: Sequence[Block], bits: int, count: int, most: int
) -> list[Block]:
    """Up to `count` blocks of 2**bits addresses, which are taken from `space`.

    own: what the subdivision has. supernets: in which it may have more, the preferred ones first. most: how many it
    may ever have. In this order: what lies beside its own, the nearest first; then one block with room for
    all that it may ever have, of which it gets the first part (others take the rest only when nothing else is
    left); then the largest pieces that there are.
    """
    reach = bits + max(0, most - 1).bit_length()
    found: list[Block] = []
    mine = [one for one in own if one.family == supernets[0].family] if supernets else []
    while len(found) < count:
        got = _beside(space, [*mine, *found], supernets, bits, reach, count - len(found))
        if not got:
            got = _apart(space, supernets, bits, reach, count - len(found))
        if not got:
            break
        found += got
    return found


def _beside(
    space: Space,
    own: Sequence[Block],
    supernets: Sequence[Block],
    bits: int,
    reach: int,
    count: int,
) -> list[Block]:
    """Free blocks in the smallest blocks around its own ones."""
    found: list[Block] = []
    ordered = sorted(own)
    for around in range(bits + 1, reach + 1):
        seen: Block | None = None
        for one in ordered:
            outer = one.around(max(around, one.bits))
            if outer == seen:
                continue
            seen = outer
            if not any(supernet.holds(outer) for supernet in supernets):
                continue
            for free in list(space.within(outer, bits)):
                for piece in free.pieces(bits):
                    space.take(piece)
                    found.append(piece)
                    if len(found) == count:
                        return found
    return found


def _apart(
    space: Space, supernets: Sequence[Block], bits: int, reach: int, count: int
) -> list[Block]:
    """The first part of a block with room to grow, or of the largest that there is."""
    for size in range(reach, bits - 1, -1):
        for supernet in supernets:
            if size > supernet.bits:
                continue
            place = space.best(supernet, size)
            if place is not None:
                found = []
                for piece in place.pieces(bits):
                    space.take(piece)
                    found.append(piece)
                    if len(found) == count:
                        break
                return found
    return []
