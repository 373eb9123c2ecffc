"""`umbra bench replication`: how fast and with how many bytes a router's shadow knows its connections, what becomes of
it beyond what the switch can carry, and what a resync repairs; beside conntrackd with the same connections.

`max_cps` is the highest rate of new connections (SYN, ACK, FIN after 0.2 s) that the switches sustain: in the very run
whose latencies are reported as `max`, at most one record in a thousand is lost, and no backlog grows (at the end of the
run records come no later than at its beginning, but for a thousandth of its time). `saturated_cps` is the lowest rate
that was tried and not sustained. `bytes_per_connection` is UDP payload per life. conntrackd's latency ends when its
message is on the wire, ours when the shadow forwards by it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.act.finsy_log import FINSY_LOG
from controller.model import Idle
from topologies.bench.progress import Progress
from topologies.bench.replication import conntrackd
from topologies.bench.replication.crossing import Crossed, crossed, relayed
from topologies.bench.replication.offered import Work
from topologies.bench.replication.routers import Records, Routers
from topologies.bench.result import Better, Figure, Result
from topologies.bench.search import highest_rate
from topologies.load.analysis import percentile
from topologies.switches import choose

RECORDS_PER_LIFE = 3  # OPEN, STATE, CLOSE
COUNTED_CPS = 200.0
LEAST_CPS = 50.0  # below, a switch is said to sustain nothing
DATA_BYTES = 1000  # of the client, in one segment
KEPT_UP = 0.97  # of the rate wanted: below, the harness itself is too slow
LOSS = 0.001
BACKLOG = (
    0.001  # of a run's time: records that come later at its end than at its beginning queue up
)
LEAST_BACKLOG_MS = 1.0  # less is chance
TRIES = (
    2  # a rate is too much when it fails as often: once, another program may have been in the way
)
STEP_DOWN = 0.9  # from a rate that a trial sustained, but the longer measured run did not
BRIEF = Idle(tcp_s=600, udp_s=600, opening_s=2, linger_s=0.3)
KEPT = Idle(tcp_s=3600, udp_s=3600, opening_s=3600, linger_s=3600)
WIDE, NARROW = 65536, 4096  # entries per way
SEED = 1


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. Rates are new connections per second."""

    rates_cps: tuple[float, ...] = (100, 500, 1000)
    samples: int = 1000  # latencies per rate
    most_sampled_cps: float = 250  # looked at per second, so that the harness's own packets are few
    parts: tuple[float, ...] = (0.5, 0.8)  # of the highest rate: latencies there, too
    start_cps: float = 1000
    trial_s: float = 3.0
    precision: float = 0.05
    counted: int = 500  # connections whose bytes are counted
    losses: tuple[float, ...] = (0.01, 0.10)
    injected: int = 3000  # connections under injected loss
    injected_cps: float = 500
    overload: float = 2.0  # times the rate of saturation
    overload_s: float = 2.0
    flood: float = 10.0  # packets to the shadow besides, for each connection at saturation
    most_overload: int = 40_000  # connections

    def sampled(self, rate_cps: float, seconds: float = 0.0) -> Work:
        """The connections whose latency is taken at a rate: as many as it takes, or of so many seconds."""
        one_in = max(1, round(rate_cps / self.most_sampled_cps))
        connections = max(100, round(rate_cps * seconds)) if seconds else self.samples * one_in
        return Work(rate_cps, connections, sample_one_in=one_in)


def bench(switch: str, run_dir: Path, progress: Progress, extent: Extent | None = None) -> Result:
    """Measure the chosen switch, and conntrackd where it is installed.

    RuntimeError when the shadow forwards wrongly, or when a repair leaves a difference between the tables.
    """
    logging.getLogger("finsy").addFilter(FINSY_LOG)  # no warnings about gNMI
    extent = extent or Extent()
    kind = choose(switch)
    found = _Figures()
    loop = asyncio.new_event_loop()

    def say(text: str) -> None:
        progress(f"{kind}: {text}")

    def pair(idle: Idle, table_size: int) -> Routers:
        return Routers(kind, run_dir, idle=idle, table_size=table_size, loop=loop)

    try:
        say("starting a router and its shadow")
        with pair(BRIEF, WIDE) as routers:
            steady = _Steady(routers, extent, found, say)
            steady.bytes_per_connection()
            for rate_cps in extent.rates_cps:
                steady.latency(rate_cps, f"{rate_cps:g}cps")
            max_cps, saturated_cps = steady.highest_rate_cps()
            for part in extent.parts if max_cps else ():
                steady.latency(max_cps * part, f"{part * 100:g}pct_of_max")
        for loss in extent.losses:
            percent = f"{loss * 100:g}pct"
            say(f"{percent} of the records dropped on the way")
            with pair(KEPT, NARROW) as routers:
                _inject(routers, extent, loss, f"loss_{percent}", found)
        say("overload")
        with pair(KEPT, WIDE) as routers:
            _overload(routers, extent, saturated_cps, found)
    finally:
        loop.close()
    versus = {"conntrackd": _peer(run_dir, extent, progress)}
    return Result("replication", found.by_name, versus, {"runs": steady.runs})


