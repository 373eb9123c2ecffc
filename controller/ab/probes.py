"""Latency and loss of both arms of a comparison: probes from the edges, through the arms' data planes, and back.

Both arms are probed from the same edge with the same source port, one right after the other and in turns first, so that
whatever the edge or the time of day does is the same for both. A probe waits in the queues in which connections wait.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.act.probes import Probe, ProbeAnswer
from controller.model import Fabric, Stage
from controller.plan.ab import Arm
from controller.prober import StatefulProber

PROBE_KIND = 0xC5  # the first byte of these probes' ids
PORTS = range(50120, 50127)  # each may take another of the equal paths
LOST_S = 1.0  # an answer later than this is none
IDLE_S = 0.2  # between looks for something to probe
Pair = tuple[str, str]  # primary, variant


@dataclass(slots=True)
class _Seen:
    latencies_ms: list[float] = field(default_factory=list)
    lost: int = 0


@dataclass(frozen=True, slots=True)
class _Sent:
    pair: Pair
    arm: str
    sent_s: float


class ArmProbes:
    """`pairs`: what is probed. Call `listen` once, and `run` in a task."""

    def __init__(
        self,
        fabric: Fabric,
        driver: StatefulProber,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pairs: set[Pair] = set()
        self._driver = driver
        self._period_s = period_s
        self._clock = clock
        self._labels = {one.name: one.label for one in fabric.stage(Stage.ROUTER)}
        self._edges = [edge.name for edge in fabric.stage(Stage.EDGE)]
        self._numbers = itertools.count()
        self._under_way: dict[int, _Sent] = {}
        self._seen: dict[tuple[Pair, str], _Seen] = {}
        self._turn = 0

    def listen(self) -> None:
        """Take the answers to probes from now on."""
        self._driver.on_probe.append(self.answered)

    def answered(self, _node: str, answer: ProbeAnswer) -> None:
        """A probe's answer; one that is not of these, or too late, changes nothing."""
        if answer.id >> 24 != PROBE_KIND:
            return
        sent = self._under_way.pop(answer.id, None)
        if sent is not None and sent.pair in self.pairs:
            ms = answer.round_trip_us / 1000.0
            seen = self._of(sent)
            if ms <= LOST_S * 1000:
                seen.latencies_ms.append(ms)
            else:
                seen.lost += 1

    def collect(self, pair: Pair) -> dict[str, Arm]:
        """Router → what came of its probes since the last time, of those whose fate is known."""
        now_s = self._clock()
        for number, sent in list(self._under_way.items()):
            if now_s - sent.sent_s > LOST_S:
                del self._under_way[number]
                if sent.pair in self.pairs:
                    self._of(sent).lost += 1
        found = {}
        for name in pair:
            seen = self._seen.pop((pair, name), _Seen())
            sent_count = len(seen.latencies_ms) + seen.lost
            found[name] = Arm.of(seen.latencies_ms, connections=0, sent=sent_count, lost=seen.lost)
        return found

    def drop(self, pair: Pair) -> None:
        """Probe it no longer, and forget what was seen."""
        self.pairs.discard(pair)
        for name in pair:
            self._seen.pop((pair, name), None)

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            if self.pairs:
                await self.turn()
            await asyncio.sleep(self._period_s if self.pairs else IDLE_S)

    async def turn(self) -> None:
        """One probe to each arm of every pair."""
        status = self._driver.status()
        edges = [one for one in self._edges if status[one].up and status[one].reconciled]
        if not edges:
            return
        turn, self._turn = self._turn, self._turn + 1
        edge = edges[turn % len(edges)]
        port = PORTS[turn // len(edges) % len(PORTS)]
        for pair in sorted(self.pairs):
            for arm in pair if turn % 2 else pair[::-1]:
                await self._probe(edge, pair, arm, port)

    async def _probe(self, edge: str, pair: Pair, arm: str, port: int) -> None:
        number = PROBE_KIND << 24 | next(self._numbers) & 0xFFFFFF
        self._under_way[number] = _Sent(pair, arm, self._clock())
        try:
            await self._driver.probe(edge, Probe(self._labels[arm], number, port))
        except Exception:  # an edge that is gone says nothing about the arms
            self._under_way.pop(number, None)

    def _of(self, sent: _Sent) -> _Seen:
        return self._seen.setdefault((sent.pair, sent.arm), _Seen())
