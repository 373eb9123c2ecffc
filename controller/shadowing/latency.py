"""Round trips between switches that may be each other's shadow, measured by their own data planes.

A probe goes from switch A to switch B and back to A, stamped by A when it leaves and when it returns:
no clock but A's own is asked, and what the controller's side takes is not in it. What counts is
the median of the latest answers: half of them may be delayed by whatever else happens.

The pairs of a stage take turns (`plan/shadows_near` says which pairs there are), quickly until each was
measured, then at a steady pace that does not grow with the number of pairs of a switch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from controller.act.probes import Probe, ProbeAnswer
from controller.model import Fabric, Stage
from controller.plan.shadows_near import Named, configured_ms, trips
from controller.plan.shadows_state import Trip
from controller.prober import StatefulProber

PROBE_KIND = 0xC1  # the first byte of these probes' ids
SAMPLES = 9  # the median of so many
LEAST_SAMPLES = 3  # fewer prove nothing
STALE_S = 120.0  # an older answer says nothing about today
QUICK_S = 0.1  # between the turns until every pair had its first samples
LONGEST_MS = 10_000.0
REFRESHED = 100  # primaries looked at in one call of `trips`
PORTS = range(50110, 50117)  # each may take another of the equal paths


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Of one pair. ms: the median; spread_ms: between the quartiles; age_s: since the last answer."""

    ms: float
    spread_ms: float
    samples: int
    age_s: float


class Latencies:
    """All pairs of one or more stages. Feed `answered` with the driver's probe answers.

    named: shadows by configuration (`plan/shadows_near`).
    """

    def __init__(
        self,
        fabric: Fabric,
        driver: StatefulProber,
        *,
        stages: tuple[Stage, ...] = (Stage.ROUTER,),
        named: Named | None = None,
        period_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.configured = {stage: configured_ms(fabric, stage, named) for stage in stages}
        self._driver = driver
        self._period_s = period_s
        self._clock = clock
        self._labels = {switch.name: switch.label for switch in fabric.switches}
        self._turns: dict[str, tuple[str, ...]] = {
            name: tuple(own) for found in self.configured.values() for name, own in found.items()
        }
        self._pairs = [(a, b) for a, own in self._turns.items() for b in own]
        self._ids = {pair: index for index, pair in enumerate(self._pairs)}
        self._samples: dict[tuple[str, str], deque[float]] = {}
        self._answered_s: dict[tuple[str, str], float] = {}
        self._known: dict[Stage, dict[str, dict[str, Trip]]] = {}
        self._calls = 0
        self._turn = 0

    def answered(self, node: str, answer: ProbeAnswer) -> bool:
        """Take a probe's answer; False when it is not one of these probes."""
        if answer.id >> 24 != PROBE_KIND:
            return False
        index = answer.id & 0xFFFFFF
        if index >= len(self._pairs) or self._pairs[index][0] != node:
            return False
        ms = answer.round_trip_us / 1000.0
        if ms <= LONGEST_MS:
            pair = self._pairs[index]
            self._samples.setdefault(pair, deque(maxlen=SAMPLES)).append(ms)
            self._answered_s[pair] = self._clock()
        return True

    def measured(self, primary: str, name: str) -> RoundTrip | None:
        """The round trip as measured; None while too little, or only old, is known."""
        pair = (primary, name)
        own = self._samples.get(pair, ())
        if len(own) < LEAST_SAMPLES:
            return None
        age_s = self._clock() - self._answered_s[pair]
        if age_s > STALE_S:
            return None
        ordered = sorted(own)
        spread = ordered[(3 * len(ordered)) // 4] - ordered[len(ordered) // 4]
        return RoundTrip(median(ordered), spread, len(ordered), age_s)

    def trips(self, stage: Stage) -> dict[str, dict[str, Trip]]:
        """Primary → candidate → round trip: measured where it is, else after the configuration.

        In a large stage only some of the primaries are looked at anew in each call, in turn.
        """
        configured = self.configured[stage]
        known = self._known.setdefault(stage, {})
        names = list(configured)
        stride = max(1, -(-len(names) // REFRESHED))
        first = self._calls % stride if known else 0
        self._calls += 1
        for primary in names[first::stride] if known else names:
            measured = {
                (primary, name): found.ms
                for name in configured[primary]
                if (found := self.measured(primary, name)) is not None
            }
            known |= trips({primary: configured[primary]}, measured)
        return dict(known)

    async def turn(self) -> None:
        """One probe from every connected switch, to the next in its turn."""
        status = self._driver.status()
        turn, self._turn = self._turn, self._turn + 1
        sending = []
        for node, others in self._turns.items():
            if not others or node not in status or not status[node].up:
                continue
            round_number, place = divmod(turn, len(others))
            target = others[place]
            sending.append(
                self._driver.probe(
                    node,
                    Probe(
                        self._labels[target],
                        PROBE_KIND << 24 | self._ids[node, target],
                        PORTS[round_number % len(PORTS)],
                    ),
                )
            )
        await asyncio.gather(
            *sending, return_exceptions=True
        )  # one that is gone keeps nobody waiting

    async def run(self) -> None:
        """Probe until cancelled."""
        most = max((len(others) for others in self._turns.values()), default=0)
        while True:
            await self.turn()
            quick = self._turn < (LEAST_SAMPLES + 1) * most
            await asyncio.sleep(min(QUICK_S, self._period_s) if quick else self._period_s)