class _Figures:
    """Figures as they are found."""

    def __init__(self) -> None:
        self.by_name: dict[str, Figure] = {}

    def add(self, name: str, value: float, unit: str, n: int, better: Better = "lower") -> None:
        """One more."""
        self.by_name[name] = Figure(value, unit, n, better)

    def latency(self, name: str, times_ms: Sequence[float]) -> None:
        """Median and 99th percentile."""
        for percent in (50, 99):
            value = percentile(times_ms, percent)
            self.add(f"latency_p{percent}_ms_{name}", value, "ms", len(times_ms))


class _Steady:
    """What is measured below the highest rate, on one pair of switches: connections are numbered throughout."""

    def __init__(
        self, routers: Routers, extent: Extent, found: _Figures, progress: Progress
    ) -> None:
        self._routers = routers
        self._extent = extent
        self._found = found
        self._progress = progress
        self._number = 0  # of the next connection
        self.runs: list[dict[str, float]] = []  # in order, with what was decided of each

    def _next(self, work: Work) -> int:
        self._number += work.connections
        return self._number - work.connections

    def bytes_per_connection(self) -> None:
        """Bytes of records per life, from the frames themselves."""
        self._progress("bytes of records")
        work = Work(COUNTED_CPS, self._extent.counted, data_bytes=DATA_BYTES)
        seen = relayed(self._routers, work, self._next(work), loss=0.0, seed=SEED)
        n = work.connections
        self._found.add("bytes_per_connection", seen.payload_bytes / n, "bytes", n)
        self._found.add("wire_bytes_per_connection", seen.wire_bytes / n, "bytes", n)
        self._found.add("records_per_connection", seen.frames / n, "records", n)

    def latency(self, rate_cps: float, name: str) -> None:
        """Latency at one rate."""
        self._progress(f"latency at {rate_cps:.0f} new connections per second")
        self._tell(self._crossed(self._extent.sampled(rate_cps)), name)

    def _tell(self, seen: Crossed, name: str) -> None:
        self._found.latency(name, seen.latencies_ms)
        for index, step in enumerate(("primary", "harness", "shadow")):
            value = percentile([steps_ms[index] for steps_ms in seen.steps_ms], 50)
            self._found.add(f"in_{step}_p50_ms_{name}", value, "ms", len(seen.steps_ms))
        self._found.add(f"records_lost_{name}", seen.records.lost, "records", seen.records.sent)

    def _crossed(self, work: Work) -> Crossed:
        seen = crossed(self._routers, work, self._next(work))
        if seen.wrong > seen.records.lost:
            raise RuntimeError(
                f"{seen.wrong} connections left the shadow for another backend than its primary chose, "
                f"and only {seen.records.lost} records were lost"
            )
        if not seen.latencies_ms:
            raise RuntimeError(f"no connection was answered at {work.rate_cps:.0f} per second")
        self.runs.append(
            {
                "offered_cps": round(work.rate_cps, 1),
                "achieved_cps": round(seen.achieved_cps, 1),
                "connections": work.connections,
                "records_missing": missing(work, seen),
                "backlog_ms": round(backlog_ms(seen.latencies_ms), 2),
                "latency_p50_ms": round(percentile(seen.latencies_ms, 50), 2),
                "sustained": sustained(work, seen),
            }
        )
        return seen

    def highest_rate_cps(self) -> tuple[float, float]:
        """Searched with short runs, then confirmed by the run that is reported; and the rate of saturation."""
        found = highest_rate(
            self._try, self._extent.start_cps, precision=self._extent.precision, least=LEAST_CPS
        )
        max_cps, saturated_cps, tried = found.sustained, found.saturated, found.tried
        while max_cps:
            self._progress(f"latency at {max_cps:.0f} new connections per second, the most")
            work = self._extent.sampled(max_cps)
            seen = self._crossed(work)
            tried += 1
            if sustained(work, seen):
                self._tell(seen, "max")
                break
            saturated_cps = max_cps
            max_cps = max_cps * STEP_DOWN if max_cps > LEAST_CPS else 0.0
        self._found.add("max_cps", max_cps, "1/s", tried, "higher")
        self._found.add("saturated_cps", saturated_cps, "1/s", tried, "higher")
        return max_cps, saturated_cps

    def _try(self, rate_cps: float) -> float | None:
        self._progress(f"trying {rate_cps:.0f} new connections per second")
        work = self._extent.sampled(rate_cps, self._extent.trial_s)
        for _ in range(TRIES):
            seen = self._crossed(work)
            if sustained(work, seen):
                return seen.achieved_cps
        return None


