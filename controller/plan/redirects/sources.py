"""Where a source is: the location with the longest of the prefixes that it is in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.model.destinations import Location

BITS = 32  # umbra.p4 carries IPv4 only


@dataclass(frozen=True, slots=True)
class SourcePrefix:
    """An IPv4 prefix as numbers, and the location that it is of."""

    network: int
    length: int
    location: str


@dataclass(frozen=True, slots=True)
class Sources:
    """prefixes: sorted by network, then length, so that a prefix comes before those within it."""

    prefixes: tuple[SourcePrefix, ...]
    by_length: Mapping[int, Mapping[int, str]]  # length, longest first → network → location

    def location(self, address: str) -> str | None:
        """getSourceLocation of seed 9407539; None: beyond every prefix. Raises ValueError for what is no address."""
        number = int(ipaddress.IPv4Address(address))
        for length, networks in self.by_length.items():
            shift = BITS - length
            found = networks.get(number >> shift << shift)
            if found is not None:
                return found
        return None


def sources_of(locations: Iterable[Location]) -> Sources:
    """The locations' IPv4 prefixes; IPv6 ones are left out, as the data plane carries none.

    Raises ValueError for a prefix that is none, or that two locations have.
    """
    owner: dict[tuple[int, int], str] = {}
    for location in locations:
        for text in location.prefixes:
            try:
                prefix = ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"location {location.name}: {error}") from error
            if prefix.version != 4:
                continue
            key = (int(prefix.network_address), prefix.prefixlen)
            if owner.setdefault(key, location.name) != location.name:
                raise ValueError(
                    f"{text} is of location {owner[key]} and of {location.name}; give it to one of them"
                )
    ordered = tuple(
        SourcePrefix(network, length, name) for (network, length), name in sorted(owner.items())
    )
    by_length: dict[int, dict[int, str]] = {}
    for one in sorted(ordered, key=lambda p: -p.length):
        by_length.setdefault(one.length, {})[one.network] = one.location
    return Sources(ordered, by_length)
