"""Routers and edges that return, over a simulated fabric: they get back what they held."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from controller.act.packets import Scan, ScanMode
from harness.simworld import World
from harness.stories import (
    before_walks,
    bindings,
    health,
    home,
    kinds,
    number,
    opened,
    play,
    synced,
    until,
)


def test_a_returned_router_is_given_its_state_before_its_traffic(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        replicas = world.driver.replicas
        opened(world, "r1", range(100))
        opened(world, "r2", range(200, 230))
        world.driver.lose("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        for key in range(40):  # their packets came to r2, the others have been silent
            replicas.table("r2")[key] = (0, 0)
            replicas.table("r3")[key] = (number(world, "r3", "r2"), 0)
        seen: list[set[int]] = []
        original = world.driver.write_targets

        async def watched(rows: Any) -> Any:
            seen.append(set(replicas.table("r1")))
            return await original(rows)

        world.driver.write_targets = watched  # type: ignore[method-assign]
        await world.driver.recover("r1", empty=True)
        await until(lambda: "failback" in kinds(world, "r1"))
        assert bindings(world) == home()
        assert all(keys >= set(range(100)) for keys in seen)
        assert replicas.owned("r1") == set(range(40, 100))
        known = replicas.replicas("r1", number(world, "r1", "r2"))
        assert known == set(range(40)) | set(range(200, 230))
        await world.turns(2)
        assert world.share(label=301) == 100
        assert world.router()["move"] is None

    play(tmp_path, story)


def test_a_router_that_was_stopped_for_a_while_is_brought_up_to_date(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.dead.add("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        opened(world, "r2", range(5))
        world.driver.replicas.entries["r1"] = {}
        world.driver.dead.discard("r1")
        await until(lambda: bindings(world) == home())
        assert set(world.driver.replicas.table("r1")) == set(range(5))

    play(tmp_path, story)


def test_a_router_that_hung_does_not_own_what_its_shadows_took_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        replicas = world.driver.replicas
        opened(world, "r1", range(30))
        world.driver.dead.add("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        for key in range(10):  # r2 carries them
            replicas.table("r2")[key] = (0, 0)
            replicas.table("r3")[key] = (number(world, "r3", "r2"), 0)
        for key in range(10, 20):  # they were closed, and are forgotten
            del replicas.table("r2")[key], replicas.table("r3")[key]
        world.driver.dead.discard("r1")
        await until(lambda: bindings(world) == home())
        assert replicas.owned("r1") == set(range(20, 30))

    play(tmp_path, story)


def test_a_router_that_returns_empty_while_a_repair_is_due_gets_its_connections_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.resilience.resync.AGAIN_S", 0.05)
    monkeypatch.setattr("controller.resilience.resync.CALM_S", 0.0)

    async def story(world: World) -> None:
        replicas, resync = world.driver.replicas, world.controller.resilience.resync
        opened(world, "r1", range(100))

        deaths: list[str] = []

        async def dies(node: str, scan: Scan) -> None:
            if node == "r1" and not deaths:
                deaths.append(node)
                world.driver.lose(node)

        before_walks(world, dies)
        resync.want("r1", "r2", "1 gap in the sequence of records")
        await until(lambda: bindings(world)["r1"] == ["r2"])
        await until(lambda: resync.pairs["r1", "r2"].status == "failed")
        await world.driver.recover("r1", empty=True)
        await until(lambda: health(world) == "returning")
        before = synced(world, "r1", "r2")
        await until(lambda: "failback" in kinds(world, "r1"))
        assert replicas.owned("r1") == set(range(100))
        await until(lambda: synced(world, "r1", "r2") > before)
        assert replicas.replicas("r2", number(world, "r2", "r1")) == set(range(100))

    more = "failover: {return_after_s: 1.5, repair_period_s: 1}\nshadows: {per_router: 1}"
    play(tmp_path, story, more)


def test_an_edge_that_comes_back_empty_gets_its_connections_from_its_peer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert world.controller.resilience.desired.shadows["e1"] == ("e2",)
        opened(world, "e1", range(20))
        opened(world, "e2", range(50, 60))
        world.driver.lose("e1")
        await world.driver.recover("e1", empty=True)
        replicas = world.driver.replicas
        await until(lambda: set(replicas.table("e1")) == {*range(20), *range(50, 60)})
        assert replicas.owned("e1") == set(range(20))

    play(tmp_path, story)


def test_an_edge_that_comes_back_empty_while_a_repair_is_due_gets_its_connections_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.resilience.resync.AGAIN_S", 0.01)

    async def story(world: World) -> None:
        replicas = world.driver.replicas
        opened(world, "e1", range(50))

        async def takes_a_while(node: str, scan: Scan) -> None:
            if scan.mode is ScanMode.GIVE:
                await asyncio.sleep(0.3)

        before_walks(world, takes_a_while)
        before = synced(world, "e1", "e2")
        world.driver.lose("e1")
        world.controller.resilience.resync.want("e1", "e2", "1 gap in the sequence of records")
        await world.driver.recover("e1", empty=True)
        await until(lambda: synced(world, "e1", "e2") > before)
        assert replicas.replicas("e2", number(world, "e2", "e1")) == set(range(50))
        assert replicas.owned("e1") == set(range(50))

    play(tmp_path, story)
