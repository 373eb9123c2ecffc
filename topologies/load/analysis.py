"""What the traffic says: figures from the records of clients and backends, never from the
controller's belief.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """A client's record of one connection. Times in seconds since the start of the load."""

    id: int
    client: str
    service: int
    start_s: float
    end_s: float
    late_ms: float
    outcome: str
    connect_ms: float | None
    backends: tuple[str, ...]
    source: tuple[str, int] | None = None  # the client's address and port; None: never connected


@dataclass(frozen=True, slots=True)
class Passage:
    """A backend's record of one connection: which routers it came through, in order of appearance."""

    backend: str
    client: str
    client_port: int
    address: str
    port: int
    routers: tuple[str, ...]
    opened_s: float
    closed_s: float | None  # None: the client never closed it
    last_s: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """All records of one run."""

    attempts: tuple[Attempt, ...]
    passages: tuple[Passage, ...]
    lost_packets: int  # that an observer did not see; the counts by router are exact when this is 0


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one run."""

    connections: int
    breach_s: float
    refused_per_1000: float
    broken_per_1000: float
    moved_per_1000: float
    failed_per_1000: float  # timeouts and resets before the first answer
    connect_p50_ms: float
    connect_p99_ms: float
    late_p99_ms: float


Step = tuple[float, int]  # (time_s, connections from then on)


def _lines(paths: Iterable[Path]) -> Iterable[tuple[str, dict[str, Any]]]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield path.stem, json.loads(line)


def read(client_files: Iterable[Path], backend_files: Iterable[Path]) -> Traffic:
    """Records of the load programs. A backend's file is named after it (b1.jsonl)."""
    attempts = [
        Attempt(
            id=record["id"],
            client=record["client"],
            service=record["service"],
            start_s=record["start_s"],
            end_s=record["end_s"],
            late_ms=record["late_ms"],
            outcome=record["outcome"],
            connect_ms=record.get("connect_ms"),
            backends=tuple(record.get("backends", ())),
            source=(record["host"], record["port"]) if "port" in record else None,
        )
        for _, record in _lines(client_files)
    ]
    passages = []
    lost = 0
    for backend, record in _lines(backend_files):
        if record["kind"] == "end":
            lost += record["lost_packets"]
        else:
            passages.append(
                Passage(
                    backend=backend,
                    client=record["client"],
                    client_port=record["client_port"],
                    address=record["address"],
                    port=record["port"],
                    routers=tuple(record["routers"]),
                    opened_s=record["opened_s"],
                    closed_s=record["closed_s"],
                    last_s=record["last_s"],
                )
            )
    attempts.sort(key=lambda attempt: attempt.id)
    passages.sort(key=lambda passage: passage.opened_s)
    return Traffic(tuple(attempts), tuple(passages), lost)


def live(passages: Iterable[Passage]) -> dict[str, list[Step]]:
    """Per router, the connections alive as a step function of time: from the client's SYN to its
    FIN or reset.
    """
    events: dict[str, list[Step]] = {}
    for passage in passages:
        changes = events.setdefault(passage.routers[0], [])
        changes.append((passage.opened_s, 1))
        if passage.closed_s is not None:
            changes.append((passage.closed_s, -1))
    steps: dict[str, list[Step]] = {}
    for router, changes in events.items():
        count = 0
        series: list[Step] = []
        for time_s, change in sorted(changes):
            count += change
            if series and series[-1][0] == time_s:
                series[-1] = (time_s, count)
            else:
                series.append((time_s, count))
        steps[router] = series
    return steps


Span = tuple[float, float]  # (from_s, to_s)


def spans_above(series: Sequence[Step], limit: int, until_s: float) -> list[Span]:
    """When a step function was above `limit`, up to `until_s`."""
    spans: list[Span] = []
    for index, (time_s, count) in enumerate(series):
        end_s = min(until_s, series[index + 1][0] if index + 1 < len(series) else until_s)
        if count > limit and end_s > time_s:
            if spans and spans[-1][1] == time_s:
                spans[-1] = (spans[-1][0], end_s)
            else:
                spans.append((time_s, end_s))
    return spans


