"""Aligned blocks of addresses as whole numbers: halves, buddies, and the fewest prefixes of a range."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

WIDTH = {4: 32, 6: 128}  # bits of an address, by family


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """The addresses start .. start + 2**bits - 1 of a family (4 or 6); start is a multiple of 2**bits."""

    family: int
    start: int
    bits: int

    @property
    def size(self) -> int:
        """How many addresses lie in it."""
        return 1 << self.bits

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.start + (1 << self.bits)

    @property
    def capacity(self) -> int:
        """How many can be given away: not IPv4's network and broadcast address, nor IPv6's subnet-router
        anycast address (RFC 4291, 2.6.1), except where RFC 3021 and RFC 6164 use all.
        """
        if self.bits <= 1:
            return self.size
        return self.size - (2 if self.family == 4 else 1)

    @property
    def buddy(self) -> Block:
        """The other half of the block that is twice as large."""
        return Block(self.family, self.start ^ (1 << self.bits), self.bits)

    def around(self, bits: int) -> Block:
        """The block of that size that holds this one."""
        return Block(self.family, self.start >> bits << bits, bits)

    def holds(self, other: Block) -> bool:
        """Whether `other` lies within it."""
        return self.family == other.family and self.start <= other.start and other.end <= self.end

    def pieces(self, bits: int) -> Iterator[Block]:
        """Its blocks of that size, ascending."""
        for start in range(self.start, self.end, 1 << bits):
            yield Block(self.family, start, bits)

    def __str__(self) -> str:
        length = WIDTH[self.family] - self.bits
        if self.family == 4:
            return f"{ipaddress.IPv4Address(self.start)}/{length}"
        return f"{ipaddress.IPv6Address(self.start)}/{length}"


@lru_cache(maxsize=65_536)
def block(prefix: str) -> Block:
    """The block of a prefix such as 10.1.2.0/26 or fd00::/122. ValueError when it is none."""
    try:
        network = ipaddress.ip_network(prefix)
    except ValueError as error:
        raise ValueError(f"{prefix!r} is no prefix ({error}): write it as 10.1.2.0/24") from None
    bits = network.max_prefixlen - network.prefixlen
    return Block(network.version, int(network.network_address), bits)


def cover(family: int, start: int, end: int) -> Iterator[Block]:
    """The fewest blocks that together are the addresses start .. end - 1, ascending."""
    while start < end:
        bits = (end - start).bit_length() - 1
        if start:
            bits = min(bits, (start & -start).bit_length() - 1)
        yield Block(family, start, bits)
        start += 1 << bits


def outermost(blocks: Iterable[Block]) -> list[Block]:
    """These blocks, ascending, without those that lie in another."""
    found: list[Block] = []
    family = end = 0
    for one in sorted(blocks, key=_place):
        if one.family == family and one.start < end:
            continue  # aligned blocks either hold one another or are apart
        found.append(one)
        family, end = one.family, one.end
    return found


def merged(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The fewest blocks that cover exactly what these cover, ascending. They may overlap."""
    found: list[Block] = []
    for one in outermost(blocks):
        found.append(one)
        while len(found) > 1 and found[-2] == found[-1].buddy:
            last = found.pop()
            found[-1] = last.around(last.bits + 1)
    return tuple(found)


def _place(one: Block) -> tuple[int, int, int]:
    return one.family, one.start, -one.bits
