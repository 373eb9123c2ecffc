"""What the configuration file of a real router says."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum

from controller.model.bgp import Advertisement

# What stands unquoted, or between quotes, in both programs' languages.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_PASSWORD = re.compile(r"[!#-~]{1,80}")


class RouterFileError(ValueError):
    """A configuration file cannot be made as asked, or its program's checker refuses it."""


class Kind(StrEnum):
    """The program that reads the file."""

    FRR = "frr"
    BIRD = "bird"


@dataclass(frozen=True, slots=True)
class Umbra:
    """The session with umbra's speaker, from the router's side. It waits for umbra to dial."""

    address: str
    remote_as: int
    password: str | None = field(default=None, repr=False)
    ttl_security: bool = True
    hops: int = 1
    max_prefixes: int = 10_000  # more than that is a mistake: the router says so, and takes no more


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another router, which this one tells of the shards."""

    name: str
    address: str
    remote_as: int


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """One router. It learns shards from umbra by BGP, has them written in its file, or both.

    pools: the supernets that shards are cut from; nothing outside them is believed or told.
    shards: routes that stand in the file; what is also learnt by BGP is the same route.
    community_as: first half of the communities that name a shard's state.
    """

    name: str
    router_id: str
    local_as: int
    pools: tuple[str, ...]
    community_as: int
    umbra: Umbra | None = None
    shards: tuple[Advertisement, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *(one.name for one in self.neighbours)):
            if not _NAME.fullmatch(name):
                raise RouterFileError(
                    f"router {name!r}: a name has a letter, then at most 30 letters, digits and underscores"
                )
        try:
            ipaddress.IPv4Address(self.router_id)
            for pool in self.pools:
                ipaddress.ip_network(pool)
            for address in self._addresses():
                ipaddress.ip_address(address)
        except ValueError as error:
            raise RouterFileError(f"router {self.name}: {error}") from None
        numbers = [
            self.local_as,
            *(one.remote_as for one in self.neighbours),
            *([self.umbra.remote_as] if self.umbra else []),
        ]
        if not all(1 <= number <= 4294967294 for number in numbers):
            raise RouterFileError(f"router {self.name}: AS numbers are 1..4294967294")
        if not 0 <= self.community_as <= 65535:
            raise RouterFileError(f"router {self.name}: community_as has 16 bits")
        password = self.umbra.password if self.umbra is not None else None
        if password is not None and not _PASSWORD.fullmatch(password):
            raise RouterFileError(
                f"router {self.name}: a password in a configuration file has 1..80 printable characters, no space "
                "and no double quote"
            )
        for shard in self.shards:
            self._check_shard(shard)

    def _addresses(self) -> list[str]:
        own = [self.umbra.address] if self.umbra else []
        return [*own, *(one.address for one in self.neighbours)]

    def _check_shard(self, shard: Advertisement) -> None:
        network = ipaddress.ip_network(shard.prefix)
        if not any(_inside(network, ipaddress.ip_network(pool)) for pool in self.pools):
            raise RouterFileError(
                f"router {self.name}: shard {shard.prefix} is in none of its pools"
            )


def _inside(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network,
    outer: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
