"""`umbra bench destinations`, redirects: how fast they are on every edge, how fast a failed copy is gone round.

Two sites with two edges each, the controller with its loop, and clients in the south who call a service that is at
home in the north. The copy in the south is declared failed and well again, over and over: each time their redirect
goes or comes, and is timed from the decision until the last edge has answered. Then, without that, the copy's router
is killed (kill -9): timed until a connection that begins afterwards is open at the other site.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from topologies.bench.parts import Part
from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.load.analysis import Attempt, Traffic, moved, percentile
from topologies.load.curves import Constant
from topologies.load.run import LoadRun
from topologies.load.schedule import Demand, schedule
from topologies.running import WorldError
from topologies.sun import Mode
from topologies.sun_run import TwoSites
from topologies.switches import choose
from topologies.two_sites import BACKENDS, HOMES, REGIONS

SERVICE, CLIENT, COPY_ROUTER = 1, "c2", "r2"  # web is at home at site 1; c2 is at site 2
EDGES = 2  # at each site
STEP_S = 0.5
PER_S, LASTS_S = 20.0, 3.0  # the load
TOGGLES, CRASHES = 100, 10
QUICK_TOGGLES, QUICK_CRASHES = 3, 1
AFTER_S = 2.5  # looked at after a crash
LATE_MS = 500.0
LONGEST_S = 600.0  # of a load, which ends when it is not needed any more
SEED = 1


def run(switch: str, run_dir: Path, progress: Progress, *, quick: bool = False) -> Part:
    """Raises WorldError."""
    kind = choose(switch)
    toggles, crashes = (QUICK_TOGGLES, QUICK_CRASHES) if quick else (TOGGLES, CRASHES)
    return asyncio.run(_measure(kind, run_dir, toggles, crashes, progress))


async def _measure(
    kind: str, run_dir: Path, toggles: int, crashes: int, progress: Progress
) -> Part:
    async with TwoSites(
        kind, run_dir, Mode.REACTIVE, step_s=STEP_S, edges=EDGES, say=progress
    ) as sites:
        installed_ms, established = await _toggle(sites, toggles, progress)
        progress(f"{crashes} crashes of the copy's router")
        kills_s, struck = await _crash(sites, crashes, progress)
    figures: dict[str, Figure] = {}

    def add(name: str, value: float, unit: str, n: int) -> None:
        figures[name] = Figure(round(value, 3), unit, n, "lower")

    for percent in (50, 99):
        add(f"redirect_p{percent}_ms", percentile(installed_ms, percent), "ms", len(installed_ms))
    add("redirect_max_ms", max(installed_ms), "ms", len(installed_ms))
    add("moved_by_redirects", float(moved(established)), "connections", len(established.attempts))
    waits_ms = [_elsewhere_ms(struck, at_s) for at_s in kills_s]
    add("failover_p50_ms", percentile(waits_ms, 50), "ms", len(waits_ms))
    add("failover_p99_ms", percentile(waits_ms, 99), "ms", len(waits_ms))
    late = sum(_late(struck, at_s) for at_s in kills_s)
    add("failover_late", late / len(kills_s), "connections per failure", len(kills_s))
    broken = sum(one.outcome == "broken" for one in established.attempts)
    details = {"redirects": {"edges": 2 * EDGES, "broken_by_redirects": broken}}
    return Part(figures, details=details)


async def _toggle(sites: TwoSites, toggles: int, progress: Progress) -> tuple[list[float], Traffic]:
    """Milliseconds of every write, and what became of the connections meanwhile."""
    load = await _calls(sites, "toggled")
    await _redirected(sites, True)
    copy = sites.config["services"][SERVICE - 1]["name"], REGIONS[CLIENT].site
    destinations = sites.controller.destinations
    assert destinations is not None
    begun_s = time.time()
    for number in range(toggles):
        if number % 20 == 0:
            progress(f"redirect {2 * number} of {2 * toggles}")
        destinations.mark(*copy, failed=True)
        await _redirected(sites, False)
        destinations.mark(*copy, failed=False)
        await _redirected(sites, True)
    written_ms = [
        1e3 * (one["ended_s"] - one["time_s"])
        for one in sites.writes
        if one["time_s"] >= begun_s and one["steps"]
    ]
    sites.load = None
    return written_ms, load.finish()


async def _crash(sites: TwoSites, crashes: int, progress: Progress) -> tuple[list[float], Traffic]:
    """When each kill was (seconds from the begin of the load), and what became of the connections."""
    load = await _calls(sites, "struck")
    kills_s = []
    for number in range(crashes):
        await _redirected(sites, True)
        await sites.rest(STEP_S)
        progress(f"crash {number + 1} of {crashes}")
        kills_s.append(sites.crash(COPY_ROUTER) - load.start_monotonic_s)
        await sites.rest(AFTER_S)
        await sites.restart(COPY_ROUTER)
        await sites.home()
    sites.load = None
    return kills_s, load.finish()


async def _calls(sites: TwoSites, name: str) -> LoadRun:
    """From the client in the south, until the run is finished; returns when as many live as shall live."""
    service = sites.config["services"][SERVICE - 1]
    demand = Demand(SERVICE, service["address"], service["port"], Constant(PER_S), LASTS_S)
    plans = dict.fromkeys(REGIONS, ()) | {CLIENT: schedule(SEED, [demand], LONGEST_S)}
    load = sites.begin(plans, name)
    await sites.until(lambda: load.time_s > 2 * LASTS_S, "the calls are under way")
    return load


async def _redirected(sites: TwoSites, there: bool) -> None:
    """Wait until every edge sends the client's new connections to the copy, or none does."""
    words = "goes to its copy" if there else "goes home"
    await sites.until(
        lambda: sites.redirected(SERVICE, REGIONS[CLIENT].location) is there, f"the client {words}"
    )


def _elsewhere_ms(traffic: Traffic, at_s: float) -> float:
    """From a kill until a connection that began afterwards was open at the service's home."""
    open_s = [
        one.start_s + one.connect_ms / 1e3
        for one in _after(traffic, at_s)
        if one.connect_ms is not None
        and one.backends
        and BACKENDS[one.backends[0]] == HOMES[SERVICE]
    ]
    if not open_s:
        raise WorldError(f"nobody was served elsewhere within {AFTER_S:g} s of a failure")
    return 1e3 * (min(open_s) - at_s)


def _late(traffic: Traffic, at_s: float) -> int:
    """Connections whose first packet was lost: TCP sends it again after a second; and those that were never open."""
    return sum(one.connect_ms is None or one.connect_ms > LATE_MS for one in _after(traffic, at_s))


def _after(traffic: Traffic, at_s: float) -> list[Attempt]:
    return [one for one in traffic.attempts if at_s <= one.start_s < at_s + AFTER_S]
