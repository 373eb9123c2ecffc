"""The whole controller over a simulated fabric: what a person and the switches experience."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.events import Event, ForecastMade, NodeFailed, NodeRecovered, ShiftDecided
from controller.model import SampledConnection
from controller.serve.schemas import DecisionState, State
from harness.simulated import Rate
from harness.simworld import START_S, World, calm

Story = Callable[[World], Awaitable[None]]


def play(directory: Path, rate: Rate, story: Story, more: str = "") -> World:
    return asyncio.run(World(directory, rate, more).lived(story))


def overload(time_s: float) -> float:
    return 45.0 if time_s > START_S + 40 else 12.0


def test_an_overload_is_shifted_written_told_and_recorded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(90)
        assert world.router()["shift_pct"] == 50
        assert world.share("e1") == world.share("e2") == 50
        assert not world.router()["breach"]
        found = world.controller.decisions(limit=100)
        assert found
        times_s = [one["time_s"] for one in found]
        assert times_s == sorted(times_s, reverse=True)
        shifts = [one for one in found if one["kind"] == "shift"]
        assert shifts[-1]["written"] == ("e1", "e2")
        assert shifts[-1]["decide_to_written_ms"] > 0
        State.model_validate(world.controller.state())
        for one in found:
            DecisionState.model_validate(json.loads(json.dumps(one)))

    world = play(tmp_path, overload, story)
    assert any(isinstance(event, ForecastMade) for event in world.events)
    told = [event.decision.id for event in world.events if isinstance(event, ShiftDecided)]
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    decisions = [line["decision"] for line in lines if "decision" in line]
    assert [decision["id"] for decision in decisions] == told
    assert all(decision["reason"] for decision in decisions)


def test_a_restart_moves_no_traffic_and_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(90)
        before, writes = dict(world.driver.tables), len(world.driver.writes)
        demand = world.router()["demand"]
        await world.restart()
        assert world.driver.tables == before
        await world.turns(3)
        assert world.driver.tables == before
        assert len(world.driver.writes) == writes
        assert world.router()["shift_pct"] == 50
        assert world.router()["demand"] == pytest.approx(demand, rel=0.15)
        assert world.router()["forecast"] is not None  # the history was loaded
        assert world.controller.decisions(limit=5)

    play(tmp_path, overload, story)


def test_a_restart_without_its_memory_reads_the_shift_from_the_switches(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(90)
        before = dict(world.driver.tables)
        await world.close()
        for file in tmp_path.glob("umbra.db*"):
            file.unlink()
        world.fresh()
        await world.controller.start()
        assert world.driver.tables == before
        assert world.router()["shift_pct"] == 50

    play(tmp_path, overload, story)


def test_a_restart_while_no_switch_answers_keeps_the_shift_for_when_they_do(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.manual_weight("r1", 40)
        await world.turns(2)
        before = dict(world.driver.tables)
        everyone = {switch.name for switch in world.driver.fabric.switches}
        world.driver.down |= everyone
        await world.restart()
        await world.turns(5)
        for name in sorted(everyone):
            await world.driver.recover(name)
        assert {key: world.driver.tables[key] for key in before} == before
        await world.turns(2)
        assert {key: world.driver.tables[key] for key in before} == before
        assert world.share() == 60

    play(tmp_path, calm, story)


def test_a_slow_edge_holds_up_neither_the_loop_nor_the_other_edge(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.slow.add("e2")
        world.controller.manual_weight("r1", 40)
        await world.turns(2)
        assert world.share("e1") == 60
        assert world.share("e2") == 100
        manual = world.controller.decisions(limit=10, kind="manual")[0]
        assert manual["written"] == ("e1",)
        assert manual["failed"][0][0] == "e2"
        assert "write e2" in world.controller.state()["troubles"]

    play(tmp_path, calm, story, "cycle: {period_s: 0.2}\n")


def test_an_edge_that_comes_back_empty_gets_the_shares_of_now(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(3)
        world.driver.lose("e2")
        world.controller.manual_weight("r1", 30)
        await world.turns(2)
        assert world.share("e1") == 70
        writes = len(world.driver.writes)
        await world.driver.recover("e2", empty=True)
        assert world.share("e2") == 70
        assert not [name for name in world.controller.state()["troubles"] if "e2" in name]
        await world.turns(2)
        assert len(world.driver.writes) == writes  # the others were not touched

    world = play(tmp_path, calm, story)
    failures = [event for event in world.events if isinstance(event, NodeFailed)]
    assert [event.node for event in failures] == ["e2"]
    assert [e.node for e in world.events if isinstance(e, NodeRecovered)] == ["e2"]


def test_counters_that_fail_stop_nothing_and_are_named(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(3)
        world.driver.broken = True
        await world.turns(3)
        state = world.controller.state()
        assert "the counters cannot be read" in state["troubles"]["read"]
        assert state["trouble_counts"]["read"] == 3
        assert state["cycle"]["number"] == 6
        world.driver.broken = False
        await world.turns(1)
        assert "read" not in world.controller.state()["troubles"]

    play(tmp_path, calm, story)


def test_a_reading_that_hangs_does_not_hang_the_loop(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.driver.slow.add("reading")
        await world.turns(2)
        assert world.controller.state()["cycle"]["number"] == 2
        assert "in time" in world.controller.state()["troubles"]["read"]

    play(tmp_path, calm, story, "cycle: {period_s: 0.2}\n")


def test_a_failed_shadow_gets_no_more_new_connections(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.manual_weight("r1", 40)
        await world.turns(2)
        assert world.share(label=302) == world.share(label=303) == 20
        world.driver.lose("r2")
        async with asyncio.timeout(10):
            while world.share(label=302):
                await asyncio.sleep(0.01)
        await world.turns(1)
        assert world.share(label=302) == 0
        assert world.share(label=303) == 40

    play(tmp_path, calm, story)


def test_frozen_means_that_nothing_is_written(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.freeze()
        await world.turns(90)
        assert world.share() == 100
        assert world.controller.state()["frozen"]
        assert "frozen" in world.controller.decisions(limit=1, router="r1")[0]["reason"]
        world.controller.unfreeze()
        await world.turns(8)
        assert world.share() < 100
        kinds = [one["kind"] for one in world.controller.decisions(limit=100)]
        assert kinds[-1] == "freeze"
        assert "unfreeze" in kinds

    play(tmp_path, overload, story)


def test_a_dry_run_decides_writes_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.controller.dry_run = True
        await world.turns(90)
        assert world.share() == 100
        assert world.router()["shift_pct"] == 50  # what it would have done
        found = world.controller.decisions(limit=100)
        assert found
        assert all(one["dry_run"] and not one["written"] for one in found)
        world.controller.dry_run = False
        assert world.router()["shift_pct"] == 0
        await world.turns(1)
        assert world.share() == 90  # from here on for real, up the ramp

    play(tmp_path, overload, story)


def test_thresholds_only_makes_no_forecast(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.turns(120)
        triggers = {one["trigger"] for one in world.controller.decisions(limit=1000)}
        assert "reactive" in triggers
        assert triggers <= {"reactive", "restore"}
        assert world.router()["forecast"] is None

    world = play(tmp_path, overload, story, "cycle: {predictive: false}\n")
    assert not [event for event in world.events if isinstance(event, ForecastMade)]


def test_an_unknown_router_or_weight_is_refused_by_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        with pytest.raises(KeyError, match="no router r9"):
            world.controller.freeze("r9")
        with pytest.raises(KeyError, match="r1, r2, r3"):
            world.controller.manual_weight("r9", 10)
        with pytest.raises(ValueError, match="101"):
            world.controller.manual_weight("r1", 101)

    play(tmp_path, calm, story)


def test_a_store_that_cannot_be_written_does_not_stop_the_loop(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        (tmp_path / "umbra.db").unlink(missing_ok=True)
        world.controller.recorder.store.local.path = tmp_path / "missing" / "umbra.db"
        world.controller.recorder.store.local.close()
        await world.turns(90)
        assert world.router()["shift_pct"] == 50
        assert world.controller.state()["store"]["waiting"] > 0

    play(tmp_path, overload, story)


def test_reported_connections_are_kept(tmp_path: Path) -> None:
    one = SampledConnection("e1", START_S, "10.1.1.10", "10.100.0.1", 6, 40000, 80, 1, 301)

    async def story(world: World) -> None:
        world.driver.connections.put_nowait(one)
        await world.turns(1)

    play(tmp_path, calm, story)
    with contextlib.closing(sqlite3.connect(tmp_path / "umbra.db")) as found:
        rows = found.execute("SELECT * FROM connections").fetchall()
    at_ns = round(START_S * 1e9)
    assert rows == [("e1", at_ns, "10.1.1.10", "10.100.0.1", 6, 40000, 80, 1, 301)]


def test_a_listener_that_fails_disturbs_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        def fail(_: Event) -> None:
            raise RuntimeError("mine")

        world.controller.subscribe(fail)
        end = world.controller.subscribe(world.events.append)
        end()
        await world.turns(60)

    world = play(tmp_path, overload, story)
    assert len(world.events) == len({id(event) for event in world.events})
    assert world.events


def test_run_turns_until_it_is_stopped(tmp_path: Path) -> None:
    async def run() -> int:
        world = World(tmp_path, calm, "cycle: {period_s: 0.1}\n")
        running = asyncio.create_task(world.controller.run())
        while world.controller.state()["cycle"]["number"] < 3:
            await asyncio.sleep(0.01)
        await world.controller.stop()
        await running
        return int(world.controller.state()["cycle"]["number"])

    assert asyncio.run(run()) >= 3
