"""A fabric as a prober sees it: round trips as arithmetic, and switches that carry so much and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

from controller.act.errors import NodeDown
from controller.act.probes import COLLECT, QUIET, Probe, ProbeAnswer
from controller.model import Fabric
from controller.prober import Prober


def listen(prober: Prober, answered: Callable[[str, ProbeAnswer], bool]) -> None:
    """Have this take the answers to probes from now on."""

    def take(node: str, answer: ProbeAnswer) -> None:
        answered(node, answer)

    prober.on_probe.append(take)


@dataclass
class ProbedFabric:
    """Answers probes after their round trip. `round_trip_ms`: (from, to) → time; others take 1 ms.

    `carries_pps`: switch → probes that it can handle in a second; those beyond wait in its queue, and
    are dropped when it is longer than `queue`. `down`: switches without a connection. A probe of a pair
    in `mute` never returns.
    """

    fabric: Fabric
    on_probe: list[Callable[[str, ProbeAnswer], None]] = field(default_factory=list)
    round_trip_ms: dict[tuple[str, str], float] = field(default_factory=dict)
    carries_pps: dict[str, float] = field(default_factory=dict)
    queue: int = 64
    copies: int = 16
    down: set[str] = field(default_factory=set)
    mute: set[tuple[str, str]] = field(default_factory=set)
    sent: list[tuple[str, str, int]] = field(default_factory=list)  # node, target, size
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _free_s: dict[str, float] = field(default_factory=dict)

    def status(self) -> Mapping[str, SimpleNamespace]:
        up = {switch.name: switch.name not in self.down for switch in self.fabric.switches}
        return {name: SimpleNamespace(up=on, reconciled=on) for name, on in up.items()}

    async def probe(self, node: str, probe: Probe) -> None:
        if node in self.down:
            raise NodeDown(f"{node} is not connected")
        target = next(s.name for s in self.fabric.switches if s.label == probe.target)
        for copy in range(1, self.copies + 1) if probe.group else (0,):
            self.sent.append((node, target, probe.size))
            if (node, target) not in self.mute:
                answer = ProbeAnswer(probe.id, probe.flags, copy, 1_000_000, 0)
                self._carry(node, target, answer)

    def _carry(self, node: str, target: str, probe: ProbeAnswer) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self.round_trip_ms.get((node, target), 1.0) / 1000.0
        rate = self.carries_pps.get(target)
        if rate is not None:
            free_s = max(self._free_s.get(target, 0.0), loop.time())
            if (free_s - loop.time()) * rate >= self.queue:
                return
            self._free_s[target] = free_s + 1.0 / rate
            delay_s += free_s - loop.time()
        loop.call_later(delay_s, self._back, node, probe, round(delay_s * 1e6))

    def _back(self, node: str, probe: ProbeAnswer, took_us: int) -> None:
        counts = self._counts.setdefault(node, [0, 0, 0])
        if probe.flags & QUIET:
            counts[0] += 1
            counts[1] += took_us
            counts[2] = max(counts[2], took_us)
            return
        received_us = probe.sent_us + took_us
        answer = ProbeAnswer(probe.id, probe.flags, probe.copy, probe.sent_us, received_us, *counts)
        if probe.flags & COLLECT:
            self._counts[node] = [0, 0, 0]
        for callback in self.on_probe:
            callback(node, answer)
