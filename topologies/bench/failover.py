"""`umbra bench failover`: a router crashes, or is drained, under a thousand connections that talk.

Every connection is bound to the router that goes, asks about once a second, and checks every answer: who gave
it, and that none is missing. What is measured is what the clients saw. Crash: kill -9 of the switch's process
at a random moment. Drain: `umbra router drain`, then its process is ended, as for maintenance. Between runs
the router starts empty, is resynced, and gets its connections back.

The peer no_replication goes through as many crashes, with the same seeds, failover and load, but no router sends
replica records.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from topologies.bench.chaos import chaos
from topologies.bench.progress import Progress
from topologies.bench.result import Figure, Result
from topologies.load.analysis import percentile
from topologies.load.interruption import Interruption
from topologies.running import WorldError
from topologies.switches import choose
from topologies.world import World

CONNECTIONS = 1040
ROUTER = "r1"
RUNS = 10
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
    """Measure `runs` crashes and `runs` drains, each with a seed of its own, as many crashes without replication, and
    chaos for `chaos_s` seconds.

    WorldError when no run of a kind came to its end.
    """
    kind = choose(switch)

    def measured(name: str, kinds: Sequence[str], *, replicate: bool) -> Measured:
        return asyncio.run(
            _measure(kind, run_dir / name, runs, seed, progress, kinds, replicate=replicate)
        )

    found, unfinished = measured("with", ("crash", "drain"), replicate=True)
    without, without_unfinished = measured("without", ("crash",), replicate=False)
    figures = _figures(found["crash"], found["drain"])
    details: dict[str, Any] = {
        "runs": _told(found),
        "no_replication_runs": _told(without),
        "unfinished_runs": unfinished + without_unfinished,
    }
    if chaos_s > 0:
        struck = asyncio.run(chaos(kind, run_dir / "chaos", chaos_s, seed, progress))
        figures |= struck.figures()
        details["chaos"] = struck.to_json()
    return Result("failover", figures, {"no_replication": _peer(without["crash"])}, details)


Run = tuple[dict[str, Any], Interruption]
Measured = tuple[dict[str, list[Run]], list[str]]  # runs by kind; what kept others from their end


async def _measure(
    kind: str,
    run_dir: Path,
    runs: int,
    seed: int,
    progress: Progress,
    kinds: Sequence[str],
    *,
    replicate: bool,
) -> Measured:
    """All runs in one world, the kinds in turn."""
    found: dict[str, list[Run]] = {name: [] for name in kinds}
    unfinished: list[str] = []
    without = "" if replicate else " without replication"
    async with World(
        kind, run_dir, seed=seed, connections=CONNECTIONS, replicate=replicate, say=progress
    ) as world:
        for number in range(runs):
            for name, own in found.items():
                in_sync = await world.settled()
                progress(f"{kind}: {name} {number + 1} of {runs}{without}")
                try:
                    about, run = await KINDS[name](world, seed + number)
                except WorldError as error:
                    unfinished.append(f"{name}{without} with seed {seed + number}: {error}")
                    await world.rescue(ROUTER)
                else:
                    own.append(({**about, "in_sync_before": in_sync}, run))
        world.talk.stop()
    if not all(found.values()):
        raise WorldError(f"no run{without} came to its end: {'; '.join(unfinished)}")
    return found, unfinished


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


KINDS = {"crash": _crash, "drain": _drain}


def _told(found: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    return [
        {"kind": name, **about, **run.to_json()}
        for name, own in found.items()
        for about, run in own
    ]


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
        "runs": len(runs),
        "broken_per_1000_crash": round(_per_1000(runs), 3),
        "recovery_p50_ms": round(percentile(values, 50), 1),
        "recovery_p99_ms": round(percentile(values, 99), 1),
    }
