"""When connections of a benchmark begin and end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

HOLD_S = 0.2  # from a connection's first packet to its last


@dataclass(frozen=True, slots=True)
class Turn:
    """A connection's beginning (`opens`) or end."""

    number: int
    opens: bool


class Pace:
    """`connections` lives that begin at a steady rate; each ends `hold_s` after its beginning.

    The clock starts at the first question. A caller that is late gets all that is due at once.
    """

    def __init__(self, rate_cps: float, connections: int, hold_s: float = HOLD_S) -> None:
        self._interval_s = 1 / rate_cps
        self._connections = connections
        self._hold_s = hold_s
        self._opened = self._closed = 0
        self._start_s: float | None = None

    @property
    def done(self) -> bool:
        """Have all ended?"""
        return self._closed == self._connections

    @property
    def elapsed_s(self) -> float:
        """Since the first question."""
        return 0.0 if self._start_s is None else time.perf_counter() - self._start_s

    def due(self) -> Iterator[Turn]:
        """What has to happen by now."""
        if self._start_s is None:
            self._start_s = time.perf_counter()
        now_s = time.perf_counter() - self._start_s
        while self._opened < self._connections and self._opened * self._interval_s <= now_s:
            self._opened += 1
            yield Turn(self._opened - 1, True)
        while (
            self._closed < self._opened and self._closed * self._interval_s + self._hold_s <= now_s
        ):
            self._closed += 1
            yield Turn(self._closed - 1, False)

    def wait_s(self) -> float:
        """Until something is due; 0 when something is."""
        times_s = []
        if self._opened < self._connections:
            times_s.append(self._opened * self._interval_s)
        if self._closed < self._connections:
            times_s.append(self._closed * self._interval_s + self._hold_s)
        return max(0.0, min(times_s, default=0.0) - self.elapsed_s)
