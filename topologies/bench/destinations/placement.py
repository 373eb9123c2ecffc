"""`umbra bench destinations`, placement: how long it takes, how it grows, how far from the optimum, how steady.

A made-up world: sites on a map, one location at each (or more), latency by distance; destinations of Zipf-like
popularity, each more wanted here than there; sites with unequal room. Times are of the whole planner, from demand in
columns to named copies, whom they serve and why.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.model.destinations import Destination, Location, SiteResources
from controller.plan.destinations.exact import best_worth
from controller.plan.destinations.placement import plan_standbys
from controller.plan.destinations.settings import PlacementSettings
from controller.plan.destinations.solve import solve
from controller.plan.destinations.state import Demand, PlacementState, PlacementView
from controller.plan.destinations.statement import problem_of
from topologies.bench.progress import Progress
from topologies.bench.result import Figure

START_S = 1_700_000_000.0
CYCLE_S = 60.0
CYCLES = 20
NOISE = 0.1  # standard deviation of the logarithm of a forecast's error, from cycle to cycle
SMALL_CASES, QUICK_CASES = 40, 4


@dataclass(frozen=True, slots=True)
class World:
    """How large, and how scarce. cells: locations with demand per destination (None: all). spare_share: what all
    sites together can take, of all demand. room: copies per site.
    """

    destinations: int
    locations: int
    sites: int
    cells: int | None = None
    spare_share: float = 0.2
    room: int = 200


def world(size: World, seed: int) -> PlacementView:
    """The view of it; the same for the same seed."""
    random = np.random.default_rng(seed)
    places = random.uniform(0.0, 100.0, (size.sites, 2))
    near = places[np.arange(size.locations) % size.sites]
    clients = near + random.normal(0.0, 2.0, near.shape)
    away = clients[:, None, :] - places[None, :, :]
    latency_ms = 1.0 + np.hypot(away[..., 0], away[..., 1])
    if size.cells is None:
        destination = np.repeat(np.arange(size.destinations), size.locations)
        location = np.tile(np.arange(size.locations), size.destinations)
    else:
        number = size.destinations * size.cells
        keys = np.repeat(np.arange(size.destinations), size.cells) * size.locations
        keys = np.sort(keys + random.integers(0, size.locations, number))
        keys = keys[np.diff(keys, prepend=-1) != 0]
        destination, location = np.divmod(keys, size.locations)
    popular = random.permutation((np.arange(size.destinations) + 1.0) ** -1.1)
    weight = random.pareto(1.5, size.locations) + 0.3
    expected = popular[destination] * weight[location] * random.gamma(0.7, 1.0, len(destination))
    expected *= 100.0 * size.destinations / expected.sum()
    reserve = 1.3 * expected + 0.01
    uneven = random.uniform(0.2, 1.8, size.sites)
    spare = reserve.sum() * size.spare_share * uneven / uneven.sum()
    cost = random.uniform(100.0, 300.0, size.sites)
    return PlacementView(
        destinations=[
            Destination(number + 1, f"di-{number + 1}", f"site-{home}")
            for number, home in enumerate(random.integers(0, size.sites, size.destinations))
        ],
        locations=[
            Location(f"location-{number}", f"site-{number % size.sites}", ())
            for number in range(size.locations)
        ],
        sites=[
            SiteResources(
                f"site-{number}", (f"router-{number}",), float(cps), size.room, float(fee)
            )
            for number, (cps, fee) in enumerate(zip(spare, cost, strict=True))
        ],
        latency_ms=latency_ms,
        demand=Demand(destination, location, expected, reserve),
    )


def run(progress: Progress = lambda _: None, *, quick: bool = False) -> dict[str, Figure]:
    """All figures of placement. quick: the smallest size, a few small cases, and nothing else."""
    if quick:
        return {**_times(progress, ("place_1k_x_50_s",)), **_gaps(progress, QUICK_CASES, 0)}
    return {**_times(progress), **_gaps(progress), **_steadiness(progress)}


def _times(progress: Progress, only: Collection[str] = ()) -> dict[str, Figure]:
    """The first plan, with no copies yet: the hardest."""
    sizes: Mapping[str, World] = {
        "place_1k_x_50_s": World(1_000, 50, 50),
        "place_10k_x_200_s": World(10_000, 200, 200),
        "place_10k_x_200_top20_s": World(10_000, 200, 200, cells=20),
        "place_30k_x_500_top20_s": World(30_000, 500, 500, cells=20),
        "place_100k_x_1000_top20_s": World(100_000, 1_000, 1_000, cells=20),
    }
    figures = {}
    for name, size in sizes.items():
        if only and name not in only:
            continue
        progress(f"placement of {size.destinations} destinations over {size.locations} locations")
        view = world(size, 1)
        times, processor = [], []
        for _ in range(3):
            begin, busy = time.perf_counter(), time.process_time()
            plan_standbys(view, PlacementState(), START_S, PlacementSettings())
            times.append(time.perf_counter() - begin)
            processor.append(time.process_time() - busy)
        cells = len(view.demand.expected)
        figures[name] = Figure(round(min(times), 3), "s", cells, "lower")
        # On a busy machine the first says more of the others' work than of this.
        figures[name[:-2] + "_cpu_s"] = Figure(round(min(processor), 3), "s", cells, "lower")
    return figures


def _gaps(progress: Progress, cases: int = SMALL_CASES, middle_cases: int = 3) -> dict[str, Figure]:
    """How much worth is lost against the proven optimum, and against a bound of it where that takes too long."""
    settings = replace(PlacementSettings(), copies=3)
    gaps = []
    for seed in range(cases):
        progress(f"placement: gap to the optimum, case {seed + 1} of {cases}")
        share, room = (0.1, 0.3, 0.6, 1.5)[seed % 4], (2, 3, 8)[seed % 3]
        view = world(World(8, 6, 5, spare_share=share, room=room), seed)
        bounded = replace(settings, budget=(float("inf"), 1_500.0)[seed // 4 % 2])
        gaps.append(_gap_pct(view, bounded, relaxed=False))
    figures = {
        "gap_mean_pct": Figure(round(float(np.mean(gaps)), 3), "%", len(gaps), "lower"),
        "gap_p90_pct": Figure(round(float(np.quantile(gaps, 0.9)), 3), "%", len(gaps), "lower"),
        "gap_max_pct": Figure(round(float(np.max(gaps)), 3), "%", len(gaps), "lower"),
    }
    if middle_cases:
        progress("placement: gap to the bound, 300 destinations")
        size = World(300, 30, 30, spare_share=0.2, room=40)
        middle = [
            _gap_pct(world(size, seed), settings, relaxed=True) for seed in range(middle_cases)
        ]
        figures["gap_300_x_30_to_bound_pct"] = Figure(
            round(float(np.mean(middle)), 3), "%", len(middle), "lower"
        )
    return figures


def _gap_pct(view: PlacementView, settings: PlacementSettings, relaxed: bool) -> float:
    problem = problem_of(view, START_S, settings)
    most = best_worth(problem, relaxed=relaxed, limit_s=300.0)
    return 100.0 * (most - solve(problem, settings).worth) / most if most > 0 else 0.0


def _steadiness(progress: Progress) -> dict[str, Figure]:
    """Copies opened or given up per cycle, of all, when forecasts waver and nothing else changes."""
    settled = PlacementSettings()
    eager = replace(settled, open_cost=0.0, withdraw_cost=0.0, move_ms=0.0, keep_s=0.0, margin=0.0)
    figures = {}
    for name, settings in (("changed_pct", settled), ("changed_without_costs_pct", eager)):
        progress(f"placement: how steady ({name})")
        base = world(World(500, 40, 40, room=40), 7)
        random = np.random.default_rng(11)
        view, state = base, PlacementState()
        changed = copies = 0
        for cycle in range(CYCLES + 1):
            wavering = np.exp(NOISE * random.standard_normal(len(base.demand.expected)))
            demand = replace(
                base.demand,
                expected=base.demand.expected * wavering,
                reserve=base.demand.reserve * wavering,
            )
            now_s = START_S + CYCLE_S * cycle
            plan, state = plan_standbys(replace(view, demand=demand), state, now_s, settings)
            view = replace(view, standbys=plan.standbys, served=plan.served)
            if cycle:
                changed += len(plan.steps)
                copies += len(plan.standbys)
        figures[name] = Figure(round(100.0 * changed / max(1, copies), 3), "%", CYCLES, "lower")
    return figures
