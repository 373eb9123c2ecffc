"""A load ramp on a router whose CPU is limited: what is offered, and what is kept of how it went. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from topologies.load.analysis import Attempt, percentile
from topologies.load.curves import Ramp
from topologies.load.schedule import Demand, Planned, schedule

CONNECT_TIMEOUT_S = 5.0  # of the load's clients
FAILED = ("refused", "timeout", "reset")  # nobody served these
# Which way a run was governed: no shadow at all, by use alone, by the forecast.
NONE, REACTIVE, UMBRA = "no_shadow", "reactive", "umbra"
WAYS = (NONE, REACTIVE, UMBRA)


@dataclass(frozen=True, slots=True)
class RampShape:
    """New connections per second: `base_per_s` for `calm_s`, a straight line up to `top_per_s`, held, and back.

    mean_duration_s: of a connection.
    """

    base_per_s: float
    top_per_s: float
    calm_s: float = 8.0
    rise_s: float = 12.0
    hold_s: float = 8.0
    fall_s: float = 4.0
    after_s: float = 4.0
    mean_duration_s: float = 0.5

    @property
    def seconds(self) -> float:
        """Length of the load."""
        return self.calm_s + self.rise_s + self.hold_s + self.fall_s + self.after_s

    def times(self, factor: float) -> RampShape:
        """The same with so many times as many connections."""
        return replace(self, base_per_s=self.base_per_s * factor, top_per_s=self.top_per_s * factor)

    @property
    def curve(self) -> Ramp:
        """The same as a curve of arrivals."""
        return Ramp(
            self.base_per_s, self.top_per_s, self.calm_s, self.rise_s, self.hold_s, self.fall_s
        )

    def planned(self, seed: int, service: int, address: str, port: int) -> tuple[Planned, ...]:
        """Every connection, the same for the same seed."""
        demand = Demand(service, address, port, self.curve, self.mean_duration_s)
        return schedule(seed, (demand,), self.seconds)


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the primary and its shadow. time_s: since the first connection was due. Cores are means over the
    interval before; given: what the shadow may have.
    """

    time_s: float
    primary_cores: float
    shadow_cores: float
    given_cores: float
    predicted_cores: float
    share_pct: int
    warm: bool


@dataclass(frozen=True, slots=True)
class RampRun:
    """One run. capacity_cores: the CPU that the primary may have."""

    way: str
    shape: RampShape
    capacity_cores: float
    attempts: tuple[Attempt, ...]
    moments: tuple[Moment, ...]
    reasons: tuple[tuple[float, str], ...] = ()

    def connects_ms(self) -> Sequence[float]:
        """Of every connection that was tried, how long it took to connect; one that never did counts as the
        clients' time-out.
        """
        return [
            CONNECT_TIMEOUT_S * 1e3 if one.connect_ms is None else one.connect_ms
            for one in self.attempts
        ]

    def connect_ms(self, percent: float) -> float:
        """Nearest-rank percentile of `connects_ms`; NaN of nothing."""
        return percentile(self.connects_ms(), percent)

    @property
    def refused_per_1000(self) -> float:
        """Connections that nobody served: refused, timed out, or reset before the first answer."""
        outcomes = Counter(one.outcome for one in self.attempts)
        total = sum(outcomes.values())
        return 1000.0 * sum(outcomes[name] for name in FAILED) / total if total else 0.0

    @property
    def moved_s(self) -> float | None:
        """When traffic first moved to the shadow; None: never."""
        return next((one.time_s for one in self.moments if one.share_pct > 0), None)

    @property
    def warm_s(self) -> float | None:
        """When the shadow was first warm; None: never."""
        return next((one.time_s for one in self.moments if one.warm), None)

    @property
    def share_most_pct(self) -> int:
        """The largest share of new traffic that the shadow had."""
        return max((one.share_pct for one in self.moments), default=0)

    @property
    def full_s(self) -> float:
        """For how long the primary used nearly all that it may have (95 %)."""
        total_s = 0.0
        for before, one in zip(self.moments, self.moments[1:], strict=False):
            if one.primary_cores >= 0.95 * self.capacity_cores:
                total_s += one.time_s - before.time_s
        return total_s

    def to_json(self) -> dict[str, Any]:
        """The figures."""
        return {
            "way": self.way,
            "connections": len(self.attempts),
            "refused_per_1000": round(self.refused_per_1000, 2),
            "connect_p50_ms": round(self.connect_ms(50), 2),
            "connect_p90_ms": round(self.connect_ms(90), 2),
            "connect_p99_ms": round(self.connect_ms(99), 2),
            "primary_full_s": round(self.full_s, 1),
            "warm_s": None if self.warm_s is None else round(self.warm_s, 1),
            "moved_s": None if self.moved_s is None else round(self.moved_s, 1),
            "share_most_pct": self.share_most_pct,
        }
