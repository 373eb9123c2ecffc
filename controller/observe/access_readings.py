"""Counters and digests of one step → new connections per destination and location.

Exact where a row of the table `redirects` counts a source prefix. What a service has beyond its rows is exact in
sum, and divided as the digests of the step say: a digest's share is its share of the digests, with past shares
counted in as some digests more (the mean of a Dirichlet distribution), so that a step with few digests does not jump.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

ELSEWHERE = "elsewhere"  # the location of those of whom nobody knows where they are

Cell = tuple[int, str]  # (service id, location)
Shares = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class _Read:
    total: int
    time_s: float


class Totals:
    """Counters that only rise, by any key: what each rose by since it was last read."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._last: dict[tuple[object, ...], _Read] = {}

    def rise(self, key: tuple[object, ...], total: int, time_s: float) -> float:
        """0 at the first reading. A counter that fell began anew: its switch or its row did.

        After a gap of more than a step, only the part of one step: the rest belongs to steps that
        nobody watched.
        """
        last = self._last.get(key)
        self._last[key] = _Read(total, time_s)
        if last is None:
            return 0.0
        risen = total - last.total if total >= last.total else total
        gap_s = time_s - last.time_s
        return risen * self._step_s / gap_s if gap_s > 1.5 * self._step_s else float(risen)

    def forget(self, key: tuple[object, ...]) -> None:
        """It was removed: if it comes again, it comes anew."""
        self._last.pop(key, None)


class StepReadings:
    """What was read in the step that is under way."""

    def __init__(self, sample_every: int, prior_samples: float) -> None:
        self._sample_every = sample_every
        self._prior = prior_samples
        self.clear()

    def clear(self) -> None:
        """A new step."""
        self.read = False
        self._counted: dict[Cell, float] = defaultdict(float)
        self._opened: dict[int, float] = defaultdict(float)
        self._sampled: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def counted(self, service: int, location: str, connections: float) -> None:
        """By a row."""
        self.read = True
        self._counted[service, location] += connections

    def opened(self, service: int, connections: float) -> None:
        """Of the service in all, rows' included."""
        self.read = True
        self._opened[service] += connections

    def sampled(self, service: int, location: str) -> None:
        """A digest of a client whom no row counts."""
        self.read = True
        self._sampled[service][location] += 1

    def counts(self, shares: Shares) -> dict[Cell, float]:
        """Connections by cell, those with none left out, in the cells' order. shares: every
        service's past ones by location, on any scale.
        """
        found: dict[Cell, float] = defaultdict(float, self._counted)
        by_rows: dict[int, float] = defaultdict(float)
        for (service, _), connections in self._counted.items():
            by_rows[service] += connections
        for service in self._opened.keys() | self._sampled.keys():
            digests = self._sampled.get(service, {})
            if service in self._opened:
                # Rows and services are read one after the other: a few connections may lie between.
                rest = max(0.0, self._opened[service] - by_rows[service])
                # Where a row counts, few are left whom none does: what was there before does not tell of them.
                past = {
                    place: share
                    for place, share in shares.get(service, {}).items()
                    if (service, place) not in self._counted
                }
                parts = self._parts(digests, past)
            else:
                rest = float(self._sample_every * sum(digests.values()))
                parts = self._parts(digests, {})
            for location, part in parts.items():
                found[service, location] += rest * part
        return {cell: found[cell] for cell in sorted(found) if found[cell] > 0}

    def _parts(self, digests: Mapping[str, int], past: Mapping[str, float]) -> dict[str, float]:
        whole = sum(past.values())
        prior = self._prior if whole > 0 else 0.0
        number = sum(digests.values())
        if number + prior <= 0:
            return {ELSEWHERE: 1.0}
        weights = {place: prior * share / whole for place, share in past.items()} if prior else {}
        for place, seen in digests.items():
            weights[place] = weights.get(place, 0.0) + seen
        return {place: weight / (number + prior) for place, weight in weights.items()}
