"""The way of an anomaly: from the edges' counters to the written shares, beside the cycle.

Every `poll_s` one small read per edge brings the totals of newly bound connections of every service. A
router's part of them, by the base shares, is what it is offered: what is shifted at the moment does
not change it, and refusals are in it. The count of each interval goes to a streaming detector
(`ml/arrivals`). When it says that a surge has begun, or is worse than was known, a plan for the
routers concerned is made and written at once; the cycle goes on as ever.

An edge that does not answer makes the interval longer, never the count smaller. When the edges that
are there change, the series begins anew: what clients of a lost edge do is no surge.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ml.surges.arrivals import ArrivalSettings, ArrivalSurge
from ml.surges.detector import Surge

LOG = logging.getLogger(__name__)

WORSE = 0.5  # severity by which a surge must grow to be planned for again
MOST_MISSED = 5  # polls in a row without an edge before it counts as gone
TIMES_KEPT = 100
SET_BACK_S = 2.0  # a reading further back in time means that the clock was set back

Totals = Mapping[str, Mapping[int, int]]  # edge → service → connections bound since it started
Read = Callable[[], Awaitable[Totals]]
OnSurge = Callable[[Mapping[str, float]], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Reaction:
    """One anomaly: when it was seen (Unix time), and from the counters' arrival to the written shares."""

    routers: tuple[str, ...]
    time_s: float
    to_written_ms: float


class SurgePath:
    """base: service → router → percent of its new connections without any shift.

    read: totals of the edges that answer. on_surge: plans and writes for router → severity; True when
    that changed something.
    """

    def __init__(
        self,
        base: Mapping[int, Mapping[str, float]],
        read: Read,
        on_surge: OnSurge,
        *,
        poll_s: float = 0.2,
        settings: ArrivalSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base = base
        self._read = read
        self._on_surge = on_surge
        self._poll_s = poll_s
        self._clock = clock
        routers = dict.fromkeys(name for own in base.values() for name in own)
        self._detectors = {name: ArrivalSurge(settings) for name in routers}
        self._last: Totals = {}
        self._last_s = 0.0
        self._missed = 0
        self._told: dict[str, float] = {}
        self.surges: dict[str, Surge] = {}
        self.polls = 0
        self.reactions: deque[Reaction] = deque(maxlen=TIMES_KEPT)

    def severity(self, router: str) -> float:
        """0..5: of the surge that is on; 0 when there is none."""
        surge = self.surges.get(router)
        return surge.severity if surge is not None and surge.active else 0.0

    async def run(self) -> None:
        """Poll until cancelled."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            await self.poll()
            now_s = loop.time()
            next_s = max(next_s + self._poll_s, now_s)  # what was missed is not caught up with
            await asyncio.sleep(next_s - now_s)

    async def poll(self) -> Mapping[str, float]:
        """One poll; returns the routers that were planned for, with their severities."""
        totals = await self._read()
        seen_s, now_s = time.perf_counter(), self._clock()
        self.polls += 1
        counts = self._counts(totals, now_s)
        if counts is None:
            return {}
        seconds, by_router = counts
        for router, count in by_router.items():
            self.surges[router] = self._detectors[router].update(now_s, count, seconds)
        news = {
            router: surge.severity
            for router, surge in self.surges.items()
            if surge.active and surge.severity >= self._told.get(router, 0.0) + WORSE
        }
        self._told = {
            router: max(self._told.get(router, 0.0), news.get(router, 0.0))
            for router, surge in self.surges.items()
            if surge.active
        }
        if news and await self._on_surge(news):
            elapsed_ms = (time.perf_counter() - seen_s) * 1000
            self.reactions.append(Reaction(tuple(sorted(news)), now_s, elapsed_ms))
            LOG.info("surge on %s: written after %.1f ms", ", ".join(sorted(news)), elapsed_ms)
        return news

    def _counts(self, totals: Totals, now_s: float) -> tuple[float, dict[str, float]] | None:
        """(seconds, router → offered connections) since the last complete reading; None: no answer."""
        missing = self._last.keys() - totals.keys()
        if missing and self._missed < MOST_MISSED and totals.keys() <= self._last.keys():
            self._missed += 1
            return None
        self._missed = 0
        before, before_s = self._last, self._last_s
        if before and before_s - SET_BACK_S < now_s <= before_s:
            return None  # no time has passed
        self._last, self._last_s = totals, now_s
        if before.keys() != totals.keys() or not before:
            self._begin_anew()
            return None
        opened: dict[int, int] = {}
        for edge, own in totals.items():
            for service, total in own.items():
                change = total - before[edge].get(service, 0)
                if change < 0:  # it started anew
                    self._begin_anew()
                    return None
                opened[service] = opened.get(service, 0) + change
        if now_s <= before_s:  # the clock was set back
            self._begin_anew()
            return None
        by_router = dict.fromkeys(self._detectors, 0.0)
        for service, count in opened.items():
            for router, pct in self._base.get(service, {}).items():
                if router in by_router:
                    by_router[router] += count * pct / 100.0
        return now_s - before_s, by_router

    def _begin_anew(self) -> None:
        for detector in self._detectors.values():
            detector.reset()
        self.surges.clear()
        self._told.clear()
