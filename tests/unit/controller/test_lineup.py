"""In the running controller the better model serves, by test and not by age; a restart goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.events import ModelDecided
from controller.learning.lineup import COLD, Lineup
from controller.trouble import Troubles
from ml.breaches.warner import Warner
from ml.forecasting.forecast import Forecast
from ml.forecasting.forecaster import Forecaster
from ml.life.promotion import Rules
from ml.life.registry import Kept, Origin, Registry, RegistryError
from ml.life.training import train_kept
from ml.life.version import Entry, Standing, State
from ml.series import Series
from ml.settings import Settings

HORIZONS_S, LEVELS = (1.0, 4.0), (0.05, 0.5, 0.95)
RULES = Rules(longest_s=2000.0, watch_s=300.0)
PERIOD_S = 40.0
SECONDS = 1500


def wave(target: str, seed: int, seconds: int = SECONDS) -> Series:
    """A load that goes up and down every 40 seconds, so that much can be foreseen."""
    chance = np.random.default_rng(seed)
    times = np.arange(float(seconds))
    values = 200 + 80 * np.sin(2 * np.pi * times / PERIOD_S + seed) + chance.normal(0, 2, seconds)
    return Series(target, times, values)


def noise(seed: int) -> Series:
    """A load of which nothing can be foreseen."""
    chance = np.random.default_rng(seed)
    return Series("n", np.arange(float(SECONDS)), np.abs(chance.normal(200, 40, SECONDS)))


SETTINGS = Settings(
    horizons_s=HORIZONS_S,
    quantiles=LEVELS,
    min_history_s=600.0,
    max_rows=2400,
    iterations=20,
    side_iterations=10,
)


def forecaster() -> Forecaster:
    return Forecaster(SETTINGS)


def trained(series: Sequence[Series]) -> Kept:
    kept = train_kept(series, SETTINGS, 0)
    report = replace(kept.model.report, accepted=True)
    return Kept(replace(kept.model, report=report), kept.reference)


@pytest.fixture(scope="module")
def good() -> Kept:
    return trained([wave("a", 1), wave("b", 2)])


@pytest.fixture(scope="module")
def bad() -> Kept:
    return trained([noise(1), noise(2)])


class Turning:
    """A controller's loop, second by second, over recorded loads."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry(directory, "connections")
        self.now_s = 0.0
        self.series = [wave("a", 3, 6000), wave("b", 4, 6000)]
        self.events: list[ModelDecided] = []
        self.troubles = Troubles()
        self.restart()

    def restart(self) -> None:
        self.serving = forecaster()
        self.lineup = Lineup(
            self.registry, RULES, self.serving, self.install, self.events.append,
            self.troubles, lambda: self.now_s,
        )  # fmt: skip

    def install(self, made: Forecaster, warner: Warner | None) -> None:
        self.serving = made

    def keep(self, kept: Kept, state: State) -> Entry:
        origin = Origin(self.now_s, "data", "test")
        return self.registry.add(kept, origin, Standing(state, self.now_s, "trained"))

    async def turn(self, seconds: int, until: str | None = None) -> None:
        """Until a decision of this kind was made, at most so long."""
        for _ in range(seconds):
            self.now_s += 1.0
            past = [one.until(self.now_s).since(self.now_s - 130.0) for one in self.series]
            values = {one.target: float(one.values[-1]) for one in past}
            made: dict[str, Forecast] = self.serving.predict(past, self.now_s)
            self.lineup.turn(self.now_s, values, made, lambda past=past: past)  # type: ignore[misc]
            await self.lineup.settle()
            if until is not None and any(event.what == until for event in self.events):
                return

    def told(self) -> list[tuple[str, str]]:
        return [(event.version, event.what) for event in self.events]


def test_a_better_challenger_takes_over_and_a_restart_goes_on_with_it(
    tmp_path: Path, good: Kept, bad: Kept
) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        await world.turn(130)
        old = world.keep(bad, State.CHAMPION)
        await world.lineup.challenge(old, bad)
        assert world.lineup.serving == old.id
        new = world.keep(good, State.CHALLENGER)
        await world.lineup.challenge(new, good)
        before = world.serving
        await world.turn(40)
        assert world.serving is before  # a challenger predicts in the dark only
        await world.turn(1500, until="promoted")
        assert world.told()[-1] == (new.id, "promoted")
        event = world.events[-1]
        assert event.figures["wealth_rival_better"] >= 20
        assert event.figures["blocks"] >= RULES.least_blocks
        assert world.lineup.serving == new.id
        assert world.serving is not before
        states = world.registry.states()
        assert states.holder(State.CHAMPION) == new.id
        assert states.previous == old.id
        assert world.registry.entry(new.id).standing.reason == event.reason

        await world.lineup.close()
        world.restart()
        await world.lineup.recall()
        assert world.lineup.serving == new.id
        assert world.lineup.previous is not None
        assert world.lineup.previous.name == old.id
        found = world.serving.snapshot()
        assert found is not None
        assert found.report.trained_until_s == good.model.report.trained_until_s
        assert not world.troubles.open
        await world.lineup.close()

    asyncio.run(story())


