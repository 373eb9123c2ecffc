"""How long the address planners take for 1,000 subdivisions: one cycle of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from controller.model import Shard, ShardState, Subdivision
from controller.plan.addresses.ranges import Key, plan_ranges
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import RangeState, RangeView
from controller.plan.shards.block import block
from controller.plan.shards.compaction import compaction
from controller.plan.shards.demand import DemandSettings, predict_demand
from controller.plan.shards.engine import plan_shards
from controller.plan.shards.needs import need_of
from controller.plan.shards.profiles import ApplicationProfile, mean_instance
from controller.plan.shards.state import Act, Excess, Need, ShardSettings, ShardView
from ml.forecasting.forecast import Forecast
from topologies.bench.result import Figure

SUBDIVISIONS = 1000
ROUNDS = 30
WARM_ROUNDS = 300  # until the ranges have learned what they would know in service
SUPERNETS = ("10.0.0.0/9", "fd00::/104")


def planner_figures(settings: RangeSettings, number: int = SUBDIVISIONS) -> dict[str, Figure]:
    """Medians and worst of `ROUNDS` cycles, milliseconds."""
    names = [f"pod-{place}" for place in range(number)]
    figures = {}
    for name, taken_s in (
        ("plan_ranges_1000", _ranges(names, settings)),
        ("plan_shards_1000_steady", _shards(names, growth=0)),
        ("plan_shards_1000_changing", _shards(names, growth=1)),
        ("plan_compaction_1000", _compaction(names)),
        ("predict_demand_1000", _demands(names)),
    ):
        taken_ms = [1000.0 * one for one in taken_s]
        figures[f"{name}_ms"] = Figure(round(median(taken_ms), 2), "ms", len(taken_ms), "lower")
        figures[f"{name}_max_ms"] = Figure(round(max(taken_ms), 2), "ms", len(taken_ms), "lower")
    return figures


def _ranges(names: list[str], settings: RangeSettings) -> list[float]:
    draws = np.random.default_rng(1)
    states: dict[Key, RangeState] = {}
    held = [0] * len(names)
    taken_s = []
    for cycle in range(WARM_ROUNDS + ROUNDS):
        grants = draws.poisson(0.4, len(names)).tolist()
        views = [
            RangeView(name, held[row], 200, grants[row], 0, 10_000, expected_per_s=0.2)
            for row, name in enumerate(names)
        ]
        began = time.perf_counter()
        plans, states = plan_ranges(views, states, cycle * settings.cycle_s, settings)
        if cycle >= WARM_ROUNDS:
            taken_s.append(time.perf_counter() - began)
        for row, plan in enumerate(plans):
            held[row] = max(0, held[row] + plan.hold - plan.release - grants[row])
    return taken_s


def _shards(names: list[str], growth: int) -> list[float]:
    """growth: subdivisions in ten whose need changes in every cycle, by a shard."""
    settings = ShardSettings(release_after_s=2.0)
    subdivisions = {name: Subdivision(name, SUPERNETS, "here") for name in names}
    views: dict[str, ShardView] = {}
    routed: set[str] = set()
    excess: dict[Key, Excess] = {}
    wanted = dict.fromkeys(names, 200)
    draws = np.random.default_rng(2)
    taken_s = []
    for cycle in range(ROUNDS + 3):
        for row in draws.choice(len(names), len(names) * growth // 10, replace=False):
            wanted[names[row]] = int(draws.integers(60, 600))
        needs = [
            Need(name, family, wanted[name], float(wanted[name]))
            for name in names
            for family in (4, 6)
        ]
        known = tuple(views.values())
        began = time.perf_counter()
        plan, excess = plan_shards(
            needs, known, subdivisions, routed, excess, float(cycle), settings
        )
        if cycle >= 3:
            taken_s.append(time.perf_counter() - began)
        for step in plan.steps:
            if step.act is Act.FREE:
                del views[step.prefix]
            elif step.act is not Act.SHORT:
                state = ShardState.DRAINING if step.act is Act.DRAIN else ShardState.ASSIGNED
                shard = Shard(step.prefix, step.subdivision, state, cycle, float(cycle))
                views[step.prefix] = ShardView(shard)
        routed = {shard.prefix for shard in plan.routed}
    return taken_s


def _compaction(names: list[str]) -> list[float]:
    draws = np.random.default_rng(3)
    subdivisions = {name: Subdivision(name, SUPERNETS[:1], "here") for name in names}
    pieces = list(block("10.0.0.0/14").pieces(6))
    places = draws.choice(len(pieces), 4 * len(names), replace=False)
    views = [
        ShardView(
            Shard(str(pieces[place]), names[row // 4], ShardState.ASSIGNED, 1, 0.0),
            granted=int(draws.integers(0, 60)),
        )
        for row, place in enumerate(places.tolist())
    ]
    taken_s = []
    for _ in range(5):
        began = time.perf_counter()
        compaction(views, subdivisions, ShardSettings())
        taken_s.append(time.perf_counter() - began)
    return taken_s


def _demands(names: list[str]) -> list[float]:
    profiles = {
        "web": ApplicationProfile("web"),
        "data": ApplicationProfile("data", 4, 8192, 50e6, 9e7),
    }
    horizons_s, quantiles = (300.0, 900.0, 1800.0, 3600.0), (0.05, 0.25, 0.5, 0.75, 0.95)
    rows = tuple(tuple(100.0 + 5 * one + 10 * two for two in range(5)) for one in range(4))
    forecasts = {
        name: Forecast(name, 0.0, horizons_s, quantiles, rows, "trend", 100.0) for name in names
    }
    settings = DemandSettings()

    def turn() -> None:
        for name in names:
            mean = mean_instance(profiles, {"web": 80, "data": 20}, "web")
            need_of(predict_demand(name, forecasts[name], 100.0, mean, settings, 0.0), 4, warm=5)

    return _timed(turn, 10)


def _timed(turn: Callable[[], None], rounds: int) -> list[float]:
    taken_s = []
    for _ in range(rounds):
        began = time.perf_counter()
        turn()
        taken_s.append(time.perf_counter() - began)
    return taken_s
