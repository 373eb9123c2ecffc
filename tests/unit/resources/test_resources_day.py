"""Recorded days: how many are kept, what a disk that takes nothing does, and how all of it is shown."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from controller.ab.comparisons import ComparisonRefused
from controller.cli import app
from controller.commands import resource_tables
from controller.model.resources import Amounts, Policy
from controller.plan.resources import (
    DeviceView,
    ManagerSettings,
    ManagerState,
    ManagerView,
    update_shadow_resources,
)
from controller.resources.day import TROUBLE, DayRecord, check
from controller.trouble import Troubles
from harness.devices import DeviceWorld, devices_yaml

START_S = 1_700_000_000.0
DAY_S = 86_400.0
SETTINGS = ManagerSettings(5.0)
POLICY = Policy("p", Amounts(1.0, 1.0, 1.0))


def record(to: DayRecord, times_s: list[float], state: ManagerState | None = None) -> ManagerState:
    """One cycle at each of these times."""
    before = state or ManagerState()
    for now_s in times_s:
        device = DeviceView("r1", Amounts(0.1 + now_s % 7 / 10), Amounts(1.0))
        view = ManagerView((device,), (POLICY,))
        plan, after = update_shadow_resources(view, before, now_s, SETTINGS)
        to.add(view, before, plan, after, now_s, SETTINGS)
        before = after
    return before


def test_old_days_go_and_every_day_can_be_decided_again_by_itself(tmp_path: Path) -> None:
    days = DayRecord(tmp_path / "days", 2, Troubles())
    record(days, [START_S + DAY_S * day + 5 * n for day in range(4) for n in range(3)])
    files = sorted((tmp_path / "days").iterdir())
    assert len(files) == 2
    for file in files:
        found = check([file])
        assert (found.cycles, found.differing) == (3, ())
    assert check(files).cycles == 6


def test_a_record_that_cannot_be_written_is_told_and_goes_on_when_it_can(tmp_path: Path) -> None:
    troubles = Troubles()
    (tmp_path / "days").write_text("a file where the directory should be")
    days = DayRecord(tmp_path / "days", 2, troubles)
    state = record(days, [START_S, START_S + 5])
    assert "make room, or let umbra write there" in troubles.open[TROUBLE]
    (tmp_path / "days").unlink()
    record(days, [START_S + 10, START_S + 15], state)
    assert TROUBLE not in troubles.open
    (file,) = (tmp_path / "days").iterdir()
    assert check([file]).cycles == 2


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_line_that_a_crash_cut_off_does_not_spoil_the_day(tmp_path: Path, size: int) -> None:
    state = record(DayRecord(tmp_path, 2, Troubles()), [START_S, START_S + 5])
    (file,) = tmp_path.iterdir()
    with file.open("a") as torn:
        torn.write('{"digest":"' + "0" * size)
    record(DayRecord(tmp_path, 2, Troubles()), [START_S + 10], state)
    found = check([file])
    assert (found.cycles, found.differing) == (3, ())


def test_a_file_that_begins_in_the_middle_is_refused(tmp_path: Path) -> None:
    record(DayRecord(tmp_path, 2, Troubles()), [START_S, START_S + 5])
    (file,) = tmp_path.iterdir()
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match="line 1: the state before this cycle is missing"):
        check([file])


def shown(what: RenderableType) -> str:
    text = io.StringIO()
    Console(file=text, width=250).print(what)
    return text.getvalue()


def test_a_person_sees_devices_shadows_queue_and_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        more = devices_yaml(tmp_path, two=True, least="{cpu_cores: 2.3}")
        world = DeviceWorld(tmp_path, lambda _: 45.0, more, monkeypatch, routers=4)
        await world.controller.start()
        try:
            world.driver.lose("r2")
            await world.turns(30)
            text = shown(resource_tables.resources(world.resources.state()))
            assert "r2 is not connected (gone)" in text
            assert "large" in text
            assert "ready" in text
            assert "0.40 cores" in text
            text = shown(resource_tables.decisions(world.resources.decisions(5)))
            assert "active" in text
            assert "raised to least" in text
            for shadow in ("r2", "r3"):
                with pytest.raises(ComparisonRefused, match=f"{shadow} is a shadow of resources"):
                    world.controller.ab.start("r1", shadow)
                with pytest.raises(ComparisonRefused, match=f"{shadow} is a shadow of resources"):
                    world.controller.ab.start(shadow, "r4")
            world.controller.ab.start("r1", "r4")
            text = shown(resource_tables.comparisons(world.controller.ab.state()))
            assert "r4 against r1" in text
            assert "latency" in text
        finally:
            await world.close()

    asyncio.run(story())
    (file,) = (tmp_path / "days").iterdir()
    told = CliRunner().invoke(app, ["resources", "replay", str(file)])
    assert told.exit_code == 0
    assert "29 cycles, 29 decisions, all the same" in told.output
