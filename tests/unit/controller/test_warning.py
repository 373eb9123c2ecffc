"""From a recorded history to a warning in time: the controller trains, adopts, and shifts before the breach."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from controller.commands import model_tables
from controller.events import ShiftDecided
from controller.learning import trainer
from controller.learning.lineup import COLD
from controller.model import RouterSample
from controller.observe.demand import Demand
from controller.serve.model_schemas import ModelsState
from harness.simworld import START_S, World
from ml import simulate
from ml.series import Floats

PERIOD_S = 150.0
HISTORY_S = 7200.0
LIMIT = 300.0
MEAN_S = 10.0


def load(time_s: Floats) -> Floats:
    """New connections per second: calm, and in each period a ramp that crosses the limit."""
    return np.interp(
        (time_s - START_S) % PERIOD_S, [0, 60, 95, 110, 125, 150], [15, 15, 36, 36, 15, 15]
    )


def world(directory: Path, budget: float = 96.0) -> World:
    """With two hours of that load in its store."""
    sim = World(
        directory,
        lambda time_s: float(load(np.array([time_s]))[0]),
        "forecast: {horizons_s: [10.0, 30.0], min_history_s: 600, "
        f"false_alarms_per_day: {budget}, models: {{path: {directory}/models}}}}",
    )
    past = simulate.connections(
        lambda second: load(START_S - HISTORY_S + second), HISTORY_S, MEAN_S, 3,
        target="r1", start_s=START_S - HISTORY_S,
    )  # fmt: skip
    new, duration = past.channel("new_per_s"), past.channel("mean_duration_s")
    rows = zip(past.times_s, past.values, new, duration, strict=True)
    for time_s, live, opened, lasted in rows:
        sample = RouterSample("r1", float(time_s), int(live), float(opened), 0.0, 0.0, MEAN_S)
        told = Demand(float(live), float(opened), float(lasted))
        sim.controller.recorder.store.add_sample(sample, told, 0.0)
    assert sim.controller.recorder.store.flush()
    return sim


async def adopted(sim: World) -> None:
    """Until a trained model serves."""
    learning = sim.controller.learning
    while learning.lineup.serving == COLD:
        done = learning.trainer.trained and not learning.trainer.training
        assert not done, learning.trainer.latest
        await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run on a machine that is never idle."""
    monkeypatch.setattr(trainer, "GIVE_WAY_S", 0.5)


def test_a_trained_alarm_shifts_before_the_threshold_is_crossed_and_a_restart_keeps_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        sim = world(tmp_path)
        assert sim.controller.cycle.foresight.warner is None
        await sim.controller.start()
        assert sim.controller.state()["models"]["alarm"] == "simple"
        await adopted(sim)
        assert sim.controller.state()["models"]["alarm"] == "trained"
        state = await sim.controller.models()
        TypeAdapter(ModelsState).validate_python(state)
        assert state["alarm"]["rule"] == "trained"
        assert state["alarm"]["budget_per_day"] == 96.0
        assert "under its own limits" in state["alarm"]["reason"]
        assert "trained for 96 false alarms a day" in model_tables.serving(state)
        (version,) = state["versions"]
        assert version["metrics"]["alarm_accepted"]
        assert version["metrics"]["alarm_level"] == state["alarm"]["level"]
        # The simulated time stood still while it trained. Now the next ramp comes.
        warned_s: float | None = None
        crossed_s: float | None = None
        while crossed_s is None:
            await sim.turns(1)
            seen = sim.controller.cycle.outlooks["r1"]
            if not seen.alarm:
                warned_s = None
            elif warned_s is None:
                warned_s = sim.sim.time_s
            if sim.controller.cycle.demands["r1"].count > LIMIT:
                crossed_s = sim.sim.time_s
            assert sim.sim.time_s < START_S + 2 * PERIOD_S
        assert warned_s is not None
        assert crossed_s - warned_s >= 3.0
        assert crossed_s - warned_s <= 2 * 30.0
        shifts = [one.decision for one in sim.events if isinstance(one, ShiftDecided)]
        assert shifts[0].trigger == "prediction"
        assert shifts[0].time_s < crossed_s
        assert shifts[0].inputs["alarm"] == 1.0
        assert (shifts[0].inputs["live"] or 0.0) < LIMIT
        assert sim.share() < 100
        assert "predict" not in sim.controller.state()["troubles"]
        # Above its limit nothing needs an alarm to be certain.
        assert sim.controller.cycle.outlooks["r1"].alarm
        assert sim.router("r1")["forecast"]["breach_probability"] == 1.0
        rule = sim.controller.cycle.foresight.warner.rule  # type: ignore[union-attr]
        await sim.restart()
        while sim.controller.learning.lineup.serving == COLD:
            await asyncio.sleep(0.005)
        again = sim.controller.cycle.foresight.warner
        assert again is not None
        assert again.rule == rule
        await sim.close()

    asyncio.run(story())
