"""A bound on how many series a measurement has: the heaviest keys have one each, the rest share one.

Pure and deterministic; the time is an argument.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

OTHER = "other"
HEAVIER = 2.0  # than the median of those that have a series
SKETCH = 4  # times as many keys are weighed as may have a series
HALF_LIFE_S = 3600.0  # of a weight
Key = tuple[str, ...]


@dataclass(slots=True)
class TopK:
    """Weights of keys by Space-Saving (Metwally, Agrawal, El Abbadi, 2005): at most `most` are held, and none is
    underestimated; weights fade, so that what was heavy yesterday makes room.
    """

    most: int
    half_life_s: float = HALF_LIFE_S
    weights: dict[Key, float] = field(default_factory=dict)
    _least: dict[Key, float] = field(default_factory=dict)
    _faded_s: float | None = None

    def least(self, key: Key) -> float:
        """What it weighs at least: without what it took over from the key whose place it has."""
        return self._least.get(key, 0.0)

    def add(self, counts: Mapping[Key, float], now_s: float) -> None:
        """Weigh these keys."""
        self._fade(now_s)
        new: list[Key] = []
        for key in sorted(counts):
            if key in self.weights:
                self.weights[key] += counts[key]
                self._least[key] += counts[key]
            elif len(self.weights) < self.most:
                self.weights[key] = self._least[key] = counts[key]
            else:
                new.append(key)
        # As many at once as there are places would push out the heaviest, too.
        at_once = max(1, self.most // SKETCH)
        for start in range(0, len(new), at_once):
            some = new[start : start + at_once]
            least = heapq.nsmallest(
                len(some), self.weights, key=lambda one: (self.weights[one], one)
            )
            for key, gone in zip(some, least, strict=True):
                self._least[key] = counts[key]
                self.weights[key] = self.weights.pop(gone) + counts[key]
                self._least.pop(gone, None)

    def _fade(self, now_s: float) -> None:
        if self._faded_s is not None and now_s > self._faded_s:
            share = 0.5 ** ((now_s - self._faded_s) / self.half_life_s)
            for key in self.weights:
                self.weights[key] *= share
                self._least[key] *= share
        self._faded_s = now_s if self._faded_s is None else max(now_s, self._faded_s)


@dataclass(slots=True)
class BoundedSeries:
    """Which keys have a series of their own. Never more than `most` within the retention: a key keeps its
    place until the store has forgotten its last point; half of the places go to whoever comes first,
    the others only to the heaviest: to those that weigh more than twice as much as the median of these.
    """

    most: int
    retention_s: float
    written_s: dict[Key, float] = field(default_factory=dict)
    _top: TopK = field(init=False)

    def __post_init__(self) -> None:
        self._top = TopK(SKETCH * self.most)

    def fold(
        self, counts: Mapping[Key, int], now_s: float
    ) -> tuple[dict[Key, int], dict[Key, int]]:
        """(counts by key that has a series, counts by first part of the key for all others)."""
        self._top.add({key: float(count) for key, count in counts.items()}, now_s)
        for key in [k for k, at in self.written_s.items() if at < now_s - self.retention_s]:
            del self.written_s[key]
        own: dict[Key, int] = {}
        rest: dict[Key, int] = {}
        for key, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            if key not in self.written_s and self._admits(key):
                self.written_s[key] = now_s
            if key in self.written_s:
                self.written_s[key] = max(now_s, self.written_s[key])
                own[key] = count
            else:
                first = key[:1]
                rest[first] = rest.get(first, 0) + count
        return own, rest

    def _admits(self, key: Key) -> bool:
        if len(self.written_s) < self.most // 2:
            return True
        if len(self.written_s) >= self.most:
            return False
        usual = median(max(1.0, self._top.least(one)) for one in self.written_s)
        return self._top.least(key) > HEAVIER * usual

    def to_json(self) -> str:
        """For the next run of the controller."""
        return json.dumps([[list(key), at] for key, at in sorted(self.written_s.items())])

    def take_over(self, text: str) -> None:
        """What `to_json` gave. Anything else is ignored: the bound then holds from now on."""
        try:
            rows: Iterable[object] = json.loads(text)
            found = {tuple(map(str, row[0])): float(row[1]) for row in rows}  # type: ignore[index]
        except (ValueError, TypeError, IndexError, KeyError):
            return
        newest = sorted(found, key=lambda key: -found[key])[: self.most]
        self.written_s.update({key: found[key] for key in newest})
