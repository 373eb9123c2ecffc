"""`umbra bench addresses`, demand: how many grants find a warm address, and how many addresses wait unused for that.

A fortnight of creations and terminations passes through the planners that the controller uses, with their
forecasts, cycle by cycle: an address that is asked for is warm after the warm-up, and goes with the next creation.
The peers get the same fortnight, the same cycle and the same warm-up:

- fixed_warm_target: AWS's way (WARM_IP_TARGET, and MINIMUM_IP_TARGET for the total); the pair that holds the fewest
  addresses among those that reach the share of warm grants asked for, *chosen in hindsight* on this very fortnight.
- fixed_per_subdivision: the same, with a target of its own, in hindsight, for every subdivision.
- reactive: holds as many as were granted in the last window.

Unused are the addresses that are warm or being warmed, over those in use, both averaged over time.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.addressing.foresight import AddressForesight, Expectation
from controller.observe.instances import InstanceEvent, InstanceHistory
from controller.plan.addresses.ranges import Key, plan_ranges
from controller.plan.addresses.settings import RangeSettings
from controller.plan.addresses.state import IPV4, RangeState, RangeView
from ml.forecasting.forecast import Forecast
from ml.series import Floats
from topologies.bench.addresses.instance_trace import DAY_S, RECORDED, Trace, generated, recorded
from topologies.bench.addresses.peers import Asked, asked, fixed_targets, reactive
from topologies.bench.addresses.planners import planner_figures
from topologies.bench.addresses.sharding import Looks, sharding_figures
from topologies.bench.parts import Part
from topologies.bench.progress import Progress
from topologies.bench.result import Figure

SEEDS = (1, 2, 3)
LOOK_S = 600.0  # how often forecasts are made; in service once a minute
FIT_DAYS = (3.0, 7.0)  # when the forecaster of creations is trained
EXPECT_S = 10.0  # how often the expectation is looked at anew
AGAIN_S = 60.0  # what is taken so soon after a release is thrash
PLENTY = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """What became of a trace. Per cycle and subdivision: cold grants and unused addresses; released, and of these
    taken again within a minute; the forecasts of running instances on the way.
    """

    cold: Floats
    unused: Floats
    released: int
    again: int
    looks: Looks


def run(
    progress: Progress,
    *,
    data: Path | None = None,
    seeds: Sequence[int] = SEEDS,
    settings: RangeSettings | None = None,
    days: int | None = None,
    forecasts: bool = True,
) -> Part:
    """Generated fortnights, and the recorded ones of the folder `data`, if it is named.

    days: only so many of each (a quick look). Raises DataMissing when a file is not in the folder.
    """
    settings = settings or RangeSettings()
    traces = [generated(seed, *(() if days is None else (days,))) for seed in seeds]
    if data is not None:
        whole = [recorded(name, data) for name in RECORDED]
        traces += whole if days is None else [one.first(days) for one in whole]
    figures: dict[str, Figure] = {}
    versus: dict[str, dict[str, float | str]] = {}
    rows: dict[str, Any] = {}
    # Nothing in them is a timing, so they may share the machine: a core each.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(traces), os.cpu_count() or 1), mp_context=spawn) as workers:
        jobs = [
            workers.submit(_measured, trace, settings, forecasts, shards=trace is traces[0])
            for trace in traces
        ]
        for trace, job in zip(traces, jobs, strict=True):
            progress(f"{trace.name}: {trace.creations} creations, fixed targets and umbra")
            rows[trace.name], of_shards = job.result()
            figures |= of_shards
    for group in ("generated", *(RECORDED if data is not None else ())):
        mine = [row for name, row in rows.items() if name.startswith(group)]
        if not mine:
            continue
        prefix = "" if group == "generated" else f"{group}."
        for name, unit, better in (
            ("warm_hit_pct", "%", "higher"),
            ("unused_over_used_pct", "%", "lower"),
        ):
            values = [row[name] for row in mine]
            count = sum(row["grants"] for row in mine)
            figures[prefix + name] = Figure(round(float(np.mean(values)), 3), unit, count, better)  # type: ignore[arg-type]
            for peer in mine[0]["peers"]:
                of_peer = [row["peers"][peer].get(name) for row in mine]
                known = [one for one in of_peer if one is not None]
                if known:
                    versus.setdefault(peer, {})[prefix + name] = round(float(np.mean(known)), 3)
    worst = [row for name, row in rows.items() if name.startswith("generated")] or [*rows.values()]
    figures["worst_warm_hit_pct"] = Figure(
        min(row["warm_hit_pct"] for row in worst), "%", len(worst), "higher"
    )
    figures["worst_unused_over_used_pct"] = Figure(
        max(row["unused_over_used_pct"] for row in worst), "%", len(worst), "lower"
    )
    figures["taken_again_pct"] = Figure(
        max(row["taken_again_pct"] for row in worst), "%", len(worst), "lower"
    )
    progress("planners of 1,000 subdivisions")
    figures |= planner_figures(settings)
    return Part(figures, versus, {"demand": rows})


def _measured(
    trace: Trace, settings: RangeSettings, forecasts: bool, *, shards: bool
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """The row of one trace with its peers, and the figures of shards if they are asked for."""
    wanted = asked(trace, settings)
    peers = {**fixed_targets(wanted), "reactive": reactive(wanted)}
    passed = simulate(trace, wanted, settings, forecasts=forecasts)
    row = told(wanted, passed, settings) | {"peers": peers}
    return row, sharding_figures(trace, passed.looks) if shards and passed.looks else {}


def told(wanted: Asked, passed: Passed, settings: RangeSettings) -> dict[str, Any]:
    """The figures of one trace; `subdivisions`: warm hits and unused over used of each, percent."""
    grants = wanted.grants.sum()
    days = np.arange(len(wanted.grants)) * settings.cycle_s // DAY_S
    daily = [
        _hit_pct(wanted.grants[days == day], passed.cold[days == day]) for day in np.unique(days)
    ]
    return {
        "grants": int(grants),
        "warm_hit_pct": _hit_pct(wanted.grants, passed.cold),
        "unused_over_used_pct": round(100.0 * float(passed.unused.sum() / wanted.used.sum()), 3),
        "taken_again_pct": round(100.0 * passed.again / max(1, passed.released), 3),
        "released": passed.released,
        "used": round(float(wanted.used.sum(axis=1).mean()), 1),
        "warm_hit_pct_by_day": daily,
        "subdivisions": {
            name: {
                "warm_hit_pct": _hit_pct(wanted.grants[:, row], passed.cold[:, row]),
                "unused_over_used_pct": round(
                    100.0
                    * float(passed.unused[:, row].sum())
                    / max(1, int(wanted.used[:, row].sum())),
                    3,
                ),
            }
            for row, name in enumerate(wanted.names)
        },
    }


def simulate(
    trace: Trace, wanted: Asked, settings: RangeSettings, *, forecasts: bool = True
) -> Passed:
    """The planners, cycle by cycle. forecasts: False plans by the watched rates alone."""
    cycles, number = wanted.grants.shape
    ahead = wanted.warm_up_cycles
    foresight = AddressForesight(calendar=trace.calendar)
    history = InstanceHistory(foresight.settings.step_s)
    events = _events(trace)
    cursor = 0
    expected: dict[str, Expectation] = {}
    look_s = trace.begin_s + LOOK_S
    fits = [trace.begin_s + day * DAY_S for day in FIT_DAYS]
    states: Mapping[Key, RangeState] = {}
    stock = [0] * number
    warming = [[0] * number for _ in range(ahead)]  # a ring: what gets warm, by cycle
    pending = [0] * number  # its sum
    grants, cold = [0] * number, [0] * number
    cold_all, unused = np.zeros((cycles, number)), np.zeros((cycles, number))
    coming, used = wanted.grants.tolist(), wanted.used.tolist()
    lately: list[tuple[float, list[int]]] = []
    looks: list[tuple[float, Mapping[str, Forecast]]] = []
    released = again = 0
    for cycle in range(cycles):
        now_s = trace.begin_s + cycle * settings.cycle_s
        if forecasts and now_s >= look_s:
            while cursor < len(events) and events[cursor].time_s <= now_s:
                history.add(events[cursor])
                cursor += 1
            history.advance(now_s)
            if fits and now_s >= fits[0]:
                fits.pop(0)
                foresight.creations.fit(history.creations())
            looks.append((now_s, foresight.look(history, now_s).instances))
            look_s += LOOK_S
        if forecasts and (cycle * settings.cycle_s) % EXPECT_S < settings.cycle_s:
            reach_s = settings.window_s + settings.early_s + EXPECT_S
            expected = foresight.expected(wanted.names, now_s, reach_s)
        ready = warming[cycle % ahead]
        views = []
        for row, name in enumerate(wanted.names):
            stock[row] += ready[row]
            pending[row] -= ready[row]
            held = stock[row] + pending[row]
            hope = expected.get(name)
            views.append(
                RangeView(
                    name,
                    held,
                    used[cycle][row],
                    grants[row],
                    cold[row],
                    PLENTY,
                    IPV4,
                    None,
                    None if hope is None else hope.per_s,
                    "" if hope is None else hope.why,
                )
            )
        plans, states = plan_ranges(views, states, now_s, settings)
        while lately and now_s - lately[0][0] > AGAIN_S:
            lately.pop(0)
        dropped, waiting = [0] * number, [0.0] * number
        for row, plan in enumerate(plans):
            ready[row] = plan.hold
            pending[row] += plan.hold
            if plan.hold and lately:
                again += _taken_again(lately, row, plan.hold)
            dropped[row] = min(plan.release, stock[row])
            stock[row] -= dropped[row]
            have = views[row].held + plan.hold - dropped[row]
            warm = min(stock[row], coming[cycle][row])
            stock[row] -= warm
            grants[row] = coming[cycle][row]
            cold[row] = grants[row] - warm
            waiting[row] = have - warm / 2.0  # they go in the course of the cycle
        cold_all[cycle], unused[cycle] = cold, waiting
        if any(dropped):
            released += sum(dropped)
            lately.append((now_s, dropped))
    return Passed(cold_all, unused, released, again, looks)


def _taken_again(lately: list[tuple[float, list[int]]], row: int, count: int) -> int:
    """How many of `count` were released lately; each counts once."""
    found = 0
    for _, dropped in lately:
        take = min(dropped[row], count - found)
        dropped[row] -= take
        found += take
    return found


def _events(trace: Trace) -> list[InstanceEvent]:
    found = []
    for one in trace.subjects:
        for created_s, lasting_s in zip(
            one.created_s.tolist(), one.lasting_s.tolist(), strict=True
        ):
            found.append(InstanceEvent(created_s, one.name, "", True))
            ended_s = created_s + lasting_s
            if ended_s < trace.end_s:
                found.append(InstanceEvent(ended_s, one.name, "", False, lived_s=lasting_s))
    found.sort(key=lambda event: event.time_s)
    return found


def _hit_pct(grants: npt.NDArray[np.int64], cold: Floats) -> float:
    total = float(grants.sum())
    return round(100.0 * (1.0 - float(cold.sum()) / total), 3) if total else 100.0
