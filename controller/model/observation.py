"""What was seen: counters as the switches report them, and the samples made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class ServiceCounters:
    """Totals since the switch started, for one service on one switch."""

    opened: int = 0
    closed: int = 0
    expired: int = 0
    refused: int = 0
    unbound: int = 0
    packets: int = 0
    bytes: int = 0
    adopted: int = 0  # taken over from a primary
    released: int = 0  # now carried by another switch

    @property
    def live(self) -> int:
        """Connections alive now that this switch carries itself."""
        return self.opened + self.adopted - self.closed - self.expired - self.released


class RecordEvent(IntEnum):
    """What became of a replica record that was received; UNKNOWN and those after it come on top of the others."""

    IN_SEQUENCE = 0
    AFTER_GAP = 1
    LATE = 2  # repeated or overtaken, or its sender began anew
    UNKNOWN = 3  # about a connection that is not known here
    NO_PLACE = 4
    BY_SCAN = 5  # FULL and GIVE
    KEPT_OURS = 6  # this switch carries the connection and knows better
    DAMAGED = 7  # the 5-tuple does not give the signature


@dataclass(frozen=True, slots=True)
class ReplicationCounters:
    """Replica records of one switch since it started.

    sent: kind of record → records made (each goes to every shadow); received: number of the primary → one count
    for each `RecordEvent`; adopted, released: service → connections.
    """

    sent: Mapping[int, int] = field(default_factory=dict)
    received: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    adopted: Mapping[int, int] = field(default_factory=dict)
    released: Mapping[int, int] = field(default_factory=dict)

    def count(self, number: int, event: RecordEvent) -> int:
        """Records of the primary with this number that met this event."""
        counts = self.received.get(number)
        return counts[event] if counts else 0

    def sequenced(self, number: int) -> int:
        """Records of that primary that carried its running sequence number: all but those sent by a scan."""
        return sum((self.received.get(number) or ())[: RecordEvent.LATE + 1])


@dataclass(frozen=True, slots=True)
class NodeCounters:
    """One switch's counters, read at `time_s` (Unix time). Ports map to (packets, bytes)."""

    node: str
    time_s: float
    services: Mapping[int, ServiceCounters] = field(default_factory=dict)
    bindings_opened: Mapping[int, int] = field(default_factory=dict)  # label → connections
    slot_sets_chosen: Mapping[int, int] = field(default_factory=dict)  # slot set → new connections
    ports_in: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    ports_out: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)  # reason → packets
    replication: ReplicationCounters = field(default_factory=ReplicationCounters)


@dataclass(frozen=True, slots=True)
class RouterSample:
    """One router in one cycle: the series that forecasts learn from."""

    router: str
    time_s: float
    live: int  # connections
    new_per_s: float
    closed_per_s: float
    refused_per_s: float
    mean_duration_s: float  # by Little's law; NaN until connections have closed
    bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SampledConnection:
    """A digest: one of the new connections, as the data plane chose for it."""

    node: str
    time_s: float
    client: str
    address: str
    protocol: int
    client_port: int
    service_port: int
    service_id: int
    binding: int
