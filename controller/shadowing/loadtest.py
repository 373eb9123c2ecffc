"""Tests what shadows can carry: trains of probes from an edge to the shadow and back, at rising rates.

The probes do what a service packet does on the shadow (its connection tables are looked up), leave no
mark there, and are counted, not reported, when they return. `plan/capacity` says at which rates,
what is a sign of trouble, and what follows. Live traffic is spared: one test at a time, each step at most
100 ms, after each step a pause so that probes take no more than `time_share` of the time, no test of
a shadow that is busy, and the first sign ends it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from controller.act.probes import COLLECT, QUIET, Probe, ProbeAnswer
from controller.model import Fabric, Stage
from controller.plan.capacity import (
    LoadResult,
    LoadSettings,
    Step,
    frame_sizes,
    judge,
    lossy,
    rates,
)
from controller.plan.paths import next_hops
from controller.prober import Prober

PROBE_KIND = 0xC2  # the first byte of these probes' ids
SINGLES = 48  # up to so many probes in a step go one by one; more go in bursts
ANSWER_S = 0.25  # for one probe
TRIES = 4
SETTLE_S = 0.03  # after a step, for what is still under way
LATE_S = 0.1  # and once more when something is missing
KEPT = 4  # results per shadow
PORTS = range(50120, 50136)


class ProbingFailed(Exception):
    """The test says nothing: a switch went away, or the counts could not be fetched."""


class LoadTester:
    """Runs tests and keeps their results. Feed `answered` with the driver's probe answers.

    copies: how many probes a burst has.
    """

    def __init__(
        self,
        fabric: Fabric,
        driver: Prober,
        *,
        copies: int,
        settings: LoadSettings | None = None,
        time_share: float = 0.2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or LoadSettings()
        self.results: dict[str, deque[LoadResult]] = {}
        self.running: str | None = None
        self._driver = driver
        self._copies = copies
        self._time_share = time_share
        self._clock = clock
        self._labels = {switch.name: switch.label for switch in fabric.switches}
        hops = next_hops(fabric)
        self._ports = {edge.name: hops[edge.name] for edge in fabric.stage(Stage.EDGE)}
        self._waiting: dict[int, asyncio.Future[ProbeAnswer]] = {}
        self._next = 0

    def answered(self, node: str, answer: ProbeAnswer) -> bool:
        """Take a probe's answer; False when it is not one of these probes."""
        if answer.id >> 24 != PROBE_KIND:
            return False
        waiting = self._waiting.pop(answer.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        return True

    def last(self, shadow: str) -> LoadResult | None:
        """The newest result."""
        found = self.results.get(shadow)
        return found[-1] if found else None

    async def test(
        self,
        edge: str,
        shadow: str,
        target_pps: float,
        *,
        own_pps: float = 0.0,
        mean_bytes: float | None = None,
    ) -> LoadResult:
        """One test, kept in `results`. ProbingFailed when it says nothing.

        own_pps: what the shadow does for connections now. mean_bytes: of the fabric's packets.
        """
        started_s = self._clock()
        target_pps = max(target_pps, self.settings.least_pps)
        self.running = shadow
        try:
            sizes = frame_sizes(mean_bytes)
            idle_ms = await self._idle_ms(edge, shadow)
            steps: list[Step] = []
            stopped = ""
            for rate in rates(target_pps, self.settings):
                for _ in range(2):  # a late packet is a sign only when there is one again
                    step = await self._step(edge, shadow, rate, sizes)
                    stopped = judge(step, idle_ms, self.settings)
                    steps.append(replace(step, sign=stopped))
                    if not stopped or lossy(step, self.settings):
                        break
                if stopped:
                    break
        finally:
            self.running = None
        mean = sum(sizes) / len(sizes) + 4
        result = LoadResult(
            shadow, edge, started_s, target_pps, own_pps, mean, tuple(steps), stopped
        )
        self.results.setdefault(shadow, deque(maxlen=KEPT)).append(result)
        return result

    async def _idle_ms(self, edge: str, shadow: str) -> float:
        found = [(await self._ask(edge, shadow, 0)).round_trip_us / 1000.0 for _ in range(3)]
        return median(found)

    async def _step(self, edge: str, shadow: str, rate: float, sizes: Sequence[int]) -> Step:
        """Offer one rate for at most `step_s`, count what comes back, and pause."""
        begun_s = time.perf_counter()
        await self._ask(edge, shadow, COLLECT)
        sent, lasted_s = await self._offer(edge, shadow, rate, sizes)
        await asyncio.sleep(SETTLE_S)
        found = await self._ask(edge, shadow, 0)
        if found.count < sent:
            await asyncio.sleep(LATE_S)
            found = await self._ask(edge, shadow, 0)
        received = min(sent, found.count)
        step = Step(
            offered_pps=sent / lasted_s,
            sent=sent,
            received=received,
            mean_ms=found.sum_us / found.count / 1000.0 if found.count else None,
            max_ms=found.max_us / 1000.0 if found.count else None,
        )
        pause_s = lasted_s / self._time_share - (time.perf_counter() - begun_s)
        await asyncio.sleep(max(0.0, pause_s))
        return step

    async def _offer(
        self, edge: str, shadow: str, rate: float, sizes: Sequence[int]
    ) -> tuple[int, float]:
        """Send at that rate; how many, and over what time."""
        total = max(1, round(rate * self.settings.step_s))
        each = self._copies if total > SINGLES else 1
        groups: tuple[int, ...] = self._ports[edge].get(shadow, ()) if each > 1 else (0,)
        if not groups:
            raise ProbingFailed(f"{edge} has no path to {shadow}")
        start_s = time.perf_counter()
        sent = 0
        while sent < total:
            wait_s = start_s + sent / rate - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            number = sent // each
            if time.perf_counter() - start_s > self.settings.step_s:
                break  # the sender cannot keep up: what was sent is what was offered
            await self._send(
                edge,
                shadow,
                PROBE_KIND << 24,
                QUIET,
                size=sizes[number % len(sizes)],
                group=groups[number % len(groups)],
                turn=number,
            )
            sent += each
        return sent, max(time.perf_counter() - start_s, sent / rate)

    async def _ask(self, edge: str, shadow: str, flags: int) -> ProbeAnswer:
        """A probe that comes back to the controller with the counts."""
        loop = asyncio.get_running_loop()
        for turn in range(TRIES):
            self._next = self._next % 0xFFFFFF + 1
            number = PROBE_KIND << 24 | self._next
            waiting: asyncio.Future[ProbeAnswer] = loop.create_future()
            self._waiting[number] = waiting
            try:
                await self._send(edge, shadow, number, flags, turn=turn)
                async with asyncio.timeout(ANSWER_S):
                    return await waiting
            except TimeoutError:
                continue
            finally:
                self._waiting.pop(number, None)
        raise ProbingFailed(f"{shadow} does not answer {edge}")

    async def _send(
        self,
        edge: str,
        shadow: str,
        number: int,
        flags: int,
        *,
        size: int = 0,
        group: int = 0,
        turn: int = 0,
    ) -> None:
        try:
            port = PORTS[turn % len(PORTS)]
            probe = Probe(self._labels[shadow], number, port, size, flags, group)
            await self._driver.probe(edge, probe)
        except Exception as error:
            raise ProbingFailed(f"{edge}: {error}") from error


def plain(result: LoadResult, now_s: float) -> Mapping[str, object]:
    """A result as JSON-able values."""
    return {
        "edge": result.edge,
        "time_s": result.time_s,
        "age_s": max(0.0, now_s - result.time_s),
        "target_pps": result.target_pps,
        "own_pps": result.own_pps,
        "clean_pps": result.clean_pps,
        "mean_bytes": result.mean_bytes,
        "stopped": result.stopped,
        "steps": [
            {
                "offered_pps": step.offered_pps,
                "sent": step.sent,
                "received": step.received,
                "lost_pct": step.lost_pct,
                "mean_ms": step.mean_ms,
                "max_ms": step.max_ms,
                "sign": step.sign,
            }
            for step in result.steps
        ],
    }
