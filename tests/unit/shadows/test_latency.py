"""How far apart switches are, as probes tell."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from controller.act.probes import ProbeAnswer
from controller.model import Fabric, Stage
from controller.shadowing.latency import LEAST_SAMPLES, PROBE_KIND, SAMPLES, STALE_S, Latencies
from harness.probing import ProbedFabric, listen
from harness.small import small_fabric


def three_routers() -> Fabric:
    fabric = small_fabric()
    r2 = fabric.switch("r2")
    third = replace(r2, name="r3", label=303)
    links = tuple(
        replace(link, a=replace(link.a, switch="r3"), b=replace(link.b, number=9))
        for link in fabric.links
        if link.a.switch == "r2"
    )
    return replace(fabric, switches=(*fabric.switches, third), links=(*fabric.links, *links))


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def probed(world: ProbedFabric, turns: int, clock: Clock | None = None) -> Latencies:
    found = Latencies(world.fabric, world, clock=clock or Clock())
    listen(world, found.answered)

    async def main() -> None:
        for _ in range(turns):
            await found.turn()
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.03)

    asyncio.run(main())
    return found


def test_the_round_trip_is_what_the_data_plane_stamped() -> None:
    world = ProbedFabric(three_routers(), round_trip_ms={("r1", "r2"): 4.0, ("r1", "r3"): 9.0})
    found = probed(world, 2 * LEAST_SAMPLES)
    trips = found.trips(Stage.ROUTER)
    assert trips["r1"]["r2"].measured
    assert round(trips["r1"]["r2"].ms) == 4
    assert round(trips["r1"]["r3"].ms) == 9
    assert round(trips["r2"]["r1"].ms) == 1


def test_one_late_answer_among_many_changes_nothing() -> None:
    found = probed(ProbedFabric(three_routers()), 2 * SAMPLES)
    late = ProbeAnswer(PROBE_KIND << 24, 0, 0, 0, 900_000)
    assert found.answered("r1", late)
    trip = found.measured("r1", "r2")
    assert trip is not None
    assert round(trip.ms) == 1


def test_too_few_answers_prove_nothing_and_old_ones_no_more() -> None:
    clock = Clock()
    assert probed(ProbedFabric(three_routers()), 2).measured("r1", "r2") is None
    found = probed(ProbedFabric(three_routers()), 2 * LEAST_SAMPLES, clock)
    assert found.measured("r1", "r2") is not None
    clock.now_s = STALE_S + 1.0
    assert found.measured("r1", "r2") is None
    assert not found.trips(Stage.ROUTER)["r1"]["r2"].measured


def test_a_clock_that_wraps_between_the_stamps_does_not_matter() -> None:
    found = probed(ProbedFabric(three_routers()), 0)
    for _ in range(LEAST_SAMPLES):
        found.answered("r1", ProbeAnswer(PROBE_KIND << 24, 0, 0, (1 << 48) - 500, 1500))
    trip = found.measured("r1", "r2")
    assert trip is not None
    assert trip.ms == 2.0


def test_answers_to_others_probes_are_left_to_them() -> None:
    found = probed(ProbedFabric(three_routers()), 0)
    assert not found.answered("r1", ProbeAnswer(0x40000001, 0, 0, 0, 1000))
    assert not found.answered("r2", ProbeAnswer(PROBE_KIND << 24, 0, 0, 0, 1000)), "it was r1's"
    assert not found.answered("r1", ProbeAnswer(PROBE_KIND << 24 | 0xFFFFFF, 0, 0, 0, 1000))


def test_a_switch_without_a_connection_keeps_nobody_waiting() -> None:
    world = ProbedFabric(three_routers(), down={"r1"})
    found = probed(world, 2 * LEAST_SAMPLES)
    assert found.measured("r1", "r2") is None
    assert found.measured("r2", "r1") is not None
