"""What an A/B comparison is made from: counts of both arms over the same time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

FASTEST_MS, SLOWEST_MS = 1e-3, 1e6  # latencies are clipped to these, so that each has a logarithm


class Metric(StrEnum):
    """What is compared. All of them are better when they are smaller."""

    LATENCY = "latency"  # geometric mean of connect latency, variant over primary
    LOSS = "loss"  # share of packets (or probes) lost, variant minus primary
    REFUSALS = "refusals"  # share of new connections refused, variant minus primary


@dataclass(frozen=True, slots=True)
class Interval:
    """Of an effect: the ratio of latencies, the difference of shares. low, high: confidence sequence."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's counts. connections: new ones that came, refused: of these. sent, lost: packets or probes.
    timed: connections whose latency is known, log_ms: sum of the natural logarithms of these.
    """

    connections: int = 0
    refused: int = 0
    sent: int = 0
    lost: int = 0
    timed: int = 0
    log_ms: float = 0.0

    def __post_init__(self) -> None:
        for part, of in (("refused", "connections"), ("lost", "sent")):
            if not 0 <= getattr(self, part) <= getattr(self, of):
                raise ValueError(
                    f"{part} is {getattr(self, part)}: from 0 to {of}, {getattr(self, of)}"
                )
        if self.timed < 0 or not math.isfinite(self.log_ms):
            raise ValueError(f"timed is {self.timed}, log_ms {self.log_ms}: at least 0, and finite")

    def __add__(self, other: Arm) -> Arm:
        return Arm(
            self.connections + other.connections,
            self.refused + other.refused,
            self.sent + other.sent,
            self.lost + other.lost,
            self.timed + other.timed,
            self.log_ms + other.log_ms,
        )

    @classmethod
    def of(
        cls,
        latencies_ms: Iterable[float],
        *,
        connections: int | None = None,
        refused: int = 0,
        sent: int = 0,
        lost: int = 0,
    ) -> Arm:
        """From single latencies; connections: by default those with a latency and those refused."""
        logs = [math.log(min(max(ms, FASTEST_MS), SLOWEST_MS)) for ms in latencies_ms]
        came = len(logs) + refused if connections is None else connections
        return cls(came, refused, sent, lost, len(logs), math.fsum(logs))


@dataclass(frozen=True, slots=True)
class Block:
    """Both arms over the same time. time_s: when it ended (Unix time); share_pct: of new traffic
    that went to the variant all that time.
    """

    time_s: float
    share_pct: float
    primary: Arm = field(default_factory=Arm)
    variant: Arm = field(default_factory=Arm)
