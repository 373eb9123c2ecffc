"""The controller learns from its own store."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from controller.config import Config, parse
from controller.events import ModelDecided
from controller.learning import trainer
from controller.learning.lineup import COLD, Lineup
from controller.learning.trainer import Trainer
from controller.learning.training_job import drift
from controller.model import RouterSample
from controller.observe.demand import Demand
from controller.predict import Foresight, make_forecaster, planned_events
from controller.recorder import Recorder
from controller.trouble import Troubles
from ml.breaches.warner import Warner
from ml.forecasting.forecaster import Forecaster
from ml.life.drift import ErrorDrift
from ml.life.promotion import Rules
from ml.life.registry import Registry
from ml.life.version import State
from ml.series import Series, connections_series

START_S = 1_000_000.0
SECONDS = 2000


def configuration(
    directory: Path, more: str = "min_history_s: 600, horizons_s: [2.0, 10.0]"
) -> Config:
    return parse(f"""\
umbra: 1
store: {{path: {directory}/umbra.db}}
audit: {{path: {directory}/audit.jsonl}}
forecast: {{{more}}}
switches:
  - {{name: r1, stage: router, device_id: 1, address: 'h:1', label: 301,
     mac: '02:00:00:00:03:01', capacity: 400, threshold_available: 100}}
  - {{name: s1, stage: spine, device_id: 2, address: 'h:2', label: 201,
     mac: '02:00:00:00:02:01', subnet: 10.2.1.0/24}}
links: [{{a: 'r1:1', b: 's1:1'}}]
clients: []
backends:
  - {{name: b1, port: 's1:9', ip: 10.2.1.10, mac: '02:00:00:00:05:01', label: 401}}
services:
  - {{id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}}
""")


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run on a machine that is never idle."""
    monkeypatch.setattr(trainer, "GIVE_WAY_S", 0.5)


def wave() -> Series:
    """A load whose arrivals are not known, and of which much can be foreseen."""
    chance = np.random.default_rng(1)
    second = np.arange(2.0 * SECONDS)
    values = 150 + 60 * np.sin(2 * np.pi * second / 40.0) + chance.normal(0, 2, len(second))
    unknown = np.full(len(second), np.nan)
    return connections_series("r1", START_S + second, values, unknown, unknown)


class World:
    """A store with a load in it, and who learns from it."""

    def __init__(
        self, directory: Path, more: str = "min_history_s: 600, horizons_s: [2.0, 10.0]"
    ) -> None:
        path = f"models: {{path: {directory}/models, retrain_growth: 0.2}}"
        self.config = configuration(directory, f"{more}, {path}")
        self.recorder = Recorder(self.config, Troubles())
        self.now_s = START_S
        self.load = wave()
        self.serving = make_forecaster(self.config)
        self.warner: Warner | None = None
        self.events: list[ModelDecided] = []
        models = self.config.forecast.models
        self.lineup = Lineup(
            Registry(models.path, "connections"), Rules(), self.serving,
            self.install, self.events.append,
            Troubles(), lambda: self.now_s,
        )  # fmt: skip
        self.trainer = Trainer(
            self.config, self.lineup, lambda: self.serving.settings, self.recorder,
            lambda: self.now_s,
        )  # fmt: skip

    def install(self, forecaster: Forecaster, warner: Warner | None) -> None:
        self.serving, self.warner = forecaster, warner

    def record(self, until_s: float) -> None:
        """The load up to then, into the store."""
        late = self.load.until(until_s).since(self.now_s)
        rows = zip(late.times_s, late.values, late.channel("new_per_s"), strict=True)
        for time_s, count, new in rows:
            sample = RouterSample("r1", float(time_s), int(count), float(new), 0.0, 0.0, 10.0)
            self.recorder.store.add_sample(sample, Demand(float(count), float(new), np.nan), 0.0)
        self.recorder.flush_soon(START_S)
        self.now_s = until_s

    async def close(self) -> None:
        self.trainer.close()
        await self.lineup.close()
        await self.recorder.close()


