"""Times of points: no two points of a series share one, whatever the clock does.

A store overwrites a point of the same series and time. That makes a replay harmless, and would lose
samples when two were taken in the same microsecond, or when the clock is set back and comes by the
same times again. A stamp is therefore microseconds as the clock told them, and in the last three
digits (nanoseconds) the *era*: how often the clock has been set back, or a controller started, modulo
1000. Within an era the times of a series ascend: a repeated one is moved on by a microsecond.
"""

from __future__ import annotations

ERAS = 1000
US = 1_000  # nanoseconds
BACK_NS = 1_000_000_000  # a series that goes back farther than this: the clock was set back
MOST_SERIES = 200_000  # that are remembered


class Stamps:
    """era: of this run, at first. Deterministic; not thread-safe."""

    def __init__(self, era: int) -> None:
        self.era = era % ERAS
        self._last: dict[tuple[str, tuple[str, ...]], int] = {}

    def stamp(self, series: tuple[str, tuple[str, ...]], time_s: float) -> int:
        """The time of a new point of this series, ns. `time_s`: Unix time as the clock told it."""
        told_us = round(time_s * 1e6)
        last_us = self._last.get(series)
        if last_us is None and len(self._last) >= MOST_SERIES:
            self._begin()  # forgets all of them: a new era keeps what follows apart
        elif last_us is not None and told_us <= last_us:
            if (last_us - told_us) * US >= BACK_NS:
                self._begin()
            else:
                told_us = last_us + 1
        self._last[series] = told_us
        return told_us * US + self.era

    def _begin(self) -> None:
        self.era = (self.era + 1) % ERAS
        self._last.clear()
