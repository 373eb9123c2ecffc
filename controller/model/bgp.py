"""What umbra says to real routers by BGP: the peers, and what each of them is told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

BGP_PORT = 179
MIN_HOLD_S = 10  # os-ken takes no less (RFC 4271: 3)
MAX_PASSWORD_BYTES = 80  # TCP_MD5SIG_MAXKEYLEN, linux/tcp.h


@dataclass(frozen=True, slots=True)
class BgpPeer:
    """A real router that umbra peers with. umbra dials; it listens to nobody.

    `next_hop`: the fabric's address that the router reaches on its own link, normally the gateway of the edge that
    it hangs on. `next_hop_ipv6`: a router that forwards IPv6, for the fabric does not. A family without a next hop
    is not negotiated.
    `hops`: routers between umbra and the peer, itself included (1: same link). With `ttl_security` (RFC 5082)
    packets that came further are refused by the kernel.
    """

    name: str
    address: str
    remote_as: int
    next_hop: str | None = None
    next_hop_ipv6: str | None = None
    switch: str | None = (
        None  # the edge that this router hangs on: the nearest shards are preferred
    )
    local_address: str | None = None  # ours, such as a loopback's; None: the kernel chooses
    port: int = BGP_PORT
    password: str | None = field(default=None, repr=False)  # TCP MD5 (RFC 2385)
    ttl_security: bool = True
    hops: int = 1
    hold_s: int = 30

    def __post_init__(self) -> None:
        where = f"BGP peer {self.name}"
        family = ipaddress.ip_address(self.address).version
        if (
            self.local_address is not None
            and ipaddress.ip_address(self.local_address).version != family
        ):
            raise ValueError(f"{where}: local_address must be of the same IP version as address")
        if self.next_hop is None and self.next_hop_ipv6 is None:
            raise ValueError(f"{where}: give next_hop, next_hop_ipv6 or both")
        if self.next_hop is not None:
            ipaddress.IPv4Address(self.next_hop)
        if self.next_hop_ipv6 is not None:
            ipaddress.IPv6Address(self.next_hop_ipv6)
        if not 1 <= self.remote_as <= 4294967294:
            raise ValueError(f"{where}: remote_as must be 1..4294967294")
        if not 1 <= self.port <= 65535 or not 1 <= self.hops <= 254:
            raise ValueError(f"{where}: port must be 1..65535 and hops 1..254")
        if not MIN_HOLD_S <= self.hold_s <= 65535:
            raise ValueError(f"{where}: hold_s must be {MIN_HOLD_S}..65535")
        if self.password is not None and not 1 <= len(self.password.encode()) <= MAX_PASSWORD_BYTES:
            raise ValueError(f"{where}: a password has 1..{MAX_PASSWORD_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class BgpSettings:
    """Who umbra is in BGP. `restart_s`: how long peers keep its routes while it is away (RFC 4724)."""

    local_as: int
    router_id: str
    peers: tuple[BgpPeer, ...]
    restart_s: int = 240
    connect_retry_s: float = 2.0

    def __post_init__(self) -> None:
        ipaddress.IPv4Address(self.router_id)
        if not 1 <= self.local_as <= 4294967294:
            raise ValueError("BGP: local_as must be 1..4294967294")
        if not 1 <= self.restart_s <= 4095:
            raise ValueError("BGP: restart_s must be 1..4095 (RFC 4724, 3)")
        if not 0.1 <= self.connect_retry_s <= 600:
            raise ValueError("BGP: connect_retry_s must be 0.1..600")
        for what in ("name", "address"):
            values = [getattr(peer, what) for peer in self.peers]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"BGP: two peers have the same {what}: {', '.join(sorted(twice))}")


# The same few next hops and the same prefixes come again with every cycle.
@lru_cache(maxsize=4096)
def _host_family(address: str) -> int:
    return ipaddress.ip_address(address).version


@lru_cache(maxsize=1 << 17)
def _prefix_family(prefix: str) -> int:
    return ipaddress.ip_network(prefix).version


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One route as one peer is told it. `communities` are (AS, number); `local_pref` goes to internal peers only."""

    prefix: str
    next_hop: str
    local_pref: int = 100
    med: int = 0
    communities: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if _host_family(self.next_hop) != _prefix_family(self.prefix):
            raise ValueError(
                f"route {self.prefix}: next hop {self.next_hop} is of the other family"
            )
        if not 0 <= self.med < 1 << 32 or not 0 <= self.local_pref < 1 << 32:
            raise ValueError(f"route {self.prefix}: MED and LOCAL_PREF have 32 bits")
        if any(not 0 <= half < 1 << 16 for pair in self.communities for half in pair):
            raise ValueError(f"route {self.prefix}: each half of a community has 16 bits")

    @property
    def version(self) -> int:
        """4 or 6."""
        return _prefix_family(self.prefix)


@dataclass(frozen=True, slots=True)
class BgpPeerState:
    """How a session stands: of the `wanted` routes, `advertised` were sent; `withdrawing` ones are still to go.

    `since_s` is seconds since 1970.
    """

    name: str
    address: str
    remote_as: int
    state: str  # RFC 4271's: Idle, Connect, Active, OpenSent, OpenConfirm, Established
    since_s: float
    advertised: int
    wanted: int
    withdrawing: int
    updates_received: int
    sessions: int  # established since the speaker started
    last_error: str | None

    @property
    def settled(self) -> bool:
        """Has the peer been sent all that it is to know?"""
        return (
            self.state == "Established" and self.advertised == self.wanted and self.withdrawing == 0
        )
