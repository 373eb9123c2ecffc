"""Does a training in the background disturb the cycle? Seven days of 200 routers, learnt while the loop turns."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from controller.config import parse
from controller.daemon import Controller
from controller.learning.assembly import METRIC
from controller.learning.training_job import Job, Trained
from controller.store import sqlite_tables
from controller.store.schema import SCHEMA
from controller.store.sqlite import SqliteAdapter
from ml.settings import Settings
from topologies.bench.progress import Progress
from topologies.bench.result import Figure
from topologies.load.analysis import percentile

ROUTERS = 200
DAYS = 7
STEP_S = 60.0
HORIZONS_S = (60.0, 300.0, 900.0, 1800.0)
PERIOD_S = 0.2  # of the cycle while it is watched
CYCLES = 300  # before the training
WARM_CYCLES = 25
BEGIN_S = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """before_ms, during_ms: length of every cycle. training_s: of the training, and of its parts."""

    before_ms: list[float]
    during_ms: list[float]
    training_s: float
    trained: Trained
    samples: int

    def details(self) -> dict[str, Any]:
        """What was trained, and what came of it."""
        return {
            "routers": ROUTERS,
            "days": DAYS,
            "step_s": STEP_S,
            "samples": self.samples,
            "fit_s": self.trained.report.seconds,
            "model_bytes": self.trained.entry.version.model_bytes,
            "reason": self.trained.report.reason,
            "cycle_p50_ms_before_training": percentile(self.before_ms, 50),
            "cycle_p50_ms_during_training": percentile(self.during_ms, 50),
            "cycle_period_s": PERIOD_S,
        }


def figures(learnt: Learnt) -> dict[str, Figure]:
    """By name."""
    before, during = learnt.before_ms, learnt.during_ms
    return {
        "cycle_p99_ms_before": Figure(percentile(before, 99), "ms", len(before), "lower"),
        "cycle_p99_ms_during": Figure(percentile(during, 99), "ms", len(during), "lower"),
        "background_training_s": Figure(learnt.training_s, "s", 1, "lower"),
    }


def measure(config: dict[str, Any], run_dir: Path, progress: Progress) -> Learnt:
    """On the fabric that is there, with a controller of this configuration that turns faster."""
    progress(f"writing {DAYS} days of {ROUTERS} routers")
    history = run_dir / "history.db"
    samples = write_history(history)
    config = deepcopy(config)
    config["cycle"]["period_s"] = PERIOD_S
    return asyncio.run(_watched(config, history, run_dir, samples, progress))


async def _watched(
    config: dict[str, Any], history: Path, run_dir: Path, samples: int, progress: Progress
) -> Learnt:
    controller = Controller(parse(yaml.safe_dump(config)))
    running = asyncio.create_task(controller.run())
    try:
        await _cycles(controller, running, WARM_CYCLES)
        progress(f"{CYCLES} cycles before a training")
        before_ms = await _cycles(controller, running, CYCLES)
        progress("cycles during a training")
        start_s = time.perf_counter()
        training = asyncio.create_task(
            controller.learning.trainer.carry_out(_job(history, run_dir))
        )
        during_ms = await _cycles(controller, running, None, training)
        trained = await training
        return Learnt(before_ms, during_ms, time.perf_counter() - start_s, trained, samples)
    finally:
        await controller.stop()
        await running


def _job(history: Path, run_dir: Path) -> Job:
    return Job(
        store=str(history),
        routers=(),
        since_s=0.0,
        settings=Settings(metric=METRIC, horizons_s=HORIZONS_S, step_s=STEP_S),
        seed=0,
        models=str(run_dir / "models-of-the-history"),
        metric=METRIC,
        keep=1,
        trigger="benchmark",
        now_s=BEGIN_S + DAYS * 86_400.0,
        champion=False,
        limits={},
        false_alarms_per_day=24.0,
    )


async def _cycles(
    controller: Controller,
    running: asyncio.Task[None],
    number: int | None,
    until: asyncio.Task[Trained] | None = None,
) -> list[float]:
    """The lengths, in milliseconds, of so many cycles, or of all until something is done."""
    found: list[float] = []
    last = controller.cycle.number
    while not running.done() and (number is None or len(found) < number):
        if until is not None and until.done():
            break
        await asyncio.sleep(PERIOD_S / 10)
        if controller.cycle.number != last and controller.cycle.last_ms:
            last = controller.cycle.number
            found.append(controller.cycle.last_ms["total"])
    if not found:
        raise RuntimeError("the controller did not turn")
    return found


def write_history(path: Path) -> int:
    """A store with the samples of ROUTERS routers over DAYS days; returns how many."""
    with SqliteAdapter(path) as store:
        store.listing()  # makes the tables
    insert = sqlite_tables.insert(SCHEMA["samples"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            for router in range(ROUTERS):
                connection.executemany(insert, _rows(router))
        (number,) = connection.execute("SELECT count(*) FROM samples").fetchone()
        return int(number)


def _rows(router: int) -> Iterator[tuple[Any, ...]]:
    """A load with a day, a week and slow waves of its own; connections come and go by chance."""
    chance = np.random.default_rng(router)
    steps = int(DAYS * 86_400 / STEP_S)
    time_s = BEGIN_S + STEP_S * np.arange(steps)
    duration_s = float(chance.uniform(20, 200))
    phase = chance.uniform(0, 2 * np.pi)
    daily = 1 + 0.5 * np.sin(2 * np.pi * time_s / 86_400.0 + phase)
    waves = np.cumsum(chance.normal(0, 1, steps))
    waves = np.convolve(waves - waves.mean(), np.ones(30) / 30, "same") / 300.0
    mean = chance.uniform(50, 300) * daily * np.exp(np.clip(waves, -1, 1))
    count = chance.poisson(mean).astype(float)
    new_per_s = chance.poisson(mean / duration_s * STEP_S) / STEP_S
    name = f"r{router}"
    rows = zip(time_s.tolist(), count.tolist(), new_per_s.tolist(), strict=True)
    for moment_s, live, new in rows:
        yield (
            name,
            round(moment_s * 1e6) * 1000,
            live,
            new,
            new,
            0.0,
            duration_s,
            0.0,
            live,
            new,
            0.0,
        )
