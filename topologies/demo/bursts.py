"""The demo's bursts of instances: when each is requested, and what is kept of how it went. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml.calendars.events import PlannedEvent
from topologies.load.analysis import percentile

POD = "pod"  # the subdivision that they come in
PER_S = 1.0  # instances that come anyway
BURSTS_S = (4.0, 7.0, 10.0)  # when the bursts begin
BURST_S = 1.0  # how long each takes
IN_BURST = 15  # instances in each
END_S = 12.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Instances over time: `per_s` at random, and in each burst `in_burst` more within `burst_s`.

    bursts_s: when they begin; all in seconds from the start.
    """

    per_s: float = PER_S
    bursts_s: tuple[float, ...] = BURSTS_S
    burst_s: float = BURST_S
    in_burst: int = IN_BURST
    end_s: float = END_S

    @property
    def factor(self) -> float:
        """How many times as many come in a burst as else: what is announced."""
        return (self.in_burst / self.burst_s + self.per_s) / self.per_s


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance is requested. `burst`: its number, from 1; 0 is none."""

    name: str
    time_s: float
    burst: int


def arrivals(shape: Shape, seed: int) -> tuple[Arrival, ...]:
    """Every request of a run, in order; the same for the same seed."""
    draws = random.Random(seed)
    times = []
    for number in range(int(shape.end_s * shape.per_s)):  # one at some moment of each interval
        times.append(((number + draws.random()) / shape.per_s, 0))
    for burst, begin_s in enumerate(shape.bursts_s, start=1):
        for _ in range(shape.in_burst):
            times.append((begin_s + draws.random() * shape.burst_s, burst))
    return tuple(
        Arrival(f"i{number}", time_s, burst)
        for number, (time_s, burst) in enumerate(sorted(times), start=1)
    )


def announced(shape: Shape, begun_s: float) -> tuple[PlannedEvent, ...]:
    """The bursts, as a calendar tells of them; `begun_s`: the beginning of the load (Unix time)."""
    return tuple(
        PlannedEvent(
            f"burst {number}",
            begun_s + begin_s,
            begun_s + begin_s + shape.burst_s,
            (POD,),
            shape.factor,
        )
        for number, begin_s in enumerate(shape.bursts_s, start=1)
    )


@dataclass(frozen=True, slots=True)
class Start:
    """What became of a request. `warm`: a shadow instance had held its address. `answer_ms`: from the request to
    the first answer that a client got from the instance; None: it got none.
    """

    arrival: Arrival
    warm: bool
    answer_ms: float | None


@dataclass(frozen=True, slots=True)
class Stock:
    """Addresses at one moment: held by shadow instances, and granted to instances."""

    time_s: float
    held: int
    granted: int


@dataclass(frozen=True, slots=True)
class Held:
    """A decision of the planner to hold `count` more, with its reason."""

    time_s: float
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Bursts:
    """One run. `held_ahead`: with a plan, or addresses are given out as they are asked for. Times in seconds from
    the first moment of the load.
    """

    held_ahead: bool
    shape: Shape
    starts: tuple[Start, ...]
    stock: tuple[Stock, ...]
    held: tuple[Held, ...] = ()

    @property
    def warm(self) -> int:
        """Instances that got a warm address."""
        return sum(one.warm for one in self.starts)

    @property
    def unanswered(self) -> int:
        """Instances of which the client heard nothing."""
        return sum(one.answer_ms is None for one in self.starts)

    @property
    def held_most(self) -> int:
        """The most addresses that were held at one time."""
        return max((one.held for one in self.stock), default=0)

    @property
    def unused(self) -> int:
        """Addresses that were still held at the end."""
        return self.stock[-1].held if self.stock else 0

    def answer_ms(self, percent: float) -> float:
        """Nearest-rank percentile of the times to the first answer; NaN of nothing."""
        return percentile(self.answers_ms(), percent)

    def answers_ms(self) -> Sequence[float]:
        """Every time to a first answer."""
        return [one.answer_ms for one in self.starts if one.answer_ms is not None]

    def to_json(self) -> dict[str, Any]:
        """The key "bursts" of a run in the demo's JSON report."""
        answered = bool(self.answers_ms())

        def figure(percent: float) -> float | None:
            return round(self.answer_ms(percent), 2) if answered else None

        return {
            "held_ahead": self.held_ahead,
            "instances": len(self.starts),
            "in_bursts": sum(one.arrival.burst > 0 for one in self.starts),
            "warm": self.warm,
            "unanswered": self.unanswered,
            "first_answer_p50_ms": figure(50),
            "first_answer_p90_ms": figure(90),
            "first_answer_max_ms": figure(100),
            "held_most": self.held_most,
            "unused_at_end": self.unused,
        }
