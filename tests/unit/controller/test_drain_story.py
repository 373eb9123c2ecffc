"""Routers that a person takes out of service, over a simulated fabric: no connection is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.act.packets import Scan, ScanMode
from harness.simworld import World
from harness.stories import (
    before_walks,
    bindings,
    home,
    kinds,
    opened,
    play,
    resynced,
    step,
    synced,
    until,
)

TAKERS = ("r2", "r3")


@pytest.fixture(autouse=True)
def _tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.resilience.failover.AGAIN_S", 0.1)


def test_draining_moves_new_connections_then_state_then_bindings(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        replicas = world.driver.replicas
        opened(world, "r1", range(50))
        for holder in ("r2", "r3"):  # say that all their replicas were lost
            replicas.entries[holder] = {}
        seen: list[int] = []
        original = world.driver.write_targets

        async def watched(rows: Any) -> Any:
            seen.append(world.share(label=301))
            for holder in ("r2", "r3"):
                assert set(replicas.table(holder)) == set(range(50))
            return await original(rows)

        world.driver.write_targets = watched  # type: ignore[method-assign]
        world.controller.drain("r1")
        assert world.router()["drained"]
        await until(lambda: "drain" in kinds(world, "r1"))
        assert set(seen) == {0}
        assert replicas.owned("r1") == set()
        assert bindings(world)["r1"] == ["r2", "r3"]
        await world.turns(2)
        assert world.share(label=301) == 0
        await world.restart()  # what a person asked for outlives it
        assert world.router()["drained"]
        assert bindings(world)["r1"] == ["r2", "r3"]
        world.controller.undrain("r1")
        await until(lambda: "undrain" in kinds(world, "r1"))
        assert bindings(world) == home()
        await world.turns(1)
        assert world.share(label=301) == 100

    play(tmp_path, story)


def test_draining_is_refused_when_nobody_can_take_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.drain("r2")
        world.controller.drain("r3")
        with pytest.raises(ValueError, match="no shadow of r1 lives"):
            world.controller.drain("r1")
        with pytest.raises(KeyError, match="r9"):
            world.controller.drain("r9")
        world.controller.dry_run = True
        with pytest.raises(ValueError, match="dry run"):
            world.controller.undrain("r2")

    play(tmp_path, story)


def test_a_drain_waits_until_all_connections_have_arrived(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.replicas.loss = 1.0
        opened(world, "r1", range(50))
        world.controller.drain("r1")
        await until(lambda: (world.router()["move"] or {}).get("error") is not None)
        assert bindings(world) == home()
        assert world.share(label=301) == 0
        world.driver.replicas.loss = 0.1
        await until(lambda: "drain" in kinds(world, "r1"))
        for holder in ("r2", "r3"):
            assert set(world.driver.replicas.table(holder)) == set(range(50))

    play(tmp_path, story)


def test_a_drain_whose_shadows_are_lost_half_way_is_tried_again_until_one_is_back(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        opened(world, "r1", range(50))
        troubles = world.controller.troubles

        async def cut_off(node: str, scan: Scan) -> None:
            if not troubles.counts.get("drain r1"):
                for name in TAKERS:  # only their connections to the controller
                    world.driver.lose(name, forwards=True)

        before_walks(world, cut_off)
        world.controller.drain("r1")
        await until(lambda: "no shadow of r1" in troubles.open.get("drain r1", ""))
        assert "no shadow of r1" in world.router()["move"]["error"]
        assert bindings(world) == home()
        await world.turns(1)
        for name in TAKERS:
            await world.driver.recover(name)
        await until(lambda: step(world) == "drained")
        assert bindings(world)["r1"] == ["r2", "r3"]
        assert world.router()["move"]["error"] is None
        assert "drain r1" not in troubles.open
        for name in TAKERS:
            assert set(world.driver.replicas.table(name)) == set(range(50))

    play(tmp_path, story)


def test_a_drain_that_fails_in_an_unforeseen_way_is_tried_again_and_says_so(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        opened(world, "r1", range(50))
        troubles = world.controller.troubles

        async def unforeseen(node: str, scan: Scan) -> None:
            if scan.mode is ScanMode.DISOWN and not troubles.counts:
                raise RuntimeError("r1 sent something that nobody understands")

        before_walks(world, unforeseen)
        world.controller.drain("r1")
        await until(lambda: bool(troubles.counts))
        assert troubles.open == {"drain r1": "r1 sent something that nobody understands"}
        await until(lambda: step(world) == "drained")
        assert troubles.open == {}
        assert world.driver.replicas.owned("r1") == set()
        assert kinds(world, "r1") == ["drain"]

    play(tmp_path, story)


def test_a_dry_run_that_begins_in_mid_drain_moves_nothing_until_it_ends(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        opened(world, "r1", range(50))
        begun: list[str] = []

        async def begin_a_dry_run(node: str, scan: Scan) -> None:
            if not begun:
                world.controller.dry_run = True
            begun.append(node)

        before_walks(world, begin_a_dry_run)
        world.controller.drain("r1")
        await until(lambda: step(world) in ("the end of the dry run is awaited", "drained"))
        await world.turns(2)
        assert bindings(world) == home()
        assert world.driver.replicas.owned("r1") == set(range(50))
        assert kinds(world, "r1") == []
        world.controller.dry_run = False
        await until(lambda: step(world) == "drained")
        assert bindings(world)["r1"] == ["r2", "r3"]
        assert world.driver.replicas.owned("r1") == set()
        assert kinds(world, "r1") == ["drain"]

    play(tmp_path, story)


def test_a_repair_of_a_drained_routers_replicas_takes_nothing_from_its_shadows(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        replicas, resync = world.driver.replicas, world.controller.resilience.resync
        opened(world, "r1", range(50))
        world.controller.drain("r1")
        await until(lambda: step(world) == "drained")
        await resynced(world, "r2", "r3")
        for name in TAKERS:
            resync.want("r1", name, "1 gap in the sequence of records")
        await resynced(world, "r2", "r3")  # due after those of r1
        for name in TAKERS:
            assert set(replicas.table(name)) == set(range(50))
        world.controller.undrain("r1")
        await until(lambda: bindings(world) == home())
        assert replicas.owned("r1") == set(range(50))
        await until(lambda: all(synced(world, "r1", name) > 1 for name in TAKERS))
        for name in TAKERS:
            assert set(replicas.table(name)) == set(range(50))

    play(tmp_path, story)
