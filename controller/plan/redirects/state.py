"""What redirecting looks at, what it plans, and what it remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from controller.model.destinations import Destination, Location, Redirect, Standby
from controller.plan.redirects.achieved import Achieved, Path, Verdict
from controller.plan.redirects.decision import Routing
from controller.plan.redirects.health import CopyHealth
from controller.plan.redirects.numbers import SlotNumber
from controller.plan.redirects.sources import Sources

Cell = tuple[int, str]  # service, location
Copy = tuple[int, str]  # service, site


@dataclass(frozen=True, slots=True)
class RedirectView:
    """What is seen. standbys: the copies that exist, with their states. served: what placement wants, of each cell the
    site of the copy; who is missing is for the primary. latency_ms: (location, site) → round trip.

    failed: copies that do not serve now, besides those whose state says so. forecast_cps: what is expected now, with
    reserve: for what a copy can take over. forecast_before_cps: what was expected, uncorrected, of the cycle that
    ended; observed_cps, achieved: what came and what redirects did in it. Between cycles (a failure) the last three
    are empty.
    """

    destinations: Sequence[Destination]
    locations: Sequence[Location]
    standbys: Sequence[Standby]
    served: Mapping[Cell, str]
    latency_ms: Mapping[tuple[str, str], float]
    failed: frozenset[Copy] = frozenset()
    forecast_cps: Mapping[Cell, float] = field(default_factory=dict)
    forecast_before_cps: Mapping[Cell, float] = field(default_factory=dict)
    observed_cps: Mapping[Cell, float] = field(default_factory=dict)
    achieved: Sequence[Achieved] = ()


class RedirectAct(StrEnum):
    """What happens to new connections of one location."""

    REDIRECT = "redirect"  # from the primary to a copy
    MOVE = "move"  # from a copy to another
    RETURN = "return"  # to the primary
    FAIL_OVER = "fail-over"  # away from a copy that failed, to another or to the primary
    FAIL_BACK = (
        "fail-back"  # to the copy that placement wants, which was not to be used for a while
    )


@dataclass(frozen=True, slots=True)
class RedirectStep:
    """One change, with its reason for a person and the numbers that it was made from."""

    time_s: float
    act: RedirectAct
    service: int
    location: str
    before: str
    after: str
    reason: str
    inputs: Mapping[str, float | str | None]


@dataclass(frozen=True, slots=True)
class RedirectPlan:
    """redirects: the rows, sorted by service and prefix. slot_sets: (service, site) → number of the slot set of each
    copy that may get connections, redirects or not, so that a redirect is one row. routing: what the rows implement.
    left_out: services whose rows did not fit; the primary serves them.
    """

    redirects: tuple[Redirect, ...]
    slot_sets: Mapping[Copy, int]
    routing: Routing
    steps: tuple[RedirectStep, ...]
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """Redirects of one service, and what they were made from."""

    primary: str
    sites: tuple[tuple[str, str], ...]  # location, site
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class RedirectState:
    """Remembered from plan to plan. sites: who was served by which copy. corrections: factors for the forecasts."""

    turn: int = 0
    sites: Mapping[Cell, str] = field(default_factory=dict)
    health: Mapping[Copy, CopyHealth] = field(default_factory=dict)
    verdicts: Mapping[Path, Verdict] = field(default_factory=dict)
    corrections: Mapping[Cell, float] = field(default_factory=dict)
    numbers: Mapping[Copy, SlotNumber] = field(default_factory=dict)
    prefixes: tuple[tuple[str, tuple[str, ...]], ...] = ()  # that what follows was made of
    sources: Sources | None = None
    rows: Mapping[int, Rows] = field(default_factory=dict)
