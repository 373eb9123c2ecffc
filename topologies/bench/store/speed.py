"""How fast a telemetry store takes and gives: ingest, the write of a cycle, the queries of a training."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from controller.config.sections import Influxdb
from controller.config.sections import Store as StoreSection
from controller.observe import past
from controller.observe.store import Store
from controller.store.interface import Adapter, Retention
from controller.store.opening import connect
from controller.store.point import Point
from controller.store.sqlite import SqliteAdapter
from controller.trouble import Troubles
from topologies.bench.progress import Progress
from topologies.bench.store.writer import FLUSH_SAMPLES, ROUTERS, Work, make_store, sample
from topologies.load.analysis import percentile
from topologies.servers.faulty import FaultyProxy, Mode, before
from topologies.servers.influx import TOKEN, Influx

WEEK_S = 604_800.0
STEP_S = 60.0  # of the week that is trained on
PERIOD_S = 0.05  # of the measured cycles
READS = 3
MEANS_S = 300.0


@dataclass(slots=True)
class Speed:
    """In milliseconds. cycle: what the loop's thread spends. write: until a cycle's samples are durable."""

    samples_per_s: float = 0.0
    cycle_ms: list[float] = field(default_factory=list)
    hanging_ms: list[float] = field(
        default_factory=list
    )  # as cycle, while the server answers nothing
    write_ms: list[float] = field(default_factory=list)
    training_ms: float = 0.0
    means_ms: float = 0.0
    week: int = 0  # samples that the training query read


def measure(
    influx: Influx | None, directory: Path, ingest: int, cycles: int, steps: int, progress: Progress
) -> Speed:
    """steps: of the week that is trained on, per router."""
    name = f"influxdb{influx.major}" if influx is not None else "sqlite"
    directory.mkdir(parents=True, exist_ok=True)
    start_s = float(int(time.time()) - 7_000)
    work = Work(str(directory / "speed.db"), str(directory / "spool"), 0, ingest, start_s, (0, 0))
    speed = Speed()
    if influx is None:
        return _measured(speed, work, None, cycles, steps, progress, name)
    with before(influx.port) as proxy:
        token = TOKEN if influx.major == 2 else None
        work = replace(
            work,
            url=proxy.url,
            org=influx.server.org,
            token=token,
            database="speed",
            timeout_s=30.0,
        )
        with connect(replace(influx.server, database="speed")) as adapter:
            adapter.prepare(Retention(2 * WEEK_S, 10 * WEEK_S))
        return _measured(speed, work, proxy, cycles, steps, progress, name)


def _measured(
    speed: Speed, work: Work, proxy: FaultyProxy | None, cycles: int, steps: int,
    progress: Progress, name: str,
) -> Speed:  # fmt: skip
    progress(f"{name}: taking {work.until} samples")
    store = make_store(work, Troubles())
    begun_s = time.perf_counter()
    for first in range(0, work.until, FLUSH_SAMPLES):
        for serial in range(first, min(work.until, first + FLUSH_SAMPLES)):
            store.add_sample(*sample(work, serial), 0.0)
        if not store.flush():
            raise RuntimeError(f"{name} does not take samples")
    while store.delivery is not None and store.delivery.behind:
        time.sleep(0.005)
    speed.samples_per_s = work.until / (time.perf_counter() - begun_s)
    progress(f"{name}: {cycles} cycles of {ROUTERS} routers")
    at = work.until // ROUTERS
    speed.cycle_ms, speed.write_ms = _cycles(store, work, at, cycles)
    if proxy is not None:
        proxy.mode = Mode.NOTHING
        speed.hanging_ms, _ = _cycles(store, work, at + cycles, cycles)
        proxy.mode = Mode.PASS
        while store.delivery is not None and store.delivery.behind:
            time.sleep(0.05)
    store.close()
    progress(f"{name}: a week of {ROUTERS} series")
    section = _section(work)
    week_s = time.time() - WEEK_S
    with _adapter(work) as adapter:
        for points in _week(week_s, steps):
            if rejected := adapter.write(points):
                raise RuntimeError(f"{name} refuses: {rejected[0]}")
    routers = [f"w{number}" for number in range(ROUTERS)]
    training, means = [], []
    for _ in range(READS):
        begun_s = time.perf_counter()
        found = past.read(section, routers, week_s)
        training.append((time.perf_counter() - begun_s) * 1000)
        speed.week = sum(len(one) for one in found)
        begun_s = time.perf_counter()
        past.means(section, routers, week_s, MEANS_S)
        means.append((time.perf_counter() - begun_s) * 1000)
    if speed.week != steps * ROUTERS:
        raise RuntimeError(f"{name} gave {speed.week} samples of {steps * ROUTERS}")
    speed.training_ms, speed.means_ms = statistics.median(training), statistics.median(means)
    return speed


def _cycles(store: Store, work: Work, at: int, number: int) -> tuple[list[float], list[float]]:
    """As the controller does it: the loop adds, another thread flushes."""
    cycle_ms: list[float] = []
    write_ms: list[float] = []
    due, stop = threading.Event(), threading.Event()

    def flush() -> None:
        while not stop.is_set():
            if due.wait(0.1):
                due.clear()
                begun_s = time.perf_counter()
                store.flush()
                write_ms.append((time.perf_counter() - begun_s) * 1000)

    thread = threading.Thread(target=flush)
    thread.start()
    next_s = time.perf_counter()
    try:
        for cycle in range(at, at + number):
            samples = [sample(work, cycle * ROUTERS + router) for router in range(ROUTERS)]
            begun_s = time.perf_counter()
            for one, demand in samples:
                store.add_sample(one, demand, 0.0)
            cycle_ms.append((time.perf_counter() - begun_s) * 1000)
            due.set()
            next_s += PERIOD_S
            time.sleep(max(0.0, next_s - time.perf_counter()))
    finally:
        stop.set()
        thread.join()
    store.flush()
    return cycle_ms, write_ms


def _week(start_s: float, steps: int) -> Iterator[list[Point]]:
    """Days with their ups and downs, in pages."""
    chance = np.random.default_rng(1)
    step_s = WEEK_S / steps
    start_ns = round(start_s * 1e6) * 1000
    page: list[Point] = []
    for step in range(steps):
        time_ns = start_ns + round(step * step_s * 1e6) * 1000
        base = 200 + 100 * np.sin(2 * np.pi * step * step_s / 86_400)
        counts = np.round(base + chance.normal(0, 10, ROUTERS), 3).tolist()
        for number, count in enumerate(counts):
            values = (count, 20.5, 20.25, 0.0, 30.125, 125_000.0, count, 20.5, 0.0)
            page.append(Point("samples", time_ns, (f"w{number}",), values))
        if len(page) >= 50_000:
            yield page
            page = []
    yield page


def _section(work: Work) -> StoreSection:
    if work.url is None:
        return StoreSection(path=work.path)
    token_file = None
    if work.token is not None:
        file = Path(work.path).with_name("token")
        file.write_text(work.token)
        token_file = str(file)
    influxdb = Influxdb(
        url=work.url, database=work.database, org=work.org, token_file=token_file, timeout_s=120.0
    )
    return StoreSection(path=work.path, influxdb=influxdb)


def _adapter(work: Work) -> Adapter:
    if work.url is None:
        return SqliteAdapter(work.path)
    from controller.observe.source import connected

    section = _section(work)
    assert section.influxdb is not None
    return connected(section.influxdb)


def figures(speed: Speed) -> dict[str, tuple[float, str, int, str]]:
    """(value, unit, measurements, better) by name."""
    found = {
        "samples_per_s": (speed.samples_per_s, "1/s", 1, "higher"),
        "cycle_p99_ms": (percentile(speed.cycle_ms, 99), "ms", len(speed.cycle_ms), "lower"),
        "write_p50_ms": (percentile(speed.write_ms, 50), "ms", len(speed.write_ms), "lower"),
        "write_p99_ms": (percentile(speed.write_ms, 99), "ms", len(speed.write_ms), "lower"),
        "training_query_ms": (speed.training_ms, "ms", READS, "lower"),
        "means_query_ms": (speed.means_ms, "ms", READS, "lower"),
    }
    if speed.hanging_ms:
        found["cycle_p99_ms_server_hangs"] = (
            percentile(speed.hanging_ms, 99), "ms", len(speed.hanging_ms), "lower",
        )  # fmt: skip
    return found
