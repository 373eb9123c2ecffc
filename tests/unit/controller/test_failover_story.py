"""Routers that die, return and are drained, over a simulated fabric: where connections and state go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from controller.events import ReplicasSynced, ShiftDecided
from controller.serve.schemas import DecisionState, State
from harness.simworld import World, calm

MORE = "failover: {return_after_s: 0.2, repair_period_s: 1}"
ALL = {301: "r1", 302: "r2", 303: "r3"}
Story = Callable[[World], Awaitable[None]]


def play(directory: Path, story: Story, more: str = MORE) -> World:
    async def run() -> World:
        world = World(directory, calm, more)
        await world.controller.start()
        try:
            await until(lambda: all_heard(world))
            await story(world)
        finally:
            await world.close()
        return world

    return asyncio.run(run())


def all_heard(world: World) -> bool:
    health = world.controller.resilience.health
    return health is None or health.liveness.round_trip_s is not None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def bindings(world: World, edge: str = "e1") -> dict[str, list[str]]:
    """Where every router's connections go."""
    return {
        name: [ALL[one] for one in world.driver.targets[edge, label]] for label, name in ALL.items()
    }


def home() -> dict[str, list[str]]:
    return {name: [name] for name in ALL.values()}


def opened(world: World, router: str, keys: range) -> None:
    """Connections of this router, replicated to its shadows."""
    resilience = world.controller.resilience
    assert world.driver.applied is not None
    for key in keys:
        world.driver.replicas.open(
            world.driver.applied, router, key, resilience.desired.shadows[router]
        )


def number(world: World, holder: str, primary: str) -> int:
    return world.controller.resilience.desired.number(holder, primary)


def kinds(world: World, router: str) -> list[str]:
    return [d["kind"] for d in reversed(world.controller.decisions(router=router))]


def health(world: World, router: str = "r1") -> str:
    return str(world.router(router)["health"])


def test_a_dead_routers_connections_and_share_go_to_its_shadows_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert bindings(world) == home()
        world.driver.lose("r1")
        await until(lambda: "failover" in kinds(world, "r1"))
        for edge in ("e1", "e2"):
            assert bindings(world, edge) == {**home(), "r1": ["r2", "r3"]}
            assert {label: world.share(edge, label) for label in ALL} == {301: 0, 302: 50, 303: 50}
        assert world.router()["stand_ins"] == ["r2", "r3"]
        decision = world.controller.decisions(router="r1")[0]
        assert decision["written"] == ("e1", "e2")
        assert decision["inputs"]["silent_ms"] > 0
        assert decision["inputs"]["bindings_ms"] <= decision["inputs"]["shares_ms"]
        State.model_validate(world.controller.state())
        DecisionState.model_validate(json.loads(json.dumps(decision)))
        await world.turns(3)
        assert world.share(label=301) == 0

    world = play(tmp_path, story)
    assert [e.decision.kind.value for e in world.events if isinstance(e, ShiftDecided)] == [
        "failover"
    ]


def test_a_router_that_only_lost_its_connection_keeps_everything(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        writes = len(world.driver.writes)
        world.driver.lose("r1", forwards=True)
        await until(lambda: health(world) == "suspect")
        await until(lambda: health(world) == "alive")
        await world.turns(3)
        assert world.driver.target_writes == []
        assert len(world.driver.writes) == writes
        assert bindings(world) == home()

    play(tmp_path, story)


def test_a_hanging_router_is_found_dead_although_its_connection_stands(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.dead.add("r3")
        await until(lambda: health(world, "r3") == "dead")
        await until(lambda: bindings(world)["r3"] == ["r1", "r2"])

    play(tmp_path, story)


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


def test_a_stand_in_that_dies_as_well_is_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.lose("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        world.driver.lose("r2")
        await until(lambda: bindings(world) == {"r1": ["r3"], "r2": ["r3"], "r3": ["r3"]})
        assert world.share(label=303) == 100
        assert "can no longer stand in" in world.controller.decisions(router="r1")[0]["reason"]

    play(tmp_path, story)


def test_nothing_is_done_when_every_router_falls_silent(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.dead |= {"e1", "e2"}
        await until(lambda: health(world) == "suspect")
        await asyncio.sleep(0.5)
        assert bindings(world) == home()
        assert world.driver.target_writes == []

    play(tmp_path, story)


def test_a_restart_keeps_a_failover_in_force_and_ends_it_later(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.lose("r1")
        await until(lambda: "failover" in kinds(world, "r1"))
        await world.turns(2)
        writes, targets = len(world.driver.writes), dict(world.driver.targets)
        await world.restart()
        await world.turns(2)
        assert world.driver.targets == targets
        assert len(world.driver.writes) == writes
        assert health(world) == "dead"
        await world.driver.recover("r1", empty=True)
        await until(lambda: bindings(world) == home())
        assert world.share(label=301) == 100

    play(tmp_path, story)


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


def test_a_dry_run_tells_what_it_would_do_and_does_it_when_it_ends(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.dry_run = True
        world.driver.lose("r1")
        await until(lambda: "failover" in kinds(world, "r1"))
        assert world.controller.decisions(router="r1")[0]["dry_run"]
        assert bindings(world) == home()
        world.controller.dry_run = False
        await world.turns(1)
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])

    play(tmp_path, story)


def test_switched_off_nothing_is_probed_and_draining_still_works(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert health(world) == "unknown"
        world.driver.lose("r3")
        await world.turns(1)
        assert world.driver.target_writes == []
        world.controller.drain("r1")
        await until(lambda: bindings(world)["r1"] == ["r2"])
        world.controller.undrain("r1")
        await until(lambda: bindings(world) == home())

    play(tmp_path, story, "failover: {enabled: false}")
