"""The most frequent keys of a stream in bounded memory: the Space-Saving algorithm, with weights.

Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams (ICDT 2005);
for weights: Berinde, Indyk, Cormode, Strauss: Space-optimal heavy hitters with strong error bounds (PODS 2009).
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


class Ordered(Hashable, Protocol):
    """A key: hashable and ordered, so that equal counts are settled the same way in every run."""

    def __lt__(self, other: Any, /) -> bool: ...


Key = TypeVar("Key", bound=Ordered)


@dataclass(frozen=True, slots=True)
class Estimate:
    """count - error ≤ true count ≤ count."""

    count: float
    error: float

    @property
    def least(self) -> float:
        """What the key has had at least."""
        return self.count - self.error


class SpaceSaving(Generic[Key]):
    """At most `capacity` counters. With N the sum of all weights added:

    no estimate is too low, and none is too high by more than `bound` ≤ N / capacity;
    a key that is not counted has had at most `bound`; so every key with more than N / capacity is counted.
    All of it holds as well for weights that fade (`scale`), N then being the faded sum.
    Adding costs O(log capacity), amortised.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self.total = 0.0
        self._counts: dict[Key, Estimate] = {}
        # One entry per key. Counts only rise, so an entry is too low at most: it is put right when it is the least.
        self._heap: list[tuple[float, Key]] = []

    def add(self, key: Key, weight: float) -> Key | None:
        """Count it. Returns the key whose counter it took over, if it did. Raises ValueError for a weight ≤ 0."""
        if not 0 < weight < float("inf"):
            raise ValueError(f"{key}: a weight must be above 0 and finite, not {weight}")
        self.total += weight
        known = self._counts.get(key)
        if known is not None:
            self._counts[key] = Estimate(known.count + weight, known.error)
            return None
        if len(self._counts) < self.capacity:
            self._counts[key] = Estimate(weight, 0.0)
            heapq.heappush(self._heap, (weight, key))
            return None
        least, displaced = self._least()
        del self._counts[displaced]
        self._counts[key] = Estimate(least + weight, least)
        heapq.heapreplace(self._heap, (least + weight, key))
        return displaced

    def of(self, key: Key) -> Estimate:
        """Of any key; one without a counter has had at most `bound`."""
        found = self._counts.get(key)
        return Estimate(self.bound, self.bound) if found is None else found

    @property
    def bound(self) -> float:
        """The most that any estimate can be too high by."""
        return self._least()[0] if len(self._counts) == self.capacity else 0.0

    def scale(self, factor: float) -> None:
        """Let all that was counted fade: every count times `factor`, above 0 and not above 1."""
        if not 0 < factor <= 1:
            raise ValueError(f"the factor must be above 0 and not above 1, not {factor}")
        self.total *= factor
        for key, one in self._counts.items():
            self._counts[key] = Estimate(one.count * factor, one.error * factor)
        self._heap = [(one.count, key) for key, one in self._counts.items()]
        heapq.heapify(self._heap)

    def top(self, number: int) -> list[tuple[Key, Estimate]]:
        """Those with the highest counts that are certain, the highest first."""
        ordered = sorted(self._counts.items(), key=lambda one: (-one[1].least, one[0]))
        return ordered[:number]

    def __contains__(self, key: Key) -> bool:
        return key in self._counts

    def __iter__(self) -> Iterator[Key]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def _least(self) -> tuple[float, Key]:
        while True:
            count, key = self._heap[0]
            now = self._counts[key].count
            if count == now:
                return count, key
            heapq.heapreplace(self._heap, (now, key))