def backlog_ms(latencies_ms: Sequence[float]) -> float:
    """By how much the last fifth of these latencies exceeds the first, in the median: what has queued up."""
    fifth = -(-len(latencies_ms) // 5)
    return percentile(latencies_ms[-fifth:], 50) - percentile(latencies_ms[:fifth], 50)


def missing(work: Work, seen: Crossed) -> int:
    """Records that the shadow did not get: lost between the switches, or never sent, as the primary lost the packet."""
    return RECORDS_PER_LIFE * work.connections - seen.records.received


def sustained(work: Work, seen: Crossed) -> bool:
    """Was all of it carried, as fast as it was offered?"""
    time_ms = 1e3 * work.connections / work.rate_cps
    return (
        seen.achieved_cps >= KEPT_UP * work.rate_cps
        and missing(work, seen) <= LOSS * RECORDS_PER_LIFE * work.connections
        and backlog_ms(seen.latencies_ms) <= max(LEAST_BACKLOG_MS, BACKLOG * time_ms)
    )


def _inject(routers: Routers, extent: Extent, loss: float, name: str, found: _Figures) -> None:
    """The harness drops records; a resync repairs the shadow's table."""
    work = Work(extent.injected_cps, extent.injected, stay_one_in=2)
    before = routers.records()
    seen = relayed(routers, work, 0, loss=loss, seed=SEED)
    records = routers.records().since(before)
    if records.lost < seen.dropped:
        raise RuntimeError(f"{seen.dropped} records were dropped on the way, but {records}")
    _repair(routers, records, name, found)


def _overload(routers: Routers, extent: Extent, saturated_cps: float, found: _Figures) -> None:
    """Far more than both switches can carry: new connections at the primary, and packets that the shadow has to forward
    besides, so that it loses records. A resync repairs its table.
    """
    rate_cps = saturated_cps * extent.overload
    connections = min(extent.most_overload, round(rate_cps * extent.overload_s))
    work = Work(rate_cps, connections, stay_one_in=2)
    seen = crossed(routers, work, 0, flood_pps=extent.flood * saturated_cps)
    found.add("overload_offered_cps", seen.achieved_cps, "1/s", connections, "higher")
    _repair(routers, seen.records, "overload", found)


def _repair(routers: Routers, records: Records, name: str, found: _Figures) -> None:
    """Compare the tables, resync, compare again."""
    before = routers.difference()
    start_s = time.perf_counter()
    with routers.cable():
        repair = routers.resync()
    elapsed_s = time.perf_counter() - start_s
    after = routers.difference()
    found.add(f"records_lost_{name}", records.lost, "records", records.sent)
    found.add(f"gaps_{name}", records.gaps, "gaps", records.received)
    found.add(f"entries_wrong_{name}", before.wrong, "entries", before.entries)
    found.add(f"entries_wrong_after_{name}", after.unequal, "entries", after.entries)
    found.add(f"repair_passes_{name}", repair.passes, "scans", repair.sent)
    found.add(f"repair_s_{name}", elapsed_s, "s", repair.sent)
    if after.unequal:
        raise RuntimeError(f"after the resync ({name}) entries differ: {after}")


def _peer(run_dir: Path, extent: Extent, progress: Progress) -> dict[str, float | str]:
    """conntrackd with as many connections of the same life, at the same rates."""
    reason = conntrackd.absent()
    if reason:
        return {"absent": reason}
    found: dict[str, float | str] = {}
    with conntrackd.Pair(run_dir) as pair:
        state_bytes = wire_bytes = control_bytes = connections = cached = 0
        for rate_cps in extent.rates_cps:
            progress(f"conntrackd at {rate_cps:.0f} new connections per second")
            lives = pair.carry(rate_cps, extent.sampled(rate_cps).connections)
            if not lives.latencies_ms:
                raise RuntimeError("conntrackd sent nothing")
            for percent in (50, 99):
                value = percentile(lives.latencies_ms, percent)
                found[f"latency_p{percent}_ms_{rate_cps:g}cps"] = value
            state_bytes += lives.state_bytes
            wire_bytes += lives.wire_bytes
            control_bytes += lives.control_bytes
            connections += lives.connections
            cached += lives.cached
    found["bytes_per_connection"] = state_bytes / connections
    found["wire_bytes_per_connection"] = wire_bytes / connections
    found["control_bytes_per_connection"] = control_bytes / connections
    found["connections_lost"] = connections - cached
    return found
