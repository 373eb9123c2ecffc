"""When things of a benchmark are due."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence

HOLD_S = 0.2  # from a connection's first packet to its last


class Pace:
    """Says what is due by now. The clock starts at the first question; a caller that is late gets all that is due."""

    def __init__(self, due_s: Sequence[float]) -> None:
        """`due_s`: when each thing is due, in order."""
        self._due_s = due_s
        self._given = 0
        self._start_s: float | None = None

    @property
    def done(self) -> bool:
        """Was everything due?"""
        return self._given == len(self._due_s)

    def due(self) -> range:
        """Numbers of the things that have become due since the last question."""
        first, self._given = self._given, bisect_right(self._due_s, self._elapsed_s(), self._given)
        return range(first, self._given)

    def wait_s(self) -> float:
        """Until something is due; 0 when something is, or nothing will be."""
        if self.done:
            return 0.0
        return max(0.0, self._due_s[self._given] - self._elapsed_s())

    def _elapsed_s(self) -> float:
        now_s = time.perf_counter()
        if self._start_s is None:
            self._start_s = now_s
        return now_s - self._start_s
