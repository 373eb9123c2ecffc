"""Routers that die, over a simulated fabric: where their connections go."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from controller.events import ShiftDecided
from controller.serve.schemas import DecisionState, State
from harness.simworld import World
from harness.stories import ALL, bindings, health, home, kinds, opened, play, step, until


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


def test_a_stand_in_that_dies_as_well_is_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.lose("r1")
        await until(lambda: bindings(world)["r1"] == ["r2", "r3"])
        world.driver.lose("r2")
        await until(lambda: bindings(world) == {"r1": ["r3"], "r2": ["r3"], "r3": ["r3"]})
        assert world.share(label=303) == 100
        assert "can no longer stand in" in world.controller.decisions(router="r1")[0]["reason"]

    play(tmp_path, story)


def test_connections_are_never_led_in_a_circle_of_routers_that_are_away(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.lose("r3")
        await until(lambda: bindings(world)["r3"] == ["r1", "r2"])
        world.controller.drain("r2")
        await until(lambda: step(world, "r2") == "drained")
        assert bindings(world) == {name: ["r1"] for name in ALL.values()}
        opened(world, "r1", range(30))
        world.driver.lose("r1")
        shares = {301: 0, 302: 100, 303: 0}  # who is drained still lives

        def led(edge: str) -> bool:
            own = {label: world.share(edge, label) for label in ALL}
            return own == shares and bindings(world, edge) == {name: ["r2"] for name in home()}

        await until(lambda: led("e1") and led("e2"))
        await world.turns(2)
        assert world.share(label=302) == 100
        opened(world, "r2", range(40, 50))
        await world.driver.recover("r1", empty=True)
        await until(lambda: "failback" in kinds(world, "r1"))
        assert bindings(world) == {name: ["r1"] for name in ALL.values()}
        assert world.share(label=301) == 100
        assert set(world.driver.replicas.table("r1")) == {*range(30), *range(40, 50)}

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
        await until(lambda: world.share(label=301) == 100)  # bindings come first

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
