"""Arrival rates over time. Pure: a curve says how many new connections per second there are at a
moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Curve(Protocol):
    """A rate of arrivals. Times are seconds since the start of the load."""

    def rate_per_s(self, time_s: float) -> float:
        """New connections per second at that moment, never negative."""
        ...

    @property
    def peak_per_s(self) -> float:
        """A bound that the rate never exceeds."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate all the time."""

    per_s: float

    def rate_per_s(self, time_s: float) -> float:
        return self.per_s

    @property
    def peak_per_s(self) -> float:
        return self.per_s


@dataclass(frozen=True, slots=True)
class Ramp:
    """From a base rate up to a peak in a straight line, held, and down again."""

    base_per_s: float
    top_per_s: float
    start_s: float
    rise_s: float
    hold_s: float
    fall_s: float

    def rate_per_s(self, time_s: float) -> float:
        since = time_s - self.start_s
        if since < 0:
            part = 0.0
        elif since < self.rise_s:
            part = since / self.rise_s
        elif since < self.rise_s + self.hold_s:
            part = 1.0
        elif since < self.rise_s + self.hold_s + self.fall_s:
            part = 1.0 - (since - self.rise_s - self.hold_s) / self.fall_s
        else:
            part = 0.0
        return self.base_per_s + (self.top_per_s - self.base_per_s) * part

    @property
    def peak_per_s(self) -> float:
        return max(self.base_per_s, self.top_per_s)


@dataclass(frozen=True, slots=True)
class Diurnal:
    """A day compressed into `period_s`: lowest at the start, highest in the middle."""

    low_per_s: float
    high_per_s: float
    period_s: float

    def rate_per_s(self, time_s: float) -> float:
        part = (1.0 - math.cos(2.0 * math.pi * time_s / self.period_s)) / 2.0
        return self.low_per_s + (self.high_per_s - self.low_per_s) * part

    @property
    def peak_per_s(self) -> float:
        return max(self.low_per_s, self.high_per_s)


@dataclass(frozen=True, slots=True)
class Surge:
    """A base rate, and at one moment a jump that decays exponentially with time constant `decay_s`."""

    base_per_s: float
    top_per_s: float
    start_s: float
    decay_s: float

    def rate_per_s(self, time_s: float) -> float:
        if time_s < self.start_s:
            return self.base_per_s
        return self.base_per_s + (self.top_per_s - self.base_per_s) * math.exp(
            -(time_s - self.start_s) / self.decay_s
        )

    @property
    def peak_per_s(self) -> float:
        return max(self.base_per_s, self.top_per_s)


@dataclass(frozen=True, slots=True)
class Sum:
    """Several curves at once."""

    parts: tuple[Curve, ...]

    def rate_per_s(self, time_s: float) -> float:
        return sum(part.rate_per_s(time_s) for part in self.parts)

    @property
    def peak_per_s(self) -> float:
        return sum(part.peak_per_s for part in self.parts)


@dataclass(frozen=True, slots=True)
class Repeated:
    """The first `period_s` of a curve, over and over."""

    curve: Curve
    period_s: float

    def rate_per_s(self, time_s: float) -> float:
        return self.curve.rate_per_s(time_s % self.period_s)

    @property
    def peak_per_s(self) -> float:
        return self.curve.peak_per_s
