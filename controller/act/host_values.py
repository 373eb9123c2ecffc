"""What a host holds and runs: the words between the controller and a host's agent."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from typing import Any

DEFAULT_PORT = 80
PERIOD_S = (
    15.0  # of heartbeats: half of the time that Linux trusts an ARP entry for (base_reachable_time)
)


@dataclass(frozen=True, slots=True)
class Holding:
    """An address with its MAC, for a shadow instance or an instance of its own. `gateway` is on the link."""

    address: str
    mac: str
    gateway: str
    prefix_len: int = 32  # everything by way of the gateway

    def __post_init__(self) -> None:
        for text in (self.address, self.gateway):
            if ipaddress.ip_address(text).version != 4:
                raise ValueError(f"{text}: shadow instances and instances carry IPv4 only")
        octets = bytes.fromhex(self.mac.replace(":", ""))
        if len(octets) != 6 or octets[0] & 1:
            raise ValueError(f"{self.mac} is no MAC address of one interface")
        if not 0 <= self.prefix_len <= 32:
            raise ValueError(f"{self.address}/{self.prefix_len}: the prefix has 0 to 32 bits")


@dataclass(frozen=True, slots=True)
class Held:
    """A shadow instance as it is. `silent_s`: since a heartbeat of its was last answered; None: never yet."""

    address: str
    mac: str
    silent_s: float | None
    confirmed: bool = False  # the data plane has its ARP row, with its MAC
    disputed: bool = False  # somebody answered for the address with another MAC


@dataclass(frozen=True, slots=True)
class Running:
    """An instance as it is. `warm`: it began with a held address; `ready_ms`: from the request to its listening."""

    name: str
    address: str
    mac: str
    port: int
    pid: int
    warm: bool
    ready_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class HostState:
    """What really runs on a host. The pool is reconciled against this, never against a memory of it."""

    held: tuple[Held, ...]
    instances: tuple[Running, ...]

    def to_json(self) -> dict[str, Any]:
        """As it travels."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> HostState:
        """As it came. Raises KeyError or TypeError for anything else."""
        return cls(
            tuple(Held(**one) for one in value["held"]),
            tuple(Running(**one) for one in value["instances"]),
        )
