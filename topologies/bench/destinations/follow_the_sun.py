"""`umbra bench destinations`, day: clients' latency while the demand moves between two regions.

The same compressed day three times, with the same connections at the same times: redirects after what is forecast
(umbra), after what came in the last steps (the peer reactive), and none (the peer static).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from topologies.bench.parts import Part
from topologies.bench.progress import Progress
from topologies.bench.result import Better, Figure
from topologies.sun import Mode, Sun
from topologies.sun_load import Day
from topologies.sun_run import live
from topologies.switches import choose

DAY = Day(period_s=60.0, days=2, awake_per_s=15.0)
STEP_S = 1.0
QUICK_DAY = Day(period_s=20.0)
QUICK_STEP_S = 0.5
SEED = 1
PEERS = (Mode.REACTIVE, Mode.STATIC)


def run(switch: str, run_dir: Path, progress: Progress, *, quick: bool = False) -> Part:
    """Three fabrics, one after the other. Raises WorldError."""
    kind = choose(switch)
    day, step_s = (QUICK_DAY, QUICK_STEP_S) if quick else (DAY, STEP_S)
    suns: dict[Mode, Sun] = {}
    for mode in (Mode.PREDICTIVE, *PEERS):

        def say(text: str, mode: Mode = mode) -> None:
            progress(f"a day at two sites on {kind}, {mode.value}: {text}")

        suns[mode] = asyncio.run(
            live(kind, run_dir / mode.value, SEED, day, mode, step_s=step_s, say=say)
        )
    return Part(
        figures(suns[Mode.PREDICTIVE]),
        {
            peer.value: {name: one.value for name, one in figures(suns[peer]).items()}
            for peer in PEERS
        },
        {"days": {mode.value: one.to_json() for mode, one in suns.items()}},
    )


def figures(one: Sun) -> dict[str, Figure]:
    """Of one run: of all calls, and of those whom a redirect can help (the service's home is not the nearest site)."""
    found: dict[str, Figure] = {}

    def add(name: str, value: float, unit: str, n: int, better: Better = "lower") -> None:
        found[name] = Figure(round(value, 3), unit, n, better)

    number = len(one.connects_ms())
    add("latency_mean_ms", one.mean_connect_ms(), "ms", number)
    for percent in (50, 90, 99):
        add(f"latency_p{percent}_ms", one.connect_ms(percent), "ms", number)
    answered = len(one.answered)
    add("nearest_pct", one.nearest_pct, "%", answered, "higher")
    add("misdirected_pct", one.misdirected_pct, "%", answered)
    add("unanswered", float(len(one.calls) - answered), "connections", len(one.calls))
    add("moved", float(one.moved), "connections", len(one.calls))
    return found
