"""What one run of the demo leaves behind: the traffic's records, and what the controller said
meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topologies.demo.bursts import Bursts
from topologies.demo.failure import Failure
from topologies.load.analysis import Span, Summary, Traffic, breaches, summarise
from topologies.ramps import RampRun
from topologies.sun import Sun

EARLIEST_LEAD_S = 60.0  # a prediction further ahead than this is not counted as one of that breach


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The controller's routers at one moment, as its API tells them. `time_s` since the start of
    the load.
    """

    time_s: float
    routers: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times of decisions and snapshots are seconds since the start of the load."""

    name: str  # "reactive" or "predictive"
    seconds: float
    capacity: Mapping[str, int]
    threshold: Mapping[str, int]
    traffic: Traffic
    snapshots: tuple[Snapshot, ...]
    decisions: tuple[Mapping[str, Any], ...]
    breach_spans: Mapping[str, Sequence[Span]] = field(init=False)
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        until_s = max([self.seconds, *(attempt.end_s for attempt in self.traffic.attempts)])
        object.__setattr__(
            self,
            "breach_spans",
            breaches(self.traffic.passages, self.capacity, self.threshold, until_s),
        )
        object.__setattr__(
            self, "summary", summarise(self.traffic, self.capacity, self.threshold, until_s)
        )

    @property
    def shifts(self) -> tuple[Mapping[str, Any], ...]:
        """The decisions that moved a larger share of a router's new connections to its shadows."""
        return tuple(decision for decision in self.decisions if decision["kind"] == "shift")


@dataclass(frozen=True, slots=True)
class Prediction:
    """A shift that began before a breach, and the breach as the reactive run had it: the load was
    the same.
    """

    router: str
    decided_s: float
    breach_s: float | None  # None: the reactive run had no breach there: a false alarm

    @property
    def lead_s(self) -> float | None:
        """Seconds from the decision to the breach that did not happen."""
        return None if self.breach_s is None else self.breach_s - self.decided_s


@dataclass(frozen=True, slots=True)
class Acts:
    """All that was played, each by the name of its run."""

    records: Mapping[str, RunRecord]
    failures: Mapping[str, Failure]
    bursts: Mapping[str, Bursts]
    suns: Mapping[str, Sun]
    ramps: Mapping[str, RampRun]


def episodes(record: RunRecord) -> list[Mapping[str, Any]]:
    """The first shift of each episode: a router's share begins to grow, after nothing or after a
    way back.
    """
    found: list[Mapping[str, Any]] = []
    rising: dict[str, bool] = {}
    for decision in record.decisions:
        router = decision["router"]
        if decision["kind"] == "shift":
            if not rising.get(router, False):
                found.append(decision)
            rising[router] = True
        elif decision["kind"] == "restore":
            rising[router] = False
    return found


def predictions(predictive: RunRecord, reactive: RunRecord) -> list[Prediction]:
    """Every episode of shifts that a prediction or an anomaly began, beside what happened without
    it.

    The breach is taken from the reactive run's traffic, where nothing was done before it. A breach
    belongs to the earliest episode before it; one that had no breach within a minute was a false
    alarm.
    """
    found: list[Prediction] = []
    taken: set[tuple[str, float]] = set()
    for decision in episodes(predictive):
        if decision["trigger"] not in ("prediction", "anomaly"):
            continue
        router, decided_s = decision["router"], decision["time_s"]
        starts = sorted(
            from_s
            for from_s, _ in reactive.breach_spans.get(router, ())
            if decided_s <= from_s <= decided_s + EARLIEST_LEAD_S and (router, from_s) not in taken
        )
        if starts:
            taken.add((router, starts[0]))
        found.append(Prediction(router, decided_s, starts[0] if starts else None))
    return found


def report(record: RunRecord, leads_s: Sequence[float]) -> dict[str, Any]:
    """One run in the JSON report."""
    summary = record.summary
    return {
        "connections": summary.connections,
        "breach_s": round(summary.breach_s, 2),
        "refused_per_1000": round(summary.refused_per_1000, 2),
        "broken_per_1000": round(summary.broken_per_1000, 3),
        "moved_per_1000": round(summary.moved_per_1000, 3),
        "failed_per_1000": round(summary.failed_per_1000, 3),
        "connect_p50_ms": round(summary.connect_p50_ms, 2),
        "connect_p99_ms": round(summary.connect_p99_ms, 2),
        "shifts": len(record.shifts),
        "shifts_without_reason": sum(1 for decision in record.shifts if not decision["reason"]),
        "lead_s": [round(lead, 2) for lead in leads_s],
    }
