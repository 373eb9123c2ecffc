"""`umbra bench failover`: a router crashes, or is drained, under a thousand connections that talk.

Every connection is bound to the router that goes, asks about once a second, and checks every answer: who gave
it, and that none is missing. What is measured is what the clients saw. Crash: kill -9 of the switch's process
at a random moment. Drain: `umbra router drain`, then its process is ended, as for maintenance. Between runs
the router starts empty, is resynced, and gets its connections back.

The peer no_replication is the same crash, failover and load, but no router sends replica records.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from topologies.bench.chaos import chaos
from topologies.bench.progress import Progress
from topologies.bench.result import Figure, Result, percentile
from topologies.load.interruption import Interruption
from topologies.switches import choose
from topologies.world import World, WorldError

CONNECTIONS = 1040
ROUTER = "r1"
RUNS = 10
PEER_RUNS = 3
LOOK_S = 4.0  # at what follows a crash; longer while a request is still without an answer
PHASE_S = 1.5  # a crash comes within so long after all is well


def bench(
    switch: str,
    run_dir: Path,
    progress: Progress,
    *,
    runs: int = RUNS,
    seed: int = 1,
    chaos_s: float = 0.0,
) -> Result:
    """Measure `runs` crashes and `runs` drains, each with a seed of its own, and chaos for `chaos_s` seconds."""
    kind = choose(switch)
    unfinished: list[str] = []
    crashes, drains = asyncio.run(
        _with_replication(kind, run_dir / "with", runs, seed, progress, unfinished)
    )
    if not crashes or not drains:
        raise WorldError(f"no run came to its end: {'; '.join(unfinished)}")
    without = asyncio.run(
        _without_replication(kind, run_dir / "without", min(runs, PEER_RUNS), seed, progress)
    )
    figures = _figures(crashes, drains)
    details: dict[str, Any] = {
        "runs": [*_told("crash", crashes), *_told("drain", drains)],
        "no_replication_runs": _told("crash", without),
        "unfinished_runs": unfinished,
    }
    if chaos_s > 0:
        found = asyncio.run(chaos(kind, run_dir / "chaos", chaos_s, seed, progress))
        figures |= found.figures()
        details["chaos"] = found.to_json()
    versus: dict[str, dict[str, float | str]] = {"no_replication": _peer(without)}
    return Result("failover", figures, versus, details)


Run = tuple[dict[str, Any], Interruption]


async def _with_replication(
    kind: str, run_dir: Path, runs: int, seed: int, progress: Progress, unfinished: list[str]
) -> tuple[list[Run], list[Run]]:
    """Crashes and drains in turn. What keeps a run from being measured is put into `unfinished`."""
    crashes: list[Run] = []
    drains: list[Run] = []
    async with World(
        kind, run_dir, seed=seed, connections=CONNECTIONS, say=lambda text: progress(text)
    ) as world:
        for number in range(runs):
            for name, one, found in (("crash", _crash, crashes), ("drain", _drain, drains)):
                in_sync = await world.settled()
                progress(f"{kind}: {name} {number + 1} of {runs}")
                try:
                    about, run = await one(world, seed + number)
                except WorldError as error:
                    unfinished.append(f"{name} with seed {seed + number}: {error}")
                    await world.rescue(ROUTER)
                else:
                    found.append(({**about, "in_sync_before": in_sync}, run))
        world.talk.stop()
    return crashes, drains


async def _without_replication(
    kind: str, run_dir: Path, runs: int, seed: int, progress: Progress
) -> list[Run]:
    found: list[Run] = []
    async with World(
        kind, run_dir, seed=seed, connections=CONNECTIONS, replicate=False, say=progress
    ) as world:
        for number in range(runs):
            await world.settled()
            progress(f"{kind}: crash {number + 1} of {runs} without replication")
            found.append(await _crash(world, seed + number))
        world.talk.stop()
    return found


async def _crash(world: World, seed: int) -> Run:
    """One crash, what followed, and the return of the router."""
    await world.rest(random.Random(f"{seed}/crash").uniform(0.0, PHASE_S))
    about: dict[str, Any] = {"seed": seed, "bound": world.live_on().get(ROUTER, 0)}
    strays = world.talk.resets()
    at_s = world.crash(ROUTER)
    found = await world.aftermath(at_s, LOOK_S)
    about |= world.failover_times(ROUTER, at_s)
    about["stray_segments"] = world.talk.resets() - strays
    back_s = time.monotonic()
    await world.restart(ROUTER)
    await world.home()
    about["return_s"] = round(time.monotonic() - back_s, 2)
    return about, found


async def _drain(world: World, seed: int) -> Run:
    """One planned hand-over: drain, end the process, start it anew, undrain."""
    await world.rest(random.Random(f"{seed}/drain").uniform(0.0, PHASE_S))
    about: dict[str, Any] = {"seed": seed, "bound": world.live_on().get(ROUTER, 0)}
    at_s = await world.drain(ROUTER)
    about["drained_ms"] = round(1e3 * (time.monotonic() - at_s), 1)
    world.crash(ROUTER)
    found = await world.aftermath(at_s, LOOK_S)
    await world.restart(ROUTER)
    await world.undrain(ROUTER)
    return about, found


def _told(name: str, runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [{"kind": name, **about, **found.to_json()} for about, found in runs]


def _per_1000(runs: Sequence[Run]) -> float:
    broken = sum(found.broken_total for _, found in runs)
    return 1000.0 * broken / sum(found.connections for _, found in runs)


def _figures(crashes: Sequence[Run], drains: Sequence[Run]) -> dict[str, Figure]:
    """Recovery is one value a run; waits are of all struck requests of all runs."""
    figures: dict[str, Figure] = {}

    def add(name: str, value: float, unit: str, n: int) -> None:
        figures[name] = Figure(round(value, 3), unit, n, "lower")

    for name, runs in (("crash", crashes), ("drain", drains)):
        total = sum(found.connections for _, found in runs)
        add(f"broken_per_1000_{name}", _per_1000(runs), "1/1000", total)
    for name, of in (("recovery", "recovery_ms"), ("outage", "outage_ms")):
        values = [float(getattr(found, of)) for _, found in crashes]
        for percent in (50, 99):
            add(f"{name}_p{percent}_ms", percentile(values, percent), "ms", len(values))
        add(f"{name}_max_ms", max(values), "ms", len(values))
    for key in ("detect_ms", "write_ms"):
        known = [float(about[key]) for about, _ in crashes if about.get(key) is not None]
        if known:
            add(key, percentile(known, 50), "ms", len(known))
            add(key.replace("_ms", "_max_ms"), max(known), "ms", len(known))
    for name, runs in (("", crashes), ("drain_", drains)):
        waits = [wait for _, found in runs for wait in found.waits_ms]
        tcp = [part for _, found in runs for part in found.tcp_ms]
        if waits:
            for percent in (50, 99):
                add(f"{name}wait_p{percent}_ms", percentile(waits, percent), "ms", len(waits))
            add(f"{name}wait_tcp_part_pct", 100 * sum(tcp) / sum(waits), "%", len(waits))
    heard = [found.heard_all_ms for _, found in crashes]
    add("heard_all_max_ms", max(heard), "ms", len(heard))
    return figures


def _peer(runs: Sequence[Run]) -> dict[str, float | str]:
    values = [found.recovery_ms for _, found in runs]
    return {
        "broken_per_1000_crash": round(_per_1000(runs), 3),
        "recovery_p50_ms": round(percentile(values, 50), 1),
        "recovery_p99_ms": round(percentile(values, 99), 1),
    }
