"""Addresses and the blocks that they come from: subdivisions, shards, addresses, grants."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ShardState(StrEnum):
    """The life of a shard: free → claiming → assigned → prefetched → draining → free.

    A claim has two phases: while `claiming`, nobody else can have the shard and no address of it can be
    granted; only the confirmation (routes are written) makes it `assigned`.
    """

    FREE = "free"
    CLAIMING = "claiming"
    ASSIGNED = "assigned"
    PREFETCHED = "prefetched"  # assigned, and some of its addresses are held ahead of demand
    DRAINING = "draining"  # gives no new addresses; free when the last one has come back


class AddressState(StrEnum):
    """The life of an address: free → (held →) granted → cooling → free; reserved apart from it."""

    FREE = "free"
    HELD = "held"  # warm: a shadow instance answers for it
    GRANTED = "granted"
    COOLING = "cooling"  # released, and not given to anybody yet
    RESERVED = "reserved"  # given to nobody but the owner it is reserved for, if there is one


@dataclass(frozen=True, slots=True)
class Subdivision:
    """A part of the network that gets shards (a pod, a rack row)."""

    name: str
    prefixes: tuple[str, ...]  # the supernets its shards are cut from, IPv4 and IPv6
    site: str
    switch: str | None = None  # the switch that its instances hang on
    max_shards: int = 16
    quota: int | None = None  # addresses granted at one time; None: no limit
    external: str | None = None  # prefix of public addresses for 1:1 NAT


@dataclass(frozen=True, slots=True)
class Shard:
    """An aligned, contiguous prefix. `sequence` grows with every change of state or subdivision."""

    prefix: str
    subdivision: str | None  # None: free
    state: ShardState
    sequence: int
    since_s: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Address:
    """One address. `sequence` grows with every change: who acts on an old one is refused (ABA)."""

    address: str
    shard: str
    state: AddressState
    owner: str | None
    mac: str | None  # stays with the address from its holder to its instance
    sequence: int
    since_s: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Grant:
    """What an owner got. It is released with its sequence number."""

    address: str
    mac: str
    owner: str
    sequence: int
    warm: bool  # a shadow instance held it
    shard: str