def total_s(spans: Iterable[Span]) -> float:
    """Length of the union of the spans."""
    total = 0.0
    reached_s = -math.inf
    for from_s, to_s in sorted(spans):
        total += max(0.0, to_s - max(from_s, reached_s))
        reached_s = max(reached_s, to_s)
    return total


def breaches(
    passages: Iterable[Passage],
    capacity: Mapping[str, int],
    threshold: Mapping[str, int],
    until_s: float,
) -> dict[str, list[Span]]:
    """Per router, when it had fewer available connections (capacity - alive) than its threshold."""
    series = live(passages)
    return {
        router: spans_above(series.get(router, ()), capacity[router] - threshold[router], until_s)
        for router in capacity
    }


def sampled(series: Sequence[Step], times_s: Sequence[float]) -> list[int]:
    """A step function at the given ascending times."""
    values: list[int] = []
    index = 0
    count = 0
    for time_s in times_s:
        while index < len(series) and series[index][0] <= time_s:
            count = series[index][1]
            index += 1
        values.append(count)
    return values


def is_moved(passage: Passage) -> bool:
    """Did the connection change its router during its life?"""
    return len(passage.routers) > 1


def moved(traffic: Traffic) -> int:
    """Connections whose router changed (backends' view) or that two backends answered (clients' view); one that
    both views show counts once.
    """
    answered = [attempt for attempt in traffic.attempts if len(attempt.backends) > 1]
    lives: dict[tuple[str, int], list[Span]] = {}
    for attempt in answered:
        if attempt.source is not None:
            lives.setdefault(attempt.source, []).append((attempt.start_s, attempt.end_s))

    def counted(passage: Passage) -> bool:
        # Ports are used again: it is the same connection only if it was opened within its life.
        spans = lives.get((passage.client, passage.client_port), ())
        return any(from_s <= passage.opened_s <= to_s for from_s, to_s in spans)

    changed = [passage for passage in traffic.passages if is_moved(passage)]
    return len(answered) + sum(not counted(passage) for passage in changed)


def shares_pct(
    passages: Iterable[Passage], address: str, from_s: float, to_s: float
) -> dict[str, float]:
    """Per router, percentage of the connections to a service address that were opened in [from_s,
    to_s).
    """
    counts = Counter(
        passage.routers[0]
        for passage in passages
        if passage.address == address and from_s <= passage.opened_s < to_s
    )
    total = sum(counts.values())
    return {router: 100.0 * count / total for router, count in counts.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100.0 * len(ordered)) - 1)]


def per_second(attempts: Iterable[Attempt], outcome: str, seconds: int) -> list[int]:
    """Connections with that outcome, by the second in which they were started."""
    counts = [0] * seconds
    for attempt in attempts:
        if attempt.outcome == outcome and 0 <= attempt.start_s < seconds:
            counts[int(attempt.start_s)] += 1
    return counts


def summarise(
    traffic: Traffic, capacity: Mapping[str, int], threshold: Mapping[str, int], until_s: float
) -> Summary:
    """The figures of one run. In breach is the fabric while any router is. A connection is moved
    when its router changed or when two backends answered it (`moved`).
    """
    total = len(traffic.attempts)
    outcomes = Counter(attempt.outcome for attempt in traffic.attempts)
    connects = [
        attempt.connect_ms for attempt in traffic.attempts if attempt.connect_ms is not None
    ]

    def per_1000(count: int) -> float:
        return 1000.0 * count / total if total else math.nan

    return Summary(
        connections=total,
        breach_s=total_s(
            span
            for spans in breaches(traffic.passages, capacity, threshold, until_s).values()
            for span in spans
        ),
        refused_per_1000=per_1000(outcomes["refused"]),
        broken_per_1000=per_1000(outcomes["broken"]),
        moved_per_1000=per_1000(moved(traffic)),
        failed_per_1000=per_1000(outcomes["timeout"] + outcomes["reset"]),
        connect_p50_ms=percentile(connects, 50),
        connect_p99_ms=percentile(connects, 99),
        late_p99_ms=percentile([attempt.late_ms for attempt in traffic.attempts], 99),
    )
