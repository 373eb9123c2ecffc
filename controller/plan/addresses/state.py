"""What the planner of warm ranges sees, remembers and says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.plan.addresses.counts import NOTHING, Counts

IPV4 = 4


class Change(StrEnum):
    """What is done to a range."""

    GROW = "grow"
    SHRINK = "shrink"
    SHORT = "short"  # more is needed than there is room for


@dataclass(frozen=True, slots=True)
class RangeView:
    """One subdivision's addresses of one family, as seen now.

    held: warm or being warmed. granted: in use. grants, cold: since the last plan, all and those that
    found no warm address. room: addresses that are idle in its shards and could be held. quota: addresses
    that may be in use at one time. expected_per_s: grants per second that are foreseen for
    the next window (`controller.addressing.foresight`); None: nothing is foreseen. why: what that comes from.
    """

    subdivision: str
    held: int
    granted: int
    grants: int
    cold: int
    room: int
    family: int = IPV4
    quota: int | None = None
    expected_per_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RangeState:
    """What is remembered of one range.

    time_s: of the last plan. rates_per_s: watched, the fastest first. recent: the plans of the
    last window, each with its time, its class of expectation and the grants that came after it. counts: what
    windows brought. log_risk: ln(1 - confidence). peak, peak_before: the most that was needed since half_s, and
    in the half before.
    """

    time_s: float | None = None
    rates_per_s: tuple[float, ...] = ()
    recent: tuple[tuple[float, int, int], ...] = ()
    counts: Counts = NOTHING
    log_risk: float = math.nan  # not yet steered: the configured confidence
    peak: int = 0
    peak_before: int = 0
    half_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class RangeStep:
    """One change, with its reason. count: addresses to hold (GROW), to release (SHRINK), that lack (SHORT)."""

    time_s: float
    change: Change
    subdivision: str
    family: int
    count: int
    reason: str
    inputs: Mapping[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RangePlan:
    """needed: addresses that must be warm. hold, release: what to change; never both."""

    subdivision: str
    family: int
    needed: int
    hold: int
    release: int
    confidence: float
    steps: tuple[RangeStep, ...]
