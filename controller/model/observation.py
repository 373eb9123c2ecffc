"""What was seen: counters as the switches report them, and the samples made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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

    @property
    def live(self) -> int:
        """Connections alive now."""
        return self.opened - self.closed - self.expired


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
