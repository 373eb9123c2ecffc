"""What a grant costs: the pool alone, on this machine's disk, and Kea on the same machine in the same run.

    python -m topologies.bench.addresses.pool

A grant is measured from the call to its return, when it is on the disk. `warm_grant_*` and `cold_grant_*`: one
caller, one request after the other. `grants_per_s`: IN_FLIGHT requests wait at any time and share commits, as an
event loop's or perfdhcp's do; each is durable when it counts. `cpu_per_grant_us_*`: processor time of the same, in
all threads. `disk_sync_*`: what the disk takes for the bare sync of as many bytes as a lone grant writes, the part
that no program can save. Kea answers over the network (two round trips over a veth), so its latency has more in it
than ours; its memfile does not sync the disk, so its rate has less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from controller.model import Grant, Subdivision
from controller.pool import Pool
from topologies.bench.addresses import kea
from topologies.bench.progress import Progress
from topologies.bench.result import Figure, Result
from topologies.load.analysis import percentile

SUBDIVISION = Subdivision("pod", ("10.0.0.0/8",), "site", max_shards=512)
SHARD_ADDRESSES = 4094  # of a /20
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
ALONE = 3_000  # requests of one caller
MANY = 30_000  # requests, many at a time
IN_FLIGHT = 256
THREADS = 64
PROCESSES = 2
COLD = 2_000
SYNC_BYTES = 6 * 4120  # pages of the log that a lone grant writes
SYNCS = 1_000


def run(
    directory: Path, progress: Progress = lambda _: None, *, sizes: dict[str, int] = SIZES
) -> Result:
    """The pool with so many held addresses each, and Kea. `directory`: on the disk that is measured."""
    figures = _disk(directory)
    with Pool(directory / "pool.db") as pool:
        pool.register(SUBDIVISION)
        for name, size in sizes.items():
            progress(f"the pool: holding {size} addresses")
            _fill(pool, size)
            progress(f"the pool: grants with {size} held")
            figures |= _measured(pool, name, size)
        first = next(iter(sizes))
        figures["warm_grant_p50_ms"] = figures[f"warm_grant_p50_ms_{first}"]
        figures["warm_grant_p99_ms"] = figures[f"warm_grant_p99_ms_{first}"]
        figures["grants_per_s"] = figures[f"grants_per_s_{first}"]
        progress("the pool: cold grants")
        figures |= _cold(directory)
        progress("the pool: several processes")
        figures["grants_per_s_2_processes"] = _processes(directory)
    peers = {"kea": kea.measure(directory, progress)}
    return Result("addresses", figures, peers, _details())


def _details() -> dict[str, object]:
    return {
        "pool": {
            "requests_in_flight": IN_FLIGHT,
            "threads": THREADS,
            "durable": "fdatasync of SQLite's log before the answer (synchronous = FULL), one for all that wait",
            "kea_durable": "memfile: written to its file, not synced",
        }
    }


def _claim(pool: Pool, shards: int) -> None:
    """So many further /20."""
    taken = len(pool.shards())
    for number in range(taken, taken + shards):
        prefix = f"10.{number >> 4}.{(number & 15) << 4}.0/20"
        pool.confirm(prefix, pool.claim(prefix, SUBDIVISION.name, "bench").sequence)


def _fill(pool: Pool, size: int) -> None:
    """Hold as many as are missing."""
    counts = pool.counts(SUBDIVISION.name)
    missing = max(0, size - counts.held)
    _claim(pool, -(-max(0, missing - counts.free) // SHARD_ADDRESSES))
    if len(pool.hold(SUBDIVISION.name, missing)) != missing:
        raise RuntimeError(f"{size} addresses cannot be held")


def _measured(pool: Pool, name: str, size: int) -> dict[str, Figure]:
    alone_ms, grants = _alone(pool, f"alone-{name}", ALONE)
    if not all(grant.warm for grant in grants):
        raise RuntimeError("a grant was not warm")
    _release(pool, grants)
    figures = {
        f"warm_grant_p50_ms_{name}": _ms(alone_ms, 50),
        f"warm_grant_p99_ms_{name}": _ms(alone_ms, 99),
    }
    _fill(pool, size)
    many = min(MANY, size)
    used_s = time.process_time()
    per_s, waits_ms, grants = _in_flight(pool, f"many-{name}", many)
    used_us = 1e6 * (time.process_time() - used_s) / many
    figures[f"cpu_per_grant_us_{name}"] = Figure(round(used_us, 1), "us", many, "lower")
    figures[f"grants_per_s_{name}"] = Figure(round(per_s), "grants/s", many, "higher")
    figures[f"loaded_grant_p99_ms_{name}"] = _ms(waits_ms, 99)
    _release(pool, grants)
    _fill(pool, size)
    per_s, grants = _threads(pool, f"threads-{name}", many // 2)
    figures[f"grants_per_s_{THREADS}_threads_{name}"] = Figure(
        round(per_s), "grants/s", len(grants), "higher"
    )
    _release(pool, grants)
    return figures


def _ms(values: list[float], percent: float) -> Figure:
    return Figure(round(percentile(values, percent), 3), "ms", len(values), "lower")


def _alone(pool: Pool, name: str, number: int) -> tuple[list[float], list[Grant]]:
    times_ms, grants = [], []
    for index in range(number):
        start_s = time.perf_counter()
        grants.append(pool.take(SUBDIVISION.name, f"{name}-{index}"))
        times_ms.append(1e3 * (time.perf_counter() - start_s))
    return times_ms, grants


def _in_flight(pool: Pool, name: str, number: int) -> tuple[float, list[float], list[Grant]]:
    """(grants per second, how long each waited in milliseconds, grants)."""
    waiting: deque[Future[Grant]] = deque()
    grants: list[Grant] = []
    waits_ms: list[float] = []

    def noted(begun_s: float) -> Callable[[Future[Grant]], None]:
        return lambda _: waits_ms.append(1e3 * (time.perf_counter() - begun_s))

    start_s = time.perf_counter()
    for index in range(number):
        if len(waiting) == IN_FLIGHT:
            grants.append(waiting.popleft().result())
        future = pool.take_soon(SUBDIVISION.name, f"{name}-{index}")
        future.add_done_callback(noted(time.perf_counter()))
        waiting.append(future)
    grants += [future.result() for future in waiting]
    return number / (time.perf_counter() - start_s), waits_ms, grants


def _threads(pool: Pool, name: str, number: int) -> tuple[float, list[Grant]]:
    grants: list[Grant] = []

    def ask(which: int) -> None:
        for index in range(number // THREADS):
            grants.append(pool.take(SUBDIVISION.name, f"{name}-{which}-{index}"))

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(THREADS)]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(grants) / (time.perf_counter() - start_s), grants


def _release(pool: Pool, grants: list[Grant]) -> None:
    for start in range(0, len(grants), IN_FLIGHT):
        futures = [
            pool.release_soon(grant.address, grant.owner, grant.sequence)
            for grant in grants[start : start + IN_FLIGHT]
        ]
        if not all(future.result() for future in futures):
            raise RuntimeError("a grant was over before its release")


def _cold(directory: Path) -> dict[str, Figure]:
    """Nothing is warm: first addresses that were never used, then those that have cooled down."""
    figures = {}
    with Pool(directory / "cold.db", cool_s=0.0) as pool:
        pool.register(SUBDIVISION)
        _claim(pool, 1)
        fresh_ms, _ = _alone(pool, "fresh", SHARD_ADDRESSES - COLD)
        second_ms, grants = _alone(pool, "more", COLD)
        _release(pool, grants)
        again_ms, grants = _alone(pool, "again", COLD)
        if any(grant.warm for grant in grants):
            raise RuntimeError("a grant was warm")
        cold_ms = fresh_ms + second_ms + again_ms
        figures["cold_grant_p50_ms"] = _ms(cold_ms, 50)
        figures["cold_grant_p99_ms"] = _ms(cold_ms, 99)
    return figures


_WORKER = """
import sys
from controller.pool import Pool
from topologies.bench.addresses.pool import _in_flight
with Pool(sys.argv[1]) as pool:
    print("ready", flush=True)
    sys.stdin.readline()
    print(_in_flight(pool, sys.argv[2], int(sys.argv[3]))[0], flush=True)
