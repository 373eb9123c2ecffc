"""The free address space, as a buddy allocator sees it (Knowlton 1965): aligned blocks, halved and joined.

Deterministic: of blocks that serve equally well, the one with the lowest address. All that is looked for is
found by bisection in one sorted list per family and size.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence

from controller.plan.shards.block import Block, cover, merged, outermost


class Space:
    """What is free within supernets. Mutable; a plan makes its own."""

    def __init__(self, supernets: Iterable[Block], used: Iterable[Block] = ()) -> None:
        self._roots = merged(supernets)
        self._starts = [(root.family, root.start) for root in self._roots]
        self._free: dict[tuple[int, int], list[int]] = {}
        blocks = outermost(used)
        places = [(one.family, one.start) for one in blocks]
        for root in self._roots:
            first = bisect_left(places, (root.family, root.start))
            for one in self._gaps(root, blocks, first):
                self._free.setdefault((one.family, one.bits), []).append(one.start)
        for starts in self._free.values():
            starts.sort()

    def free(self, family: int | None = None) -> tuple[Block, ...]:
        """All free blocks, each as large as it can be, ascending."""
        return tuple(
            sorted(
                Block(one, start, bits)
                for (one, bits), starts in self._free.items()
                if family in (None, one)
                for start in starts
            )
        )

    def best(self, within: Block, bits: int) -> Block | None:
        """The smallest free block of at least that size within `within`; its first part, if that is larger."""
        for larger in range(bits, within.bits + 1):
            starts = self._free.get((within.family, larger))
            if starts:
                place = bisect_left(starts, within.start)
                if place < len(starts) and starts[place] < within.end:
                    return Block(within.family, starts[place], bits)
        # A free block may be larger than `within`.
        return Block(within.family, within.start, bits) if self._around(within) else None

    def within(self, outer: Block, bits: int) -> Iterator[Block]:
        """The free blocks of at least that size within `outer`, ascending."""
        if self._around(outer):
            yield outer
            return
        found = []
        for size in range(bits, outer.bits):
            starts = self._free.get((outer.family, size), [])
            for place in range(bisect_left(starts, outer.start), len(starts)):
                if starts[place] >= outer.end:
                    break
                found.append(Block(outer.family, starts[place], size))
        yield from sorted(found)

    def is_free(self, one: Block) -> bool:
        """Whether all of it is free."""
        return self._around(one) is not None

    def take(self, one: Block) -> None:
        """It is free no more. ValueError when some of it was not."""
        larger = self._around(one)
        if larger is None:
            raise ValueError(f"{one} is not free")
        self._remove(larger)
        while larger.bits > one.bits:
            larger = one.around(larger.bits - 1)
            self._add(larger.buddy)

    def give(self, one: Block) -> None:
        """It is free again. ValueError when it lies outside, or some of it was free."""
        root = self._root(one)
        if root is None or self.is_free(one) or next(self.within(one, 0), None) is not None:
            raise ValueError(f"{one} cannot be given back: it is free already, or lies outside")
        while one.bits < root.bits and self._has(one.buddy):
            self._remove(one.buddy)
            one = one.around(one.bits + 1)
        self._add(one)

    def fragmentation(self) -> float:
        """0: in every supernet the largest free block is as large as what is free there allows; towards 1 the
        more it is split. 1 - sum of the largest free blocks / sum of what they could be.
        """
        largest: dict[Block, int] = {}
        total: dict[Block, int] = {}
        for one in self.free():
            root = self._root(one)
            if root is not None:
                largest[root] = max(largest.get(root, 0), one.size)
                total[root] = total.get(root, 0) + one.size
        could = sum(1 << (size.bit_length() - 1) for size in total.values())
        return 1.0 - sum(largest.values()) / could if could else 0.0

    def _gaps(self, root: Block, used: Sequence[Block], first: int) -> Iterator[Block]:
        start = root.start
        if first and used[first - 1].holds(root):
            return
        for place in range(first, len(used)):
            one = used[place]
            if one.family != root.family or one.start >= root.end:
                break
            yield from cover(root.family, start, one.start)
            start = one.end
        if start < root.end:
            yield from cover(root.family, start, root.end)

    def _root(self, one: Block) -> Block | None:
        place = bisect_left(self._starts, (one.family, one.start + 1)) - 1
        return self._roots[place] if place >= 0 and self._roots[place].holds(one) else None

    def _around(self, one: Block) -> Block | None:
        root = self._root(one)
        if root is None:
            return None
        for bits in range(one.bits, root.bits + 1):
            larger = one.around(bits)
            if self._has(larger):
                return larger
        return None

    def _has(self, one: Block) -> bool:
        starts = self._free.get((one.family, one.bits))
        if not starts:
            return False
        place = bisect_left(starts, one.start)
        return place < len(starts) and starts[place] == one.start

    def _add(self, one: Block) -> None:
        insort(self._free.setdefault((one.family, one.bits), []), one.start)

    def _remove(self, one: Block) -> None:
        starts = self._free[one.family, one.bits]
        del starts[bisect_left(starts, one.start)]