def test_training_runs_on_the_stores_history_in_a_process_of_its_own(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.record(START_S + SECONDS)
        assert await world.trainer.step() > 1900
        assert world.trainer.trained == 1
        assert world.trainer.latest is not None
        report = world.trainer.latest.report
        assert report.samples >= 1900
        kept = world.trainer.latest.kept
        assert (world.warner is None) == (kept is None or kept.warner is None)
        assert world.trainer.pid not in (None, os.getpid())
        (entry,) = world.lineup.registry.entries()
        assert entry.version.trigger.startswith("first training")
        assert entry.version.metrics["samples"] == report.samples
        await world.trainer.step()  # nothing new has come: no second training
        assert world.trainer.trained == 1
        assert world.lineup.serving == (entry.id if report.accepted else COLD)
        assert world.events[-1].version == entry.id
        foresight = Foresight({"r1": 300.0}, world.serving)
        outlook = foresight.look([world.load], world.now_s)["r1"]
        assert outlook.forecast is not None
        assert outlook.forecast.model == ("boosting" if report.accepted else "trend")
        await world.close()

    asyncio.run(run())


def test_the_next_training_is_a_challenger_of_the_first(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.record(START_S + SECONDS)
        await world.trainer.step()
        champion = world.lineup.serving
        assert champion != COLD, world.events
        world.record(START_S + 1.5 * SECONDS)
        await world.trainer.step()
        assert world.trainer.trained == 2
        newest = world.lineup.registry.entries()[0]
        assert newest.version.trigger.startswith("growth")
        assert newest.version.parent == champion
        assert world.lineup.serving == champion
        if newest.state is State.CHALLENGER:
            assert world.lineup.challenger is not None
            assert world.lineup.challenger.name == newest.id
        await world.close()

    asyncio.run(run())


def test_inputs_that_have_drifted_make_a_training_due(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.record(START_S + SECONDS)
        await world.trainer.step()
        assert world.lineup.reference is not None
        job = world.trainer._job("drift")
        same = drift(job, world.lineup.reference)
        assert same is not None
        assert not same.drifted
        # The load stops changing its level and goes up and down from sample to sample.
        moved = START_S + SECONDS + np.arange(400.0)
        values = (100 + 50 * (np.arange(400) % 2)).astype(np.float64)
        world.load = connections_series("r1", moved, values, np.full(400, 3.0), np.full(400, 90.0))
        world.record(START_S + SECONDS + 399)
        await world.recorder.extent(("r1",), 0.0, 0.0)  # written
        other = drift(world.trainer._job("drift"), world.lineup.reference)
        assert other is not None
        assert other.drifted
        assert other.worst[0][1] > 0.25
        await world.close()

    asyncio.run(run())


async def begun(world: World) -> tuple[asyncio.Task[bool], int]:
    """A training, and its process."""
    world.record(START_S + SECONDS)
    training = asyncio.create_task(world.trainer.train("test"))
    while world.trainer.pid is None:
        await asyncio.sleep(0.01)
    return training, world.trainer.pid


def test_a_training_process_that_dies_leaves_the_model_in_use(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        training, pid = await begun(world)
        os.kill(pid, signal.SIGKILL)
        await training
        assert world.trainer.trained == 0
        assert world.lineup.serving == COLD
        await world.trainer.step()  # not again at once
        assert world.trainer.trained == 0
        world.now_s += 301.0
        await world.trainer.step()
        assert world.trainer.trained == 1
        await world.close()

    asyncio.run(run())


def test_a_training_that_failed_does_not_answer_the_drift_that_it_was_begun_for(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        world = World(tmp_path)
        world.record(START_S + SECONDS)
        world.lineup.errors = ErrorDrift(seen=30, level=0.1, spread=0.1, sum=9.0)
        looking = asyncio.create_task(world.trainer.step())
        while world.trainer.pid is None:
            await asyncio.sleep(0.01)
        os.kill(world.trainer.pid, signal.SIGKILL)
        await looking
        assert world.lineup.errors.drifted
        world.now_s += 301.0
        await world.trainer.step()
        assert world.trainer.trained == 1
        assert not world.lineup.errors.drifted
        await world.close()

    asyncio.run(run())


def process_state(pid: int) -> str:
    """As the kernel says: R running, S sleeping, T stopped, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_training_stands_still_while_a_cycle_turns_and_is_told_to_hurry_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "GIVE_WAY_S", 3600.0)

    async def run() -> None:
        world = World(tmp_path)
        training, pid = await begun(world)
        with world.trainer.resting():
            while process_state(pid) != "T":
                await asyncio.sleep(0.001)
        while process_state(pid) == "T":
            await asyncio.sleep(0.001)
        world.trainer._give_way(idle=False)  # as after GIVE_WAY_S
        with world.trainer.resting():
            assert process_state(pid) != "T"
        await training
        assert world.trainer.trained == 1
        await world.close()

    asyncio.run(run())


def test_an_event_for_a_service_concerns_its_routers(tmp_path: Path) -> None:
    event = "{name: sale, start: 1970-01-01T00:00:10Z, end: 20, services: [web], factor: 3}"
    (found,) = planned_events(configuration(tmp_path, f"events: [{event}]"))
    assert (found.start_s, found.end_s, found.targets, found.expected_factor) == (
        10.0,
        20.0,
        ("r1",),
        3.0,
    )
