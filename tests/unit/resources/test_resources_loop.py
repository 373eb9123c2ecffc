"""The shadow manager in the running controller: what a device, its shadow and new connections experience."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from unit.resources.cgroup_trees import populate

from controller.audit import verify
from controller.audit.examples import examples
from controller.resources import day, make, past
from controller.serve.resource_schemas import ResourceDecision, ResourcesState
from controller.store.interface import UnavailableError
from harness.devices import DeviceWorld, devices_yaml
from harness.simulated import Rate
from harness.simworld import START_S

Story = Callable[[DeviceWorld], Awaitable[None]]
UNTOUCHED = "-1"  # no quota


def play(
    directory: Path,
    rate: Rate,
    more: str,
    monkeypatch: pytest.MonkeyPatch,
    story: Story,
    *,
    capacity: int = 4000,
) -> DeviceWorld:
    world = DeviceWorld(directory, rate, more, monkeypatch, capacity=capacity)
    return asyncio.run(world.lived(story))


def hill(time_s: float) -> float:
    """New connections per second: quiet, a ramp from 10 to 40 within 60 s, a while, and quiet again."""
    at_s = time_s - START_S
    if at_s < 40 or at_s >= 140:
        return 10.0
    return min(40.0, 10.0 + (at_s - 40) / 2)


def quiet(_: float) -> float:
    return 10.0


def steep(_: float) -> float:
    return 45.0


def test_a_ramp_meets_a_shadow_that_is_warm_before_the_primary_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(35)
        assert world.share(label=302) == 0
        full_s = warm_s = None
        for _ in range(70):
            await world.turns(1)
            (device,) = world.resources.state()["devices"]
            if full_s is None and (device["use"] or {})["cpu_cores"] >= 0.4:
                full_s = world.sim.time_s
            if warm_s is None and world.share(label=302) > 0:
                warm_s = world.sim.time_s
                assert world.shadow()["state"] == "ready"
        assert warm_s is not None
        assert full_s is None or warm_s < full_s
        moved = world.share("e1", 302)
        assert moved == world.share("e2", 302)
        assert world.share(label=301) == 100 - moved
        assert world.allocator.own.read("r2").cpu_cores > 0.1
        ResourcesState.model_validate(world.resources.state())
        for one in world.resources.decisions(20, "r1"):
            ResourceDecision.model_validate(json.loads(json.dumps(one)))
        await world.turns(60)
        assert world.share(label=302) == 0
        assert world.shadow()["share_pct"] == 0
        told = [one for one in world.controller.decisions() if one["trigger"] == "resources"]
        assert [one["kind"] for one in (told[-1], told[0])] == ["shift", "restore"]
        assert told[-1]["written"] == ("e1", "e2")

    world = play(tmp_path, hill, devices_yaml(tmp_path), monkeypatch, story)
    assert world.allocator.limit("r1") == UNTOUCHED
    assert {device for device, _ in world.allocator.orders} == {"r2"}


def test_every_change_is_in_the_audit_chain_with_what_it_came_to_and_the_day_decides_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}

    async def story(world: DeviceWorld) -> None:
        for _ in range(2):
            await world.turns(30)
            made.update({one["id"]: one for one in world.resources.decisions(100)})
            await world.restart()

    play(tmp_path, hill, devices_yaml(tmp_path), monkeypatch, story)
    log = tmp_path / "audit.jsonl"
    report = verify.verify([log], [])
    assert report.sound
    found = list(examples([log], ["allocation"]))
    assert len(made) >= 56
    assert 2 <= len(found) < len(made)
    for one in found:
        assert one.target == "r1"
        assert one.inputs["options"]["cpu"]["best"]["cost"] >= 0
        assert one.decided["amounts"] == made[one.id]["amounts"]
    assert sum(one.result.get("cycles", 0) for one in found) > 0
    assert all(one.result.get("regret", 0) >= 0 for one in found)
    files = sorted((tmp_path / "days").glob("*.jsonl"))
    replayed = day.check(files)
    assert (replayed.cycles, replayed.differing) == (len(made), ())


def test_a_recorded_cycle_that_was_edited_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(12)

    play(tmp_path, hill, devices_yaml(tmp_path), monkeypatch, story)
    (file,) = (tmp_path / "days").glob("*.jsonl")
    lines = file.read_text().splitlines()
    plain = json.loads(lines[4])
    plain["view"]["devices"][0]["use"]["cpu_cores"] += 1.0
    file.write_text("\n".join([*lines[:4], json.dumps(plain), *lines[5:]]) + "\n")
    assert 4 in day.check([file]).differing
    file.write_text("\n".join([*lines[:4], "{}", *lines[5:]]) + "\n")
    with pytest.raises(ValueError, match="line 5: this is no recorded cycle"):
        day.check([file])


def test_forecast_only_decides_and_records_but_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(100)
        assert max(one["share_pct"] for one in world.resources.decisions(100)) > 0
        assert world.share(label=302) == 0
        assert world.allocator.orders == []

    more = devices_yaml(tmp_path, mode="forecast-only")
    play(tmp_path, hill, more, monkeypatch, story)


def test_without_forecasts_it_reacts_to_what_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(20)
        assert world.share(label=302) > 0
        (device,) = world.resources.state()["devices"]
        assert device["model"] is None
        assert "no forecast: sized by use" in device["reasons"]

    play(tmp_path, steep, devices_yaml(tmp_path, forecasts=False), monkeypatch, story)


def test_a_group_that_cannot_be_written_is_told_and_the_other_shadow_is_warmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        shutil.rmtree(world.mounts.cpu / "lab" / "r2")
        await world.turns(60)
        trouble = world.controller.troubles.open["resources of r2"]
        assert "lab/r2" in trouble
        assert world.shadow("large")["state"] == "ready"
        assert "lab/r2" in world.shadow("small")["trouble"]
        assert world.share(label=303) > 0
        assert world.share(label=302) == 0
        populate(world.mounts, "lab/r2")
        await world.turns(30)
        assert "resources of r2" not in world.controller.troubles.open

    more = devices_yaml(tmp_path, two=True, least="{cpu_cores: 2.3}")
    world = play(tmp_path, steep, more, monkeypatch, story)
    assert world.allocator.limit("r1") == UNTOUCHED


def test_a_shadow_that_dies_while_it_is_warmed_gets_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        world.driver.lose("r2")
        await world.turns(20)
        own = world.shadow("small")
        assert own["state"] != "ready"
        (request,) = [one for one in world.resources.state()["queue"] if one["shadow"] == "small"]
        assert request["failures"] > 0
        assert "r2 is not connected (gone); start it" in request["trouble"]
        assert world.share(label=302) == 0
        assert world.shadow("large")["state"] == "ready"
        assert world.share(label=303) > 0
        await world.driver.recover("r2")
        await world.turns(60)
        assert world.shadow("small")["state"] == "ready"

    more = devices_yaml(tmp_path, two=True, least="{cpu_cores: 2.3}")
    world = play(tmp_path, steep, more, monkeypatch, story)
    assert world.allocator.limit("r1") == UNTOUCHED


def test_a_warm_shadow_that_dies_takes_no_more_new_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(30)
        assert world.share(label=302) > 0
        world.driver.lose("r2")
        await world.turns(3)
        assert world.share(label=302) == 0

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_a_restart_leaves_the_shadow_its_share_and_its_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(40)
        share, limit = world.share(label=302), world.allocator.limit("r2")
        assert share > 0
        await world.restart()
        assert world.share(label=302) == share
        assert world.allocator.limit("r2") == limit
        await world.turns(3)
        (device,) = world.resources.state()["devices"]
        assert device["model"] is not None  # what was used before is known
        await world.turns(7)
        assert world.share(label=302) > 0
        told = [one for one in world.controller.decisions() if one["trigger"] == "resources"]
        assert told[0]["shift_before_pct"] > 0 or len(told) == 1  # it did not begin anew

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_a_controller_without_the_section_gives_the_primary_its_traffic_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(40)
        assert world.share(label=302) > 0
        world.config = world.config.model_copy(update={"resources": None})
        await world.restart()
        await world.controller.turn()
        assert world.share(label=302) == 0

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_a_shadow_that_is_configured_no_longer_loses_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(40)
        limit = world.allocator.limit("r2")
        assert limit != UNTOUCHED
        world.config = world.config.model_copy(update={"resources": None})
        world.controller.dry_run = True
        await world.turns(1)
        await world.restart()
        assert world.allocator.limit("r2") == limit
        world.controller.dry_run = False
        await world.controller.turn()
        quota = world.mounts.cpu / "lab" / "r2" / "cpu.cfs_quota_us"
        text = quota.read_text()
        quota.unlink()
        await world.restart()
        assert "r2 is no shadow any more" in world.controller.troubles.open["limits of r2"]
        quota.write_text(text)
        await world.restart()
        assert world.allocator.limit("r2") == UNTOUCHED
        memory = world.mounts.memory / "lab" / "r2" / "memory.limit_in_bytes"
        assert memory.read_text().strip() == UNTOUCHED
        quota.write_text(text)  # by someone else, by now
        await world.restart()
        assert world.allocator.limit("r2") == text.strip()

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_series_of_requests_stay_bounded_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(10)
        kept = world.resources._uses._rows.bound.written_s
        assert kept
        await world.restart()
        assert world.resources._uses._rows.bound.written_s == kept

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_a_store_that_cannot_be_read_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        assert make.OWN not in world.controller.troubles.open  # nothing was there to be read
        await world.turns(3)

        def gone(*_: object) -> None:
            raise UnavailableError("the server does not answer; start it")

        monkeypatch.setattr(past, "own", gone)
        await world.restart()
        told = world.controller.troubles.open[make.OWN]
        assert "the server does not answer" in told
        assert "forecasts begin without what was stored" in told

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)


def test_the_shadow_of_a_primary_that_is_drained_is_sized_for_all_of_its_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        await world.turns(30)
        before = world.allocator.own.read("r2").cpu_cores
        world.controller.drain("r1")
        await world.turns(3)
        assert world.allocator.own.read("r2").cpu_cores > before + 0.05

    more = devices_yaml(tmp_path, cover="excess")
    play(tmp_path, quiet, more, monkeypatch, story)


def test_a_dry_run_changes_neither_limits_nor_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        world.controller.dry_run = True
        await world.turns(30)
        assert world.share(label=302) == 0
        assert world.allocator.orders == []
        assert world.resources.decisions(1)[0]["dry_run"]
        world.controller.dry_run = False
        await world.turns(30)
        assert world.share(label=302) > 0

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)
    files = sorted((tmp_path / "days").glob("*.jsonl"))
    assert day.check(files).differing == ()


def test_the_route_planner_gives_a_shadow_of_a_device_no_guests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flood(_: float) -> float:
        return 60.0

    async def story(world: DeviceWorld) -> None:
        await world.turns(60)
        assert world.router()["shift_pct"] > 0
        assert world.share(label=303) > 0
        assert world.share(label=302) == 0

    more = devices_yaml(tmp_path, mode="forecast-only")
    play(tmp_path, flood, more, monkeypatch, story, capacity=400)


def test_a_router_that_a_person_has_frozen_keeps_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: DeviceWorld) -> None:
        world.controller.freeze("r1")
        await world.turns(30)
        assert world.share(label=302) == 0
        world.controller.unfreeze("r1")
        await world.turns(3)
        assert world.share(label=302) > 0

    play(tmp_path, steep, devices_yaml(tmp_path), monkeypatch, story)
