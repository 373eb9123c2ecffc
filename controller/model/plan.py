"""The desired state of everything umbra controls."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

SLOTS = 100


@dataclass(frozen=True, slots=True)
class SlotSet:
    """A weighted choice: exactly 100 labels, always in the same order; one slot is 1 % of new connections."""

    id: int
    slots: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.slots) != SLOTS:
            raise ValueError(f"slot set {self.id}: {len(self.slots)} slots, there must be {SLOTS}")

    def share_pct(self, label: int) -> int:
        """Percentage of new connections that goes to `label`."""
        return self.slots.count(label)


@dataclass(frozen=True, slots=True)
class Idle:
    """After how long without a packet a connection's entry may be used again, by its state."""

    tcp_s: float = 900.0
    udp_s: float = 60.0
    opening_s: float = 10.0
    linger_s: float = 5.0  # closed: the binding is kept for the last packets


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """What makes a packet one of a service's, and which slot set chooses for its new connections."""

    address: str
    protocol: int  # IP protocol number
    port: int
    service: int
    slot_set: int


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a packet goes: the label to send to, and the MAC address that receives there."""

    label: int
    mac: str


@dataclass(frozen=True, slots=True)
class TargetRow:
    """What a binding means: one place, or the shadows that stand in for it (each connection gets one of them)."""

    binding: int
    hops: tuple[Hop, ...]

    def __post_init__(self) -> None:
        if not self.hops:
            raise ValueError(f"binding {self.binding}: it must lead somewhere")


@dataclass(frozen=True, slots=True)
class PrimaryRow:
    """A switch whose replica records are accepted: its label, and the number that its replicas carry here."""

    origin: int
    number: int  # 1..15; 0 means "owned"
    generation: int = 0  # 0..15; replicas of an older one are swept after a resync

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 15 or not 0 <= self.generation <= 15:
            raise ValueError(f"primary {self.origin}: number 1..15 and generation 0..15 wanted")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A clone session: one copy for each (port, label of the peer); label 0 is the CPU."""

    id: int
    replicas: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TrainRow:
    """A multicast group that turns one probe into a burst of `copies` out of `port`."""

    group: int
    port: int
    copies: int


@dataclass(frozen=True, slots=True)
class LabelRow:
    """How a label is reached: ports of equal cost; `pop` at the last hop."""

    label: int
    ports: tuple[int, ...]
    pop: bool


@dataclass(frozen=True, slots=True)
class DeliverRow:
    """A prefix (one host) on a port of this node."""

    prefix: str
    port: int
    mac: str


@dataclass(frozen=True, slots=True)
class TunnelRow:
    """A prefix behind another node."""

    prefix: str
    label: int
    mac: str


@dataclass(frozen=True, slots=True)
class ArpRow:
    """An address that this node answers ARP for."""

    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class NatRow:
    """1:1 NAT: outside, the address `internal` is known as `external`."""

    internal: str
    external: str

    def __post_init__(self) -> None:
        if self.internal == self.external:
            raise ValueError(f"NAT of {self.internal}: its external address must be another one")


@dataclass(frozen=True, slots=True)
class RedirectRow:
    """Another slot set for new connections of one service from `prefix`; the longest prefix wins.

    None: the service's own slot set, as if no row with a shorter prefix were there.
    """

    service: int
    prefix: str
    slot_set: int | None

    def __post_init__(self) -> None:
        try:
            ipaddress.IPv4Network(self.prefix)
        except ValueError as error:
            raise ValueError(
                f"redirect of service {self.service}: {error}; give an IPv4 prefix without host bits"
            ) from error


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Desired table contents of one switch. Addresses are dotted quads, MACs colon-separated."""

    node: str
    mac: str
    label: int
    index_mask: int
    capacity: int
    idle: Idle
    sample_one_in: int
    services: tuple[ServiceRow, ...]
    origins: tuple[ServiceRow, ...]
    slot_sets: tuple[SlotSet, ...]
    targets: tuple[TargetRow, ...]
    labels: tuple[LabelRow, ...]
    delivers: tuple[DeliverRow, ...]
    tunnels: tuple[TunnelRow, ...]
    arp: tuple[ArpRow, ...]
    nat: tuple[NatRow, ...] = ()
    nat_inside: tuple[
        str, ...
    ] = ()  # prefixes where internal addresses are spoken: no NAT towards them
    trusted_ports: tuple[int, ...] = ()
    primaries: tuple[PrimaryRow, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    trains: tuple[TrainRow, ...] = ()
    replicate: bool = False
    redirects: tuple[RedirectRow, ...] = ()
    refresh_s: float = 30.0  # how often a connection that talks refreshes its replicas


@dataclass(frozen=True, slots=True)
class FabricPlan:
    """Desired state of the fabric."""

    nodes: tuple[NodePlan, ...]

    def node(self, name: str) -> NodePlan:
        """The plan of that switch; KeyError if there is none."""
        for node in self.nodes:
            if node.node == name:
                return node
        raise KeyError(name)
