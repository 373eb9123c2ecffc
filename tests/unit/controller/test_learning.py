"""The whole controller with a kept model: it serves, is told of, and serves again after a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from controller.events import ModelDecided
from controller.model import RouterSample
from controller.observe import past
from controller.observe.demand import Demand
from controller.predict import make_forecaster
from controller.serve.control import ModelRefused
from controller.serve.model_schemas import ModelsState
from harness.simworld import START_S, World
from ml.life.registry import Kept, Origin, Registry
from ml.life.training import train_kept
from ml.life.version import Standing, State
from ml.series import connections_series

SECONDS = 2000


def world(directory: Path) -> World:
    more = f"forecast: {{horizons_s: [2.0, 10.0], models: {{path: {directory}/models}}}}"
    return World(directory, lambda _: 10.0, more)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A model for the simulated controller's settings."""
    chance = np.random.default_rng(1)
    times = np.arange(float(SECONDS))
    values = 100 + 40 * np.sin(2 * np.pi * times / 40.0) + chance.normal(0, 4, SECONDS)
    rates = np.abs(chance.normal(10, 1, SECONDS))
    load = connections_series("r1", times, np.abs(values), rates, np.full(SECONDS, 10.0))
    settings = make_forecaster(world(tmp_path_factory.mktemp("settings")).config).settings
    found = train_kept([load], settings, 0)
    assert found.model.report.rows, found.model.report.reason
    return replace(
        found, model=replace(found.model, report=replace(found.model.report, accepted=True))
    )


def put(directory: Path, kept: Kept, created_s: float, state: State) -> str:
    registry = Registry(directory / "models", "connections")
    return registry.add(kept, Origin(created_s, "x", "test"), Standing(state, created_s, "test")).id


async def serving(sim: World, version: str) -> None:
    """Until this version serves."""
    for _ in range(2000):
        if sim.controller.learning.lineup.serving == version:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{version} does not serve: {sim.controller.state()['models']}")


def test_a_restart_goes_on_with_the_champion(tmp_path: Path, kept: Kept) -> None:
    async def story() -> None:
        champion = put(tmp_path, kept, START_S, State.CHAMPION)
        sim = world(tmp_path)
        await sim.controller.start()
        await serving(sim, champion)
        await sim.turns(60)
        await sim.controller.learning.lineup.settle()
        assert sim.controller.state()["models"]["serving"] == champion
        forecast = sim.router("r1")["forecast"]
        assert forecast is not None
        assert "predict" not in sim.controller.state()["troubles"]
        assert "dark models" not in sim.controller.state()["troubles"]
        await sim.restart()
        await serving(sim, champion)
        await sim.turns(5)
        told = [event for event in sim.events if isinstance(event, ModelDecided)]
        assert [(event.version, event.what) for event in told] == [(champion, "champion")] * 2
        await sim.close()
        audit = (tmp_path / "audit.jsonl").read_text().splitlines()
        models = [line["model"] for line in map(json.loads, audit) if "model" in line]
        assert [line["version"] for line in models] == [champion] * 2

    asyncio.run(story())


def test_days_of_the_store_are_remembered_after_a_restart(tmp_path: Path, kept: Kept) -> None:
    async def story() -> None:
        sim = world(tmp_path)
        for number in range(1000):
            time_s, count = START_S - 90_000 + 10.0 * number, 50.0 + number % 6
            told = RouterSample("r1", time_s, int(count), 1.0, 1.0, 0.0, 10.0)
            sim.controller.recorder.store.add_sample(told, Demand(count, 1.0, 10.0), 0.0)
        assert sim.controller.recorder.store.flush()
        found = past.means(sim.config.store.path, ["r1"], 0.0, 60.0)
        assert len(found[0]) in (166, 167)
        assert np.allclose(found[0].values[1:], 52.5, atol=1.0)
        put(tmp_path, kept, START_S, State.CHAMPION)
        await sim.controller.start()
        await serving(sim, sim.controller.learning.registry.entries()[0].id)
        memory = sim.controller.cycle.foresight.forecaster._memory
        yesterday = memory.fine.at(["r1"], np.array([[START_S - 86_400.0]]))
        assert yesterday[0, 0] == pytest.approx(52.5, abs=1.0)
        await sim.close()

    asyncio.run(story())


def test_a_store_whose_days_cannot_be_read_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        sim = world(tmp_path)
        Path(sim.config.store.path).write_bytes(b"no database" * 1000)
        await sim.controller.start()
        async with asyncio.timeout(30.0):
            while not sim.controller.troubles.counts.get("memory"):
                await asyncio.sleep(0.005)
        await sim.close()

    asyncio.run(story())


def test_the_api_says_what_predicts_in_the_dark(tmp_path: Path, kept: Kept) -> None:
    async def story() -> None:
        champion = put(tmp_path, kept, START_S, State.CHAMPION)
        rival = put(tmp_path, kept, START_S + 1, State.CHALLENGER)
        sim = world(tmp_path)
        await sim.controller.start()
        await serving(sim, champion)
        for _ in range(90):
            await sim.turns(1)
            await sim.controller.learning.lineup.settle()
        state = await sim.controller.models()
        TypeAdapter(ModelsState).validate_python(state)
        assert state["dark"][0]["role"] == "challenger"
        assert state["dark"][0]["version"] == rival
        contest = state["dark"][0]["contest"]
        assert contest["blocks"] >= 1
        assert contest["rival_better_pct"] == pytest.approx(0.0)  # it is the same model
        assert {one["id"] for one in state["versions"]} == {champion, rival}
        await sim.controller.promote_model(rival)
        await sim.turns(1)
        assert sim.controller.state()["models"]["serving"] == rival
        await sim.controller.roll_back_model()
        assert sim.controller.state()["models"]["serving"] == champion
        with pytest.raises(ModelRefused, match="no champion before"):
            await sim.controller.roll_back_model()
        await sim.close()

    asyncio.run(story())
