"""`umbra bench cycle`: from a decision to the last edge that holds it, and how planning grows with the fabric."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Any

import yaml

from controller.config import parse
from controller.daemon import Controller
from controller.events import Event, ShiftDecided
from controller.plan.routes import plan_routes
from controller.plan.routes_state import (
    RouterView,
    RouteSettings,
    RoutesInputs,
    RoutesState,
    ServiceView,
)
from topologies.bench import training
from topologies.bench.progress import Progress
from topologies.bench.result import Figure, Result
from topologies.demo import scenario
from topologies.load.analysis import percentile
from topologies.net import Network
from topologies.switches import choose

SHIFTS = 200
PERIOD_S = 0.5  # of the cycle
SIZES = (10, 100, 1000)
PLANS = 15
EDGES = 4  # of the simulated fabric
SHIFTED = ("r1", "r2")


def bench(switch: str, run_dir: Path, progress: Progress) -> Result:
    """Measure on the demo's fabric, with the demo's controller and all that it does besides."""
    kind = choose(switch)
    figures: dict[str, Figure] = {}
    progress(f"building the demo's fabric on {kind}")
    config = scenario.config(predictive=True)
    config["cycle"]["period_s"] = PERIOD_S
    config["store"] = {"path": str(run_dir / "umbra.db")}
    config["audit"] = {"path": str(run_dir / "audit.jsonl")}
    config.setdefault("forecast", {})["models"] = {"path": str(run_dir / "models")}
    with Network(config, kind, run_dir):
        written_ms = asyncio.run(_shifts(config, progress))
        learnt = training.measure(config, run_dir, progress)
    for percent in (50, 99):
        figures[f"decide_to_written_p{percent}_ms"] = Figure(
            percentile(written_ms, percent), "ms", len(written_ms), "lower"
        )
    figures |= training.figures(learnt)
    for size in SIZES:
        progress(f"planning for {size} routers")
        figures[f"plan_ms_{size}"] = Figure(plan_ms(size), "ms", PLANS, "lower")
    return Result("cycle", figures, details={"training": learnt.details()})


async def _shifts(config: dict[str, Any], progress: Progress) -> list[float]:
    """Shift by hand, back and forth; per decision the time until every edge had it."""
    controller = Controller(parse(yaml.safe_dump(config)))
    written_ms: list[float] = []
    failed: list[tuple[str, str]] = []

    def note(event: Event) -> None:
        if isinstance(event, ShiftDecided) and event.outcome.decide_to_written_ms is not None:
            failed.extend(event.outcome.failed)
            written_ms.append(event.outcome.decide_to_written_ms)

    controller.subscribe(note)
    running = asyncio.create_task(controller.run())
    try:
        while len(written_ms) < SHIFTS and not running.done():
            target_pct = 10 if len(written_ms) // len(SHIFTED) % 2 else 50
            for router in SHIFTED:
                controller.manual_weight(router, target_pct)
            before = len(written_ms)
            await asyncio.sleep(PERIOD_S)
            if len(written_ms) // 50 > before // 50:
                progress(f"shift {len(written_ms)} of {SHIFTS}")
    finally:
        await controller.stop()
        await running
    if failed:
        raise RuntimeError(f"not every shift was written: {failed[:3]}")
    return written_ms


def simulated(size: int, seed: int) -> RoutesInputs:
    """`size` routers in every state, a service each; the same seed gives the same inputs."""
    chance = random.Random(seed)
    names = [f"r{number}" for number in range(size)]
    routers = []
    for number, name in enumerate(names):
        demand = chance.uniform(50, 500)
        routers.append(
            RouterView(
                name=name,
                label=16 + number,
                capacity=400,
                threshold_available=100,
                healthy=chance.random() > 0.02,
                live=min(400.0, demand),
                demand=demand,
                demand_p50=demand * chance.uniform(0.8, 1.3),
                demand_p95=demand * chance.uniform(1.0, 1.6),
                breach_probability=chance.random(),
                lead_s=chance.uniform(1, 120),
                anomaly_severity=chance.choice((0.0, 0.0, 0.0, 3.0)),
            )
        )
    return RoutesInputs(
        routers=tuple(routers),
        services=tuple(ServiceView(number + 1, (name,)) for number, name in enumerate(names)),
        edges=tuple(f"e{number}" for number in range(EDGES)),
        candidates={
            name: tuple(names[(number + step) % size] for step in (1, 2, 3))
            for number, name in enumerate(names)
        },
    )


def plan_ms(size: int) -> float:
    """Median time of a plan while routers go in and out of trouble."""
    state = RoutesState()
    settings = RouteSettings()
    times_ms = []
    for step in range(PLANS):
        inputs = simulated(size, seed=step)
        start_s = time.perf_counter()
        state = plan_routes(state, inputs, float(step), settings).state
        times_ms.append((time.perf_counter() - start_s) * 1000)
    return statistics.median(times_ms)
