"""A running controller follows its calendar files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from controller.calendars import TROUBLE, Calendars
from controller.config import Config, load
from controller.predict import make_forecaster
from controller.trouble import Troubles
from harness.yaml_fabric import FABRIC_YAML
from ml.calendars.events import PlannedEvent
from ml.life.registry import Registry

NOW_S = 1_774_000_000.0  # 2026-03-20
EVENT = "- {name: %s, start: 2026-03-21, end: 2026-03-22, services: [web], factor: 2}\n"
FIXED = "{name: fixed, start: 10, end: 20, routers: [r2]}"


class World:
    """A configuration with one calendar, and what was planned from it."""

    def __init__(self, directory: Path) -> None:
        self.plan = directory / "plan.yaml"
        self.plan.write_text(EVENT % "one")
        file = directory / "umbra.yaml"
        file.write_text(f"{FABRIC_YAML}forecast: {{calendars: [plan.yaml], events: [{FIXED}]}}\n")
        self.config: Config = load(file)
        self.troubles = Troubles()
        self.planned: list[tuple[PlannedEvent, ...]] = []
        self.now_s = NOW_S
        self.calendars = Calendars(
            self.config, self.planned.append, self.troubles, lambda: self.now_s
        )

    def look(self) -> list[str]:
        """The names of the events that hold after a look."""
        asyncio.run(self.calendars.look())
        return [event.name for event in self.planned[-1]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_events_of_calendars_join_the_configured_ones(world: World) -> None:
    assert world.look() == ["fixed", "one"]
    assert world.planned[-1][1].targets == ("r1",)


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(world: World) -> None:
    world.look()
    world.look()
    assert len(world.planned) == 1
    world.plan.write_text(EVENT % "another")
    assert world.look() == ["fixed", "another"]


def test_after_a_day_repetitions_are_written_out_anew(world: World) -> None:
    world.plan.write_text("- {name: x, start: 2026-01-01, end: 2026-01-02, every: daily}\n")
    world.look()
    latest_s = world.planned[-1][-1].start_s
    world.now_s += 86_400.0
    world.look()
    assert world.planned[-1][-1].start_s == latest_s + 86_400.0


@pytest.mark.parametrize("broken", ["- {name: x}\n", None])
def test_a_broken_or_missing_file_keeps_the_last_good_events_and_is_told(
    world: World, broken: str | None
) -> None:
    world.look()
    if broken is None:
        world.plan.unlink()
    else:
        world.plan.write_text(broken)
    assert world.look() == ["fixed", "one"]
    assert "plan.yaml" in world.troubles.open[TROUBLE]
    world.look()  # still broken: still told
    assert TROUBLE in world.troubles.open
    world.plan.write_text(EVENT % "mended")
    assert world.look() == ["fixed", "mended"]
    assert TROUBLE not in world.troubles.open


def test_every_model_of_the_controller_gets_the_events(world: World) -> None:
    forecaster = make_forecaster(world.config)
    sibling = forecaster.sibling()
    event = PlannedEvent("x", 1.0, 2.0)
    before = forecaster.settings
    forecaster.plan((event,))
    assert forecaster.settings == replace(before, calendar=(event,))
    assert forecaster.sibling().settings.calendar == (event,)
    assert sibling.settings.calendar == before.calendar  # the line-up tells each of its own


def test_the_line_up_gives_the_events_to_all_that_predict(world: World, tmp_path: Path) -> None:
    from controller.learning.dark import Dark
    from controller.learning.lineup import Lineup
    from ml.life.promotion import Contest, Rules

    forecaster = make_forecaster(world.config)
    registry = Registry(str(tmp_path / "models"), "connections", 3)
    lineup = Lineup(
        registry,
        Rules(),
        forecaster,
        lambda _: None,
        lambda _: None,
        world.troubles,
        lambda: world.now_s,
    )
    dark = Dark("v1", forecaster.sibling(), None, Contest("a", "b", NOW_S))
    lineup.challenger = dark
    event = PlannedEvent("x", 1.0, 2.0)
    lineup.plan((event,))
    assert forecaster.settings.calendar == (event,)
    assert dark.forecaster.settings.calendar == (event,)