"""


def _processes(directory: Path) -> Figure:
    """All of them on the file with the most held addresses; the sum of their rates."""
    each = min(MANY // 2, 4_000)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(directory / "pool.db"), f"p{number}", str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    try:
        for worker in workers:
            _said(worker)
        start_s = time.perf_counter()
        for worker in workers:
            worker.stdin.write(b"go\n")  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
        for worker in workers:
            _said(worker)
        per_s = PROCESSES * each / (time.perf_counter() - start_s)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    return Figure(round(per_s), "grants/s", PROCESSES * each, "higher")


def _said(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdout is not None
    if not worker.stdout.readline():
        raise RuntimeError("a process on the pool ended before its grants; see its messages above")


def _disk(directory: Path) -> dict[str, Figure]:
    """Writing over a part of a file and fdatasync, as SQLite does with its log."""
    data = os.urandom(SYNC_BYTES)
    times_ms: list[float] = []
    file = os.open(directory / "sync", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(2):  # the first time the file grows
            times_ms.clear()
            for number in range(SYNCS):
                os.pwrite(file, data, number * SYNC_BYTES)
                start_s = time.perf_counter()
                os.fdatasync(file)
                times_ms.append(1e3 * (time.perf_counter() - start_s))
    finally:
        os.close(file)
        (directory / "sync").unlink()
    return {"disk_sync_p50_ms": _ms(times_ms, 50), "disk_sync_p99_ms": _ms(times_ms, 99)}


def main() -> None:
    """On the disk of the system's temporary directory."""
    with tempfile.TemporaryDirectory(prefix="umbra-bench-") as directory:
        result = run(Path(directory), lambda line: print(line, file=sys.stderr))
    print(json.dumps(result.to_json(), indent=2))


if __name__ == "__main__":
    main()
