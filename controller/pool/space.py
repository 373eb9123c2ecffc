"""Arithmetic of prefixes: which addresses of a shard can be granted, their numbers, and their MAC addresses."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from hashlib import blake2b

from controller.pool.errors import Refused

OFFSET_BITS = 20
MOST = (
    1 << OFFSET_BITS
)  # addresses used of one shard: a wider one is used through its first million
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_BYTES = {4: 4, 6: 16}


@dataclass(frozen=True, slots=True)
class Block:
    """A shard's addresses. `first` is the first that can be granted; its number within the shard is 0."""

    prefix: str
    family: int  # 4 or 6
    low: bytes  # of the whole prefix, in network order: compares as addresses do
    high: bytes
    first: bytes
    capacity: int


def block(prefix: str) -> Block:
    """The block of a prefix. IPv4's network and broadcast addresses and IPv6's subnet-router anycast address (RFC 4291,
    2.6.1) are left out, except where RFC 3021 and RFC 6164 use all. Raises Refused for what is no prefix.
    """
    try:
        network = ipaddress.ip_network(prefix)
    except ValueError as error:
        raise Refused(f"{prefix!r} is not a prefix ({error}): write it as 10.1.2.0/24") from None
    all_of_it = network.max_prefixlen - network.prefixlen <= 1
    skipped = 0 if all_of_it else 1
    lost = 0 if all_of_it else (2 if network.version == 4 else 1)
    low = network.network_address
    return Block(
        prefix=str(network),
        family=network.version,
        low=low.packed,
        high=network.broadcast_address.packed,
        first=(low + skipped).packed,
        capacity=min(network.num_addresses, MOST) - lost,
    )


def packed(address: str) -> tuple[int, bytes]:
    """(family, bytes in network order) of an address. Raises Refused for what is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise Refused(f"{address!r} is not an address: write it as 10.1.2.3 or fd00::1") from None
    return found.version, found.packed


def canonical(address: str) -> str:
    """The one way in which the pool writes this address. Raises Refused for what is none."""
    family, data = packed(address)
    return socket.inet_ntop(_FAMILIES[family], data)


def address_at(family: int, first: bytes, offset: int) -> str:
    """The address with this number in a shard."""
    return both_at(family, first, offset)[0]


def both_at(family: int, first: bytes, offset: int) -> tuple[str, str]:
    """(address, MAC address) with this number in a shard."""
    data = (int.from_bytes(first, "big") + offset).to_bytes(_BYTES[family], "big")
    return socket.inet_ntop(_FAMILIES[family], data), _mac(family, data)


def offset_of(first: bytes, address: bytes) -> int:
    """The number of an address in a shard; negative or too large when it cannot be granted."""
    return int.from_bytes(address, "big") - int.from_bytes(first, "big")


def mac_of(address: str) -> str:
    """The MAC address that goes with an address, whoever has it: so no neighbour's cache is ever wrong.

    Locally administered (IEEE 802, second bit). IPv4: 02:75 and the four bytes. IPv6: 06, twenty bits that tell
    the /108 (see `tag`), and the address's last twenty bits.
    """
    return _mac(*packed(address))


def _mac(family: int, data: bytes) -> str:
    if family == 4:
        return "02:75:" + data.hex(":")
    number = tag(data) << OFFSET_BITS | int.from_bytes(data, "big") & (MOST - 1)
    return "06:" + number.to_bytes(5, "big").hex(":")


def tag(address: bytes) -> int:
    """Twenty bits of a hash of an IPv6 address's /108. The pool claims no two shards with the same."""
    network = int.from_bytes(address, "big") >> OFFSET_BITS
    digest = blake2b(network.to_bytes(16, "big"), digest_size=4, person=b"umbra-mac").digest()
    return int.from_bytes(digest, "big") & (MOST - 1)


def same_tagged(one: bytes, other: bytes) -> bool:
    """Whether two IPv6 addresses lie in one /108, where the last twenty bits tell them apart."""
    numbers = (int.from_bytes(each, "big") >> OFFSET_BITS for each in (one, other))
    return next(numbers) == next(numbers)
