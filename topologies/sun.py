"""What became of a compressed day: who was served where, how soon, and what was decided. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from topologies.load.analysis import Traffic, moved, percentile
from topologies.sun_load import Day

SHORTLY_S = 3.0  # what is decided so shortly before the day is for it
UNSURE_S = 0.05  # a connection that begins so close to a change may go either way


class Mode(StrEnum):
    """What redirects follow."""

    STATIC = "static"  # none: every destination is served at home
    REACTIVE = "reactive"  # what came in the last steps
    PREDICTIVE = "predictive"  # what is forecast


@dataclass(frozen=True, slots=True)
class Region:
    """Where a client host is: its location's name, and the site that it is nearest to."""

    location: str
    site: str


@dataclass(frozen=True, slots=True)
class Change:
    """New connections from a location to a service go elsewhere. Times in seconds from the begin of the load;
    written_s: when the last edge had it.
    """

    decided_s: float
    written_s: float
    service: int
    location: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Call:
    """One connection. site: where it was answered; None: nowhere. connect_ms: until it was open."""

    start_s: float
    service: int
    location: str
    site: str | None
    connect_ms: float | None
    nearest: bool
    misdirected: bool


@dataclass(frozen=True, slots=True)
class Sun:
    """One run. changes: the eve's as well. moved: connections that more than one router or backend had."""

    mode: Mode
    day: Day
    calls: tuple[Call, ...]
    changes: tuple[Change, ...]
    moved: int

    @property
    def answered(self) -> tuple[Call, ...]:
        """The calls that somebody answered."""
        return tuple(one for one in self.calls if one.site is not None)

    @property
    def redirects(self) -> tuple[Change, ...]:
        """The changes, without those of the eve."""
        return tuple(one for one in self.changes if one.decided_s >= -SHORTLY_S)

    @property
    def nearest_pct(self) -> float:
        """Of the answered calls, answered at the site nearest to the caller."""
        return _pct(one.nearest for one in self.answered)

    @property
    def misdirected_pct(self) -> float:
        """Of the answered calls, answered elsewhere than was decided."""
        return _pct(one.misdirected for one in self.answered)

    def connect_ms(self, percent: float) -> float:
        """Nearest-rank percentile of the times to an open connection; NaN of nothing."""
        return percentile(self.connects_ms(), percent)

    def mean_connect_ms(self) -> float:
        """NaN of nothing."""
        found = self.connects_ms()
        return sum(found) / len(found) if found else float("nan")

    def connects_ms(self) -> Sequence[float]:
        """Every time to an open connection."""
        return [one.connect_ms for one in self.calls if one.connect_ms is not None]

    def to_json(self) -> dict[str, Any]:
        """The key "sun" of a run in the demo's JSON report."""
        known = bool(self.connects_ms())
        return {
            "mode": self.mode.value,
            "connections": len(self.calls),
            "unanswered": len(self.calls) - len(self.answered),
            "nearest_pct": round(self.nearest_pct, 2) if self.answered else None,
            "misdirected_pct": round(self.misdirected_pct, 3) if self.answered else None,
            "connect_mean_ms": round(self.mean_connect_ms(), 2) if known else None,
            "connect_p50_ms": round(self.connect_ms(50), 2) if known else None,
            "connect_p90_ms": round(self.connect_ms(90), 2) if known else None,
            "redirects": len(self.redirects),
            "moved": self.moved,
        }


def _pct(flags: Iterable[bool]) -> float:
    told = list(flags)
    return 100.0 * sum(told) / len(told) if told else float("nan")


def judged(traffic: Traffic, number: int, eve_s: float) -> Traffic:
    """Of the days alone, whose connections have the ids below `number`; times from when the first day begins.

    What backends saw is kept whole: nobody may be moved on the eve either.
    """
    attempts = tuple(
        replace(one, start_s=one.start_s - eve_s, end_s=one.end_s - eve_s)
        for one in traffic.attempts
        if one.id < number
    )
    return replace(traffic, attempts=attempts)


def sun(
    mode: Mode,
    day: Day,
    traffic: Traffic,
    changes: Sequence[Change],
    *,
    regions: Mapping[str, Region],
    sites: Mapping[str, str],
    homes: Mapping[int, str],
) -> Sun:
    """From the records of clients and backends.

    regions: by client host. sites: by backend. homes: by service, where it is served unless redirected.
    """
    calls = []
    for one in traffic.attempts:
        region = regions[one.client]
        site = sites[one.backends[0]] if one.backends else None
        decided = decided_sites(
            changes, one.service, region.location, homes[one.service], one.start_s
        )
        calls.append(
            Call(
                one.start_s,
                one.service,
                region.location,
                site,
                one.connect_ms,
                site == region.site,
                site is not None and site not in decided,
            )
        )
    return Sun(mode, day, tuple(calls), tuple(changes), moved(traffic))


def decided_sites(
    changes: Iterable[Change], service: int, location: str, home: str, time_s: float
) -> frozenset[str]:
    """Where a connection that begins then may go: one site, and two while a change is being written."""
    found = {home}
    for one in sorted(changes, key=lambda change: change.decided_s):
        if (one.service, one.location) != (service, location):
            continue
        if one.decided_s - UNSURE_S > time_s:
            break
        found = {one.after} if one.written_s + UNSURE_S < time_s else {*found, one.after}
    return frozenset(found)
