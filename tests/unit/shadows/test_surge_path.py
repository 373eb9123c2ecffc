"""From the edges' counters to a plan, within a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from controller.shadowing.surge_path import MOST_MISSED, SurgePath

BASE = {1: {"r1": 50.0, "r2": 50.0}, 2: {"r3": 100.0}}
PERIOD_S = 0.2


class World:
    """Two edges that count Poisson arrivals of two services."""

    def __init__(self, rate: float = 100.0) -> None:
        self.rates = {1: rate, 2: rate}
        self.now_s = 0.0
        self.missing: set[str] = set()
        self.told: list[Mapping[str, float]] = []
        self.edges: tuple[str, ...] = ("e1", "e2")
        self._totals = {edge: dict.fromkeys(self.rates, 0) for edge in ("e1", "e2")}
        self._random = np.random.default_rng(1)
        self.path = SurgePath(BASE, self.read, self.tell, clock=lambda: self.now_s)

    async def read(self) -> Mapping[str, Mapping[int, int]]:
        there = [edge for edge in self.edges if edge not in self.missing]
        return {edge: dict(self._totals[edge]) for edge in there}

    async def tell(self, severities: Mapping[str, float]) -> bool:
        self.told.append(dict(severities))
        return True

    def run(self, seconds: float) -> None:
        async def polls() -> None:
            for _ in range(round(seconds / PERIOD_S)):
                self.now_s += PERIOD_S
                for own in self._totals.values():
                    for service, rate in self.rates.items():
                        own[service] += int(self._random.poisson(rate / 2 * PERIOD_S))
                await self.path.poll()

        asyncio.run(polls())

    def restart(self, edge: str) -> None:
        self._totals[edge] = dict.fromkeys(self.rates, 0)


def test_a_surge_of_a_service_is_planned_for_on_its_routers_within_two_polls() -> None:
    world = World()
    world.run(60.0)
    assert world.told == []
    world.rates[1] = 500.0
    world.run(2 * PERIOD_S)
    assert world.told
    assert set(world.told[0]) <= {"r1", "r2"}
    assert world.path.severity("r1") >= 1.0
    assert world.path.severity("r3") == 0.0
    assert world.path.reactions[0].to_written_ms >= 0.0


def test_it_is_told_again_only_when_it_gets_worse() -> None:
    world = World()
    world.run(60.0)
    world.rates[2] = 300.0
    world.run(4.0)
    severities = [one["r3"] for one in world.told]
    assert severities == sorted(severities)
    assert len(severities) <= 9, "each half a step of five worse"
    before = len(world.told)
    world.run(4.0)
    assert len(world.told) <= before + 1


def test_an_edge_that_misses_a_poll_makes_no_surge() -> None:
    world = World()
    world.run(60.0)
    for _ in range(20):
        world.missing = {"e2"}
        world.run(PERIOD_S * 2)
        world.missing = set()
        world.run(PERIOD_S * 3)
    assert world.told == []


def test_a_lost_edge_a_returning_one_and_one_that_starts_anew_make_no_surge() -> None:
    world = World()
    world.run(60.0)
    world.missing = {"e2"}
    world.run(PERIOD_S * (MOST_MISSED + 300))
    world.missing = set()
    world.run(60.0)
    world.restart("e1")
    world.run(60.0)
    assert world.told == []
    world.rates[1] = 600.0
    world.run(2 * PERIOD_S)
    assert world.told, "and a real one is still seen"


def test_without_any_answer_nothing_happens() -> None:
    world = World()
    world.edges = ()
    world.run(5.0)
    assert world.told == []
    assert world.path.polls == 25


def test_a_clock_that_is_set_back_begins_anew_and_makes_no_surge() -> None:
    world = World()
    world.run(60.0)
    world.now_s -= 3600.0
    world.run(60.0)
    assert world.told == []
    world.rates[1] = 600.0
    world.run(2 * PERIOD_S)
    assert world.told
