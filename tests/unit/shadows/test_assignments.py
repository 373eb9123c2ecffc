"""Measurements, choice and explanation together, over a fabric that answers probes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from controller.commands import shadow_tables
from controller.model import NodeCounters, ServiceCounters
from controller.plan.routes_state import RouterState, RouterView, RoutesState
from controller.serve.shadow_schemas import AssignmentState, WhyState
from controller.shadowing.assignments import Assignments
from harness.probing import ProbedFabric
from harness.simworld import configuration

ROUTERS = ("r1", "r2", "r3", "r4")
NOW_S = 1000.0


class World:
    """Four routers, r4 in another rack; r1 hears r3 sooner than r2."""

    def __init__(self) -> None:
        config = configuration(Path(), routers=4, domains={4: "rack2"})
        self.fabric = ProbedFabric(config.fabric())
        self.fabric.round_trip_ms |= {("r1", "r2"): 9.0, ("r1", "r3"): 1.0, ("r1", "r4"): 3.0}
        self.own = Assignments(config, self.fabric.fabric, self.fabric, clock=lambda: NOW_S)
        self.own.listen()
        self.live = dict.fromkeys(ROUTERS, 50.0)
        self.routes = RoutesState()

    def views(self) -> tuple[RouterView, ...]:
        return tuple(
            RouterView(name, 301 + i, 400, 100, live=self.live[name], demand=self.live[name])
            for i, name in enumerate(ROUTERS)
        )

    async def measure(self) -> None:
        for _ in range(12):
            await self.own.latencies.turn()
            await asyncio.sleep(0.012)
        await asyncio.sleep(0.05)

    def review(self, times: int = 1, away: frozenset[str] = frozenset()) -> bool:
        changed = [self.own.review(self.views(), self.routes, away) for _ in range(times)]
        return any(changed)


def shown(renderable: Any) -> str:
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_shadows_follow_what_was_measured_once_patience_is_over() -> None:
    world = World()
    assert world.own.shadows["r1"] == ("r2", "r4"), "by configuration all are equally far"
    asyncio.run(world.measure())
    assert not world.review(), "not at once"
    assert world.review(80)
    assert world.own.shadows["r1"] == ("r3", "r4")
    assert world.own.candidates["r1"][:2] == ("r3", "r4")


def test_a_dead_or_drained_router_is_nobodys_shadow_from_the_next_cycle_on() -> None:
    world = World()
    assert world.review(1, away=frozenset({"r2"}))
    assert all("r2" not in own for own in world.own.shadows.values())


def test_what_is_remembered_is_gone_on_with() -> None:
    world = World()
    asyncio.run(world.measure())
    world.review(80)
    fresh = World()
    fresh.own.recall(world.own.memory())
    assert fresh.own.shadows == world.own.shadows
    assert not fresh.review(20)
    with pytest.raises(ValueError, match="no state"):
        fresh.own.recall('{"cycle": 1}')


def test_everything_is_explained_in_the_documented_shape_and_to_a_person() -> None:
    world = World()

    async def play() -> None:
        await world.measure()
        await world.own.tester.test("e1", "r4", 300.0)

    asyncio.run(play())
    world.review(80)
    rows = world.own.table()
    TypeAdapter(list[AssignmentState]).validate_python(rows)
    found = world.own.why("r1")
    WhyState.model_validate(found)
    assert set(found) == set(WhyState.model_fields)
    text = shown(shadow_tables.why(found, NOW_S))
    assert "its only one in another failure domain" in text
    assert "r2 → r3" in text
    assert "at its target" in text
    assert "no bound" in text
    listed = shown(shadow_tables.assignments(rows))
    assert "rack2" in listed
    assert "*" not in listed.replace("* not measured", ""), "all were measured"
    with pytest.raises(KeyError):
        world.own.why("r9")


def test_what_is_not_measured_is_marked() -> None:
    text = shown(shadow_tables.assignments(World().own.table()))
    assert "* not measured: after the configured delays" in text


def traffic(time_s: float, packets: int) -> NodeCounters:
    counted = ServiceCounters(opened=50, packets=packets, bytes=packets * 300)
    return NodeCounters("r1", time_s, {1: counted})


def test_only_a_shadow_that_is_due_and_idle_enough_is_tested_and_for_what_may_come() -> None:
    world = World()
    for index in range(5):
        world.own.traffic.update([traffic(float(index), 500 * index)])
    world.review()
    assert world.own.measured("r1") == (10.0, None)
    subjects = {one.shadow: one for one in world.own._subjects()}
    # 50 connections of 10 packets/s each; half of them may come to either shadow, by a crash.
    assert subjects["r2"].target_pps == pytest.approx(1.5 * 250)
    assert not subjects["r2"].in_use
    world.routes = replace(world.routes, routers={"r1": RouterState((("r2", 10),))})
    world.live["r4"] = 290.0
    world.review()
    subjects = {one.shadow: one for one in world.own._subjects()}
    assert subjects["r2"].in_use
    assert subjects["r4"].load > 0.8
