"""The demo's acts besides its two runs: each is played once for either, and told on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console
from rich.status import Status

from topologies.demo import burst_act, failure_act, ramp_act, ramp_report, sun_act
from topologies.demo.bursts import Bursts
from topologies.demo.failure import Failure
from topologies.ramps import RampRun
from topologies.sun import Mode, Sun

Say = Callable[[str], None]
Way = TypeVar("Way")  # in what the runs of an act differ
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Act(Generic[Way, Found]):
    """name: also of its folders. runs: which run of the demo stands for which way. words: of a way, after the name.

    once: plays it with a kind of switch, in a folder, by a seed. told: what came of it, in a sentence.
    """

    name: str
    runs: Iterable[tuple[str, Way]]
    words: Callable[[Way], str]
    once: Callable[[str, Path, int, Way, Say], Found]
    told: Callable[[Found], str]

    def play(self, console: Console, kind: str, seed: int, directory: Path) -> dict[str, Found]:
        """Once for each run of the demo."""
        found: dict[str, Found] = {}
        for run, way in self.runs:
            title = f"{self.name} act, {self.words(way)}"
            with console.status(title) as shown:

                def say(text: str, title: str = title, shown: Status = shown) -> None:
                    shown.update(f"{title}: {text}")

                found[run] = self.once(kind, directory / f"{self.name}-{run}", seed, way, say)
            console.print(f"{title}: {self.told(found[run])}", highlight=False, soft_wrap=True)
        return found


# A router is killed, without and with replication.
FAILURE: Act[bool, Failure] = Act(
    "failure",
    failure_act.RUNS,
    lambda replication: f"{'with' if replication else 'without'} replication",
    lambda kind, path, seed, replication, say: failure_act.act(
        kind, path, seed, replication=replication, say=say
    ),
    lambda one: (
        f"{one.router} was killed under {one.found.connections} connections, "
        f"{one.found.broken_total} of them broke"
    ),
)

# Instances come in bursts, without and with addresses that are held ahead.
BURST: Act[bool, Bursts] = Act(
    "burst",
    burst_act.RUNS,
    lambda held_ahead: f"{'with' if held_ahead else 'without'} addresses held ahead",
    lambda kind, path, seed, held_ahead, say: burst_act.act(
        kind, path, seed, held_ahead=held_ahead, say=say
    ),
    lambda one: (
        f"{len(one.starts)} instances, {one.warm} with a warm address, "
        f"first answer after {one.answer_ms(50):.1f} ms (median)"
    ),
)

# Demand follows the sun over two sites, with reactive and with predictive redirects.
SUN: Act[Mode, Sun] = Act(
    "sun",
    sun_act.RUNS,
    lambda mode: f"{mode.value} redirects",
    lambda kind, path, seed, mode, say: sun_act.act(kind, path, seed, mode=mode, say=say),
    lambda one: (
        f"{one.nearest_pct:.1f} % of {len(one.answered)} calls answered at the nearest site, "
        f"connected after {one.mean_connect_ms():.1f} ms (mean)"
    ),
)

# More comes than a router can treat; without a shadow, and with one that follows the forecast.
RAMP: Act[str, RampRun] = Act(
    "ramp",
    ramp_act.RUNS,
    lambda way: ramp_report.WORDS[way],
    lambda kind, path, seed, way, say: ramp_act.act(kind, path, seed, way=way, say=say),
    lambda one: (
        f"99 % of {len(one.attempts)} connections within {one.connect_ms(99):.0f} ms, "
        f"{one.refused_per_1000:.1f} of 1000 not served"
    ),
)