def test_a_champion_that_is_worse_than_the_one_before_is_rolled_back(
    tmp_path: Path, good: Kept, bad: Kept
) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        await world.turn(130)
        proven, dud = world.keep(good, State.CHAMPION), world.keep(bad, State.CHALLENGER)
        # A promotion that was a mistake: of one in twenty that are no better.
        mistake = Standing(State.CHAMPION, world.now_s, "by chance")
        world.registry.change(dud.id, mistake, previous=proven.id, watch_until_s=1e6)
        await world.lineup.recall()
        assert world.lineup.serving == dud.id
        await world.turn(1500, until="rolled back")
        assert world.told()[-1] == (dud.id, "rolled back")
        assert world.lineup.serving == proven.id
        assert world.registry.states().holder(State.CHAMPION) == proven.id
        assert world.registry.entry(dud.id).state is State.REJECTED
        await world.lineup.close()

    asyncio.run(story())


def test_a_watch_that_shows_nothing_confirms_the_champion(tmp_path: Path, good: Kept) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        await world.turn(130)
        only = world.keep(good, State.CHAMPION)
        await world.lineup.challenge(only, good)
        assert world.lineup.previous is not None
        assert world.lineup.previous.name == COLD  # what served before is tried against it
        await world.turn(400, until="confirmed")
        assert world.told()[-1] == (only.id, "confirmed")
        assert world.lineup.previous is None
        await world.lineup.close()

    asyncio.run(story())


def test_a_person_can_promote_and_roll_back(tmp_path: Path, good: Kept, bad: Kept) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        first = world.keep(good, State.CHAMPION)
        second = world.keep(bad, State.CHALLENGER)
        await world.lineup.recall()
        await world.lineup.promote(second.id)
        assert world.lineup.serving == second.id
        assert world.lineup.challenger is None
        with pytest.raises(RegistryError, match="serves already"):
            await world.lineup.promote(second.id)
        with pytest.raises(RegistryError, match="there is no version"):
            await world.lineup.promote("nothing")
        assert await world.lineup.roll_back() == first.id
        with pytest.raises(RegistryError, match="no champion before"):
            await world.lineup.roll_back()
        assert world.lineup.table()["recent"][0]["what"] == "rolled back"
        await world.lineup.close()

    asyncio.run(story())


def test_what_another_process_promoted_is_taken_up(tmp_path: Path, good: Kept) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        await world.lineup.recall()
        assert world.lineup.serving == COLD
        other = Registry(tmp_path, "connections")
        entry = other.add(good, Origin(5.0, "x", "test"), Standing(State.CHAMPION, 5.0, "x"))
        await world.lineup.recall()
        assert world.lineup.serving == entry.id
        await world.lineup.close()

    asyncio.run(story())


def test_a_damaged_champion_is_named_and_the_model_without_training_serves(
    tmp_path: Path, good: Kept
) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        entry = world.keep(good, State.CHAMPION)
        file = world.registry.path / entry.id / "model.skops"
        file.write_bytes(file.read_bytes()[:-100])
        await world.lineup.recall()
        assert world.lineup.serving == COLD
        assert "changed after it was written" in world.troubles.open["models"]
        await world.turn(20)
        assert world.serving.predict(world.series, 20.0)["a"].model == "trend"
        await world.lineup.close()

    asyncio.run(story())


def test_a_champion_of_other_settings_does_not_serve(tmp_path: Path, good: Kept) -> None:
    async def story() -> None:
        world = Turning(tmp_path)
        world.keep(good, State.CHAMPION)

        other = Forecaster(replace(SETTINGS, horizons_s=(2.0, 8.0)))
        lineup = Lineup(
            world.registry, RULES, other, world.install, world.events.append,
            world.troubles, lambda: 0.0,
        )  # fmt: skip
        await lineup.recall()
        assert lineup.serving == COLD
        assert "other horizons" in world.troubles.open["models"]
        await lineup.close()
        await world.lineup.close()

    asyncio.run(story())
