"""What clients of a service experience while umbra has copies of it where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.destinations.errors import UnknownCopy
from controller.graph.graph import LinkKind
from controller.graph.sqlite import SqliteGraph
from controller.observe.access import AccessStep
from controller.observe.store import Store
from controller.plan.routes_state import RoutesState
from harness.destinations import (
    DESTINATIONS_YAML,
    OSLO,
    R1,
    R2,
    R3,
    ROME,
    SITES_YAML,
    WEB,
    DestinationWorld,
)

Story = Callable[[DestinationWorld], Coroutine[Any, Any, None]]


async def told(directory: Path, story: Story, destinations: str = DESTINATIONS_YAML) -> None:
    world = DestinationWorld(directory, destinations)
    await world.start()
    try:
        await world.turns(6, oslo=10, rome=40)
        assert world.troubles.open == {}
        await story(world)
    finally:
        await world.stop()


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    """Run a story in a world in which rome has asked for web long enough to have a copy."""
    return lambda story: asyncio.run(told(tmp_path, story))


Tell = Callable[[Story], None]


def acts(world: DestinationWorld) -> list[str]:
    return [step["act"] for step in world.recorder.steps]


def test_clients_get_a_copy_where_they_are_and_others_stay(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        assert world.served() == {"rome": "east"}
        assert set(world.come(ROME, 40)) == {R2, R3}
        assert set(world.come(OSLO, 40)) == {R1}
        state = world.manager.state()
        [copy] = state["copies"]
        assert (copy["service"], copy["site"], copy["state"]) == ("web", "east", "ready")
        assert state["redirects"]["rows"] == 1
        assert acts(world) == ["open", "redirect"]
        assert "40.0 ms nearer" in world.recorder.steps[0]["reason"]

    tell(story)


def test_the_slot_set_of_a_copy_is_there_before_the_row_that_leads_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        seen = []
        await world.start()
        world.manager.on_written.append(
            lambda _: seen.append(
                (len(world.edges.plans["e2"].slot_sets), len(world.edges.plans["e2"].redirects))
            )
        )
        await world.turns(6, rome=40)
        await world.stop()
        assert [one for one in dict.fromkeys(seen) if one != (2, 0)] == [(3, 0), (3, 1)]

    asyncio.run(story())


def test_a_failed_copy_gets_no_connection_and_the_primary_has_them_at_once(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.loop.away |= {"r2", "r3"}
        await world.manager.watch()  # no turn between
        assert set(world.come(ROME, 40)) == {R1}
        assert acts(world)[-1] == "fail-over"
        await world.turns(2, rome=40)
        assert world.manager.state()["copies"] == []

    tell(story)


def test_half_a_copy_serves_on_with_the_router_that_is_left(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.loop.away.add("r2")
        await world.manager.watch()
        await world.turns(1, rome=40)
        assert set(world.come(ROME, 40)) == {R3}
        assert "fail-over" not in acts(world)

    tell(story)


def test_a_copy_that_is_well_again_is_used_only_after_it_has_been_so_for_a_while(
    tell: Tell,
) -> None:
    async def story(world: DestinationWorld) -> None:
        world.loop.away |= {"r2", "r3"}
        await world.manager.watch()
        await world.turns(2, rome=40)
        world.loop.away.clear()
        await world.manager.watch()
        assert R1 in await world.turns(5, rome=40)
        await world.turns(3, rome=40)
        assert set(world.come(ROME, 40)) == {R2, R3}
        assert acts(world)[-1] == "fail-back"

    tell(story)


def test_who_watches_over_backends_can_say_that_a_copy_fails(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.manager.mark("web", "east", True)
        await world.manager.watch()
        assert set(world.come(ROME, 40)) == {R1}
        world.manager.mark("web", "east", False)
        await world.manager.watch()
        await world.turns(8, rome=40)
        assert set(world.come(ROME, 40)) == {R2, R3}
        with pytest.raises(
            UnknownCopy, match="no copy of dns can be at east; there may be web at east"
        ):
            world.manager.mark("dns", "east", True)

    tell(story)


def test_where_nobody_asks_any_more_the_copy_goes_when_its_last_connection_has(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.loop.count("r2", opened=240)
        world.loop.count("r3", opened=0)
        await world.turns(16, oslo=10)
        assert acts(world)[-2:] == ["withdraw", "return"]
        assert world.edges.plans["e2"].redirects == ()
        [copy] = world.manager.state()["copies"]
        assert copy["state"] == "draining"
        world.loop.count("r2", opened=240, closed=240)
        await world.turns(2, oslo=10)
        assert world.manager.state()["copies"] == []
        assert len(world.edges.plans["e2"].slot_sets) == 2

    tell(story)


def test_a_restart_changes_no_row_and_remembers_who_asked(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        held = world.edges.plans["e2"]
        await world.stop()
        world.journal.clear()
        manager = await world.start()
        assert world.journal == []
        assert world.edges.plans["e2"] == held
        assert set(world.come(ROME, 40)) == {R2, R3}
        await world.turns(3, rome=40)
        assert world.served() == {"rome": "east"}
        demand = {one["location"]: one for one in manager.state()["demand"]}
        assert demand["rome"]["expected_cps"] > 30
        assert acts(world) == []

    tell(story)


def test_what_an_earlier_run_remembered_and_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        before = Store(tmp_path / "umbra.db", world.troubles)
        before.set_meta("destinations", "{")
        before.close()
        await world.start()
        assert world.troubles.open == {}
        await world.turns(1)
        await world.stop()
        await world.start()
        assert world.troubles.counts == {"recall destinations": 1}
        await world.stop()

    asyncio.run(story())


def test_frozen_redirects_stay_until_a_copy_fails(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.routes = RoutesState(frozen=True)
        await world.turns(16, oslo=10)
        assert set(world.come(ROME, 40)) == {R2, R3}
        world.loop.away |= {"r2", "r3"}
        await world.manager.watch()
        assert set(world.come(ROME, 40)) == {R1}

    tell(story)


def test_a_redirect_that_makes_clients_wait_longer_is_taken_back(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        for router, ms in (("r1", 40.0), ("r2", 90.0), ("r3", 90.0)):
            for _ in range(9):
                world.manager.answered("e2", router, ms)
        await world.turns(6, rome=40)
        assert set(world.come(ROME, 40)) == {R1}
        told = [step["reason"] for step in world.recorder.steps if step["act"] == "return"]
        assert "tried again in" in told[0] or "nothing worth a copy" in told[0]

    tell(story)


def test_a_copy_that_refuses_sheds_its_clients(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        for _ in range(9):
            world.manager.answered("e2", "r1", 40.0)
            world.manager.answered("e2", "r2", 1.0)
            world.manager.answered("e2", "r3", 1.0)
        for turn in range(3):
            world.loop.count("r2", opened=100, refused=30 * turn)
            world.loop.count("r3", opened=100)
            await world.turns(1, rome=40)
        assert set(world.come(ROME, 40)) == {R1}
        told = [step["reason"] for step in world.recorder.steps if step["act"] == "return"]
        assert "the copy refuses connections" in told[0]

    tell(story)


def test_an_edge_that_takes_no_rows_is_named_and_gets_them_later(tmp_path: Path) -> None:
    async def story() -> None:
        world = DestinationWorld(tmp_path)
        await world.start()
        world.edges.unwilling.add("e2")
        await world.turns(5, rome=40)
        assert "e2" in world.troubles.open["redirect rows"]
        assert [one["state"] for one in world.manager.state()["copies"]] == ["preparing"]
        assert set(world.come(ROME, 40)) == {R1}
        world.edges.unwilling.clear()
        await world.turns(2, rome=40)
        assert world.troubles.open == {}
        assert set(world.come(ROME, 40)) == {R2, R3}
        await world.stop()

    asyncio.run(story())


def test_demand_is_stored_by_service_and_location(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        await world.turns(4, oslo=10, rome=40)
        stored = await world.recorder.arrivals(0.0)
        newest = max(time_s for time_s, *_ in stored)
        assert [row[1:] for row in stored if row[0] == newest] == [
            ("web", "oslo", 10),
            ("web", "rome", 40),
        ]

    tell(story)


def test_what_is_redirected_is_no_demand_on_the_primary(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        await world.turns(3, oslo=10, rome=40)
        offered = world.loop.offered[WEB]
        assert offered["r1"] == pytest.approx(20.0)
        assert offered["r2"] == offered["r3"] == pytest.approx(40.0)

    tell(story)


def test_the_graph_names_the_copy_and_who_wants_it(tell: Tell) -> None:
    copies = []

    async def story(world: DestinationWorld) -> None:
        await world.turns(3, oslo=10, rome=40)
        graph = world.manager.graph()
        copies.append(world.directory / "umbra-graph.db")
        standby = [key for key in graph.links if key.kind is LinkKind.STANDBY]
        assert {key.target.name for key in standby} == {"r2", "r3"}

    tell(story)
    with SqliteGraph(copies[0]) as store:
        found = store.copies("web", "rome")
    assert [(one.resource, one.site, one.state) for one in found] == [
        ("r2", "east", "ready"),
        ("r3", "east", "ready"),
    ]


def test_with_a_learnt_past_a_copy_is_there_before_anybody_has_asked(tmp_path: Path) -> None:
    yaml = DESTINATIONS_YAML.replace("predictive: false", "predictive: true")
    yaml = yaml.replace("keep_s: 600", "keep_s: 1200")

    async def story() -> None:
        world = DestinationWorld(tmp_path, yaml)
        await world.start()
        now_s = world.clock.wall_s()
        chance = np.random.default_rng(1)
        rome, oslo = chance.poisson(40.0, 1199), chance.poisson(10.0, 1199)
        past = [
            AccessStep(now_s - 1200 + second, {(WEB, "rome"): float(a), (WEB, "oslo"): float(b)})
            for second, a, b in zip(range(1, 1200), rome, oslo, strict=True)
        ]
        said = await world.manager.learn(past)
        assert "fewer than" not in said, said
        await world.turns(1)
        assert world.served() == {"rome": "east"}
        assert set(world.come(ROME, 40)) == {R2, R3}
        assert set(world.come(OSLO, 40)) == {R1}
        assert world.troubles.open == {}
        await world.stop()

    asyncio.run(story())


def test_a_restart_keeps_copies_until_it_is_known_what_routers_have_free(tmp_path: Path) -> None:
    async def story(world: DestinationWorld) -> None:
        await world.stop()
        known = dict(world.loop.demands)
        world.loop.demands.clear()  # no cycle has counted yet
        await world.start()
        assert set((await world.turns(3, oslo=10, rome=40)).keys()) == {R1, R2, R3}
        assert set(world.come(ROME, 40)) == {R2, R3}
        world.loop.demands.update(known)
        await world.turns(3, oslo=10, rome=40)
        assert acts(world) == []

    asyncio.run(told(tmp_path, story, DESTINATIONS_YAML.replace("spare_cps: 100, ", "")))


def test_a_copy_on_a_router_that_is_configured_no_more_does_not_keep_the_controller_from_starting(
    tell: Tell,
) -> None:
    async def story(world: DestinationWorld) -> None:
        await world.stop()
        world.configure(SITES_YAML.replace("r3", "r4"))
        await world.start()
        assert set(world.come(ROME, 40)) == {R2, R3}
        await world.turns(3, rome=40)
        assert world.troubles.open == {}
        [copy] = world.manager.state()["copies"]
        assert copy["routers"] == ["r2", "r4"]

    tell(story)


def test_a_copy_that_fails_for_long_must_be_well_for_a_while_from_then_on(tell: Tell) -> None:
    async def story(world: DestinationWorld) -> None:
        world.loop.away |= {"r2", "r3"}
        await world.manager.watch()
        await world.turns(20, rome=40)  # far longer than hold_s
        world.loop.away.clear()
        await world.manager.watch()
        assert set(await world.turns(4, rome=40)) == {R1}
        await world.turns(4, rome=40)
        assert set(world.come(ROME, 40)) == {R2, R3}

    tell(story)
