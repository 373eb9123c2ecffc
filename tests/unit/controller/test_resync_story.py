"""Replicas over a simulated fabric: lost ones are repaired, new shadows get theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.act.errors import NodeDown
from controller.act.packets import Scan
from controller.events import ReplicasSynced
from controller.serve.schemas import State
from harness.simworld import World
from harness.stories import before_walks, bindings, number, opened, play, resynced, synced, until


def test_lost_records_are_seen_and_repaired(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(1)
        world.driver.replicas.loss = 0.3
        opened(world, "r1", range(200))
        assert world.driver.replicas.lost > 0
        world.driver.replicas.loss = 0.0
        resync = world.controller.resilience.resync
        await world.turns(5)
        await until(lambda: resync.pairs.get(("r1", "r2")) is not None)
        await until(lambda: all(pair.status == "synced" for pair in resync.pairs.values()))
        for holder in ("r2", "r3"):
            assert set(world.driver.replicas.table(holder)) == set(range(200))
        State.model_validate(world.controller.state())

    world = play(tmp_path, story)
    assert any(isinstance(event, ReplicasSynced) for event in world.events)


def test_a_new_shadow_gets_all_connections_and_the_old_one_none_any_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.set_shadows({"r1": ["r3"]})
        resilience = world.controller.resilience
        await until(lambda: "r2" not in resilience.desired.shadows["r1"])
        await asyncio.sleep(0.05)
        opened(world, "r1", range(30))
        assert world.driver.replicas.table("r2") == {}
        world.controller.set_shadows({"r1": ["r3", "r2"]})
        await until(lambda: set(world.driver.replicas.table("r2")) == set(range(30)))
        pair = ("r1", "r2")
        await until(lambda: resilience.resync.pairs[pair].status == "synced")
        assert "new shadow" in resilience.resync.pairs[pair].reason

    play(tmp_path, story)


def test_a_new_shadow_is_programmed_although_a_switch_is_slow_at_first(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.set_shadows({"r1": ["r2"]})
        await until(lambda: world.driver.shadows("r1") == ("r2",))
        opened(world, "r1", range(30))
        world.driver.unwilling.add("r1")
        world.controller.set_shadows({"r1": ["r2", "r3"]})
        await until(lambda: "r1" in world.driver.refused)
        assert world.driver.shadows("r1") == ("r2",)
        world.driver.unwilling.clear()
        await world.turns(1)
        await until(lambda: world.driver.shadows("r1") == ("r2", "r3"))
        opened(world, "r1", range(30, 40))
        await until(lambda: synced(world, "r1", "r3") > 0)
        assert set(world.driver.replicas.table("r3")) == set(range(40))

    play(tmp_path, story)


def test_a_shadow_that_ceases_to_be_one_during_its_resync_does_no_harm(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        resync, troubles = world.controller.resilience.resync, world.controller.troubles
        ceased: list[str] = []

        async def ceases(node: str, scan: Scan) -> None:
            if node == "r1" and not ceased:
                ceased.append("r3")
                world.controller.set_shadows({"r1": ["r2"]})
                await until(lambda: ("r1", "r3") not in resync.pairs)
                raise NodeDown("r3 is not connected")

        before_walks(world, ceases)
        resync.want("r1", "r3", "1 gap in the sequence of records")
        await until(lambda: bool(ceased))
        await resynced(world, "r2", "r3")
        assert troubles.open == {}
        assert troubles.counts == {}
        await world.turns(1)
        assert ("r1", "r3") not in resync.pairs

    play(tmp_path, story)


def test_a_router_that_dies_during_a_resync_costs_its_shadow_no_replica(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        replicas, resync = world.driver.replicas, world.controller.resilience.resync
        opened(world, "r1", range(30))

        async def dies(node: str, scan: Scan) -> None:
            if node == "r1":  # its program hangs and its table is lost, its connection stands
                world.driver.dead.add("r1")
                await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
                replicas.entries["r1"] = {}

        before_walks(world, dies)
        resync.want("r1", "r2", "1 gap in the sequence of records")
        await until(lambda: resync.pairs.get(("r1", "r2")) is not None)
        await until(lambda: resync.pairs["r1", "r2"].status in ("failed", "synced"))
        assert replicas.replicas("r2", number(world, "r2", "r1")) == set(range(30))

    play(tmp_path, story)


def test_repairs_wait_until_the_connections_of_a_dead_router_have_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm_s = 2.0
    monkeypatch.setattr("controller.resilience.resync.CALM_S", calm_s)

    async def story(world: World) -> None:
        loop, walked_s = asyncio.get_running_loop(), []
        resync = world.controller.resilience.resync

        async def note(node: str, scan: Scan) -> None:
            walked_s.append(loop.time())

        await resynced(world, "r2", "r3")
        resync.want("r2", "r3", "1 gap in the sequence of records")  # due in a second
        before_walks(world, note)
        died_s = loop.time()
        world.driver.lose("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        assert walked_s == []
        await until(lambda: synced(world, "r2", "r3") == 2)
        assert walked_s[0] >= died_s + calm_s

    play(tmp_path, story)
