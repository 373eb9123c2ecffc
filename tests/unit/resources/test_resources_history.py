"""What is remembered of devices' use, and what is foreseen from it."""

from __future__ import annotations

import asyncio
import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config.resource_devices import UseForecastConfig
from controller.model.resources import Amounts, Resource
from controller.resources.foresight import UseForesight
from controller.resources.history import UseHistory
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent

BASE = Amounts(2.0, 1000.0, 1e6)
PATIENCE_S = 240.0


def use(cores: float) -> Amounts:
    return Amounts(cores, 100.0 + cores, 1000.0 * cores)


def filled(number: int, cores: float = 0.5, rise: float = 0.0) -> UseHistory:
    history = UseHistory(1.0, 240)
    for at in range(number):
        history.add("r1", 1000.0 + at, use(cores + rise * at))
    return history


@given(st.integers(1, 700), st.integers(130, 400))
def test_the_last_samples_are_kept_in_order(number: int, keep: int) -> None:
    history = UseHistory(1.0, keep)
    for at in range(number):
        history.add("r1", float(at), use(float(at)))
    (cpu,) = history.series(Resource.CPU)
    expected = list(range(number))[-keep:]
    assert cpu.times_s.tolist() == expected
    assert cpu.values.tolist() == expected
    (network,) = history.series(Resource.NETWORK)
    assert network.values.tolist() == [1000.0 * at for at in expected]


def test_a_step_holds_the_mean_of_its_samples() -> None:
    history = UseHistory(10.0, 240)
    for at in range(0, 42, 2):
        history.add("r1", float(at), use(float(at)))
    (cpu,) = history.series(Resource.CPU)
    assert cpu.times_s.tolist() == [0, 10, 20, 30, 40]
    assert cpu.values.tolist() == [0, 6, 16, 26, 36]


def test_a_clock_that_is_set_back_begins_anew_from_there() -> None:
    history = filled(50)
    history.add("r1", 1020.5, use(9.0))
    history.add("r1", 1021.5, use(9.0))
    (cpu,) = history.series(Resource.CPU)
    assert cpu.times_s[-1] == 1021.5
    assert cpu.values[-1] == 9.0
    assert (cpu.times_s[1:] > cpu.times_s[:-1]).all()


def look(history: UseHistory, now_s: float, **settings: object) -> UseForesight:
    section = UseForecastConfig(horizons_s=(5.0, 10.0), step_s=1.0, **settings)  # type: ignore[arg-type]
    foresight = UseForesight(section, Troubles())
    asyncio.run(foresight.look(history, {"r1": BASE}, now_s))
    return foresight


def test_forecasts_are_shares_of_the_base_for_every_resource() -> None:
    forecast = look(filled(60), 1059.0).forecasts["r1"]
    assert forecast.horizons_s == (5.0, 10.0)
    middle = forecast.quantiles[0][forecast.levels.index(0.5)]
    assert middle.cpu_cores == pytest.approx(0.25, rel=0.05)
    assert middle.memory_bytes == pytest.approx(0.1005, rel=0.05)
    assert middle.network_bps == pytest.approx(0.0005, rel=0.05)


def test_a_ramp_is_foreseen_to_go_on() -> None:
    forecast = look(filled(60, rise=0.01), 1059.0).forecasts["r1"]
    now, later = 0.5 + 0.59, forecast.quantiles[1][forecast.levels.index(0.5)].cpu_cores * 2.0
    assert later > now + 0.03


def test_a_handful_of_samples_foretells_nothing() -> None:
    assert look(filled(10), 1009.0).forecasts == {}


def test_without_forecasts_there_are_none() -> None:
    assert look(filled(60), 1059.0, enabled=False).forecasts == {}


def test_forecasts_hold_for_a_step() -> None:
    history = filled(60)
    foresight = look(history, 1059.0)
    before = foresight.forecasts
    asyncio.run(foresight.look(history, {"r1": BASE}, 1059.5))
    assert foresight.forecasts is before
    asyncio.run(foresight.look(history, {"r1": BASE}, 1060.5))
    assert foresight.forecasts is not before


def test_planned_events_reach_every_forecaster() -> None:
    foresight = UseForesight(UseForecastConfig(horizons_s=(5.0,), step_s=1.0), Troubles())
    event = PlannedEvent("sale", 2000.0, 3000.0, ("r1",), 3.0)
    foresight.plan((event,))
    asyncio.run(foresight.look(filled(60), {"r1": BASE}, 1059.0))
    for resource in Resource:
        assert foresight.forecasters[resource].settings.calendar == (event,)
    assert math.isfinite(foresight.forecasts["r1"].peak()[-1].cpu_cores)


def day(time_s: float, phase: float) -> float:
    """Cores at a time of day."""
    return 1.0 + 0.8 * math.sin(2.0 * math.pi * (time_s / 86_400.0 + phase))


def test_a_model_that_has_learned_the_hours_of_the_day_takes_over() -> None:
    step_s, phases = 600.0, {"r1": 0.0, "r2": 0.1, "r3": 0.2}
    section = UseForecastConfig(
        horizons_s=(3600.0, 7200.0), step_s=600.0, min_history_s=86_400.0, history_s=2_000_000.0
    )
    history, foresight = UseHistory(step_s, 2000), UseForesight(section, Troubles())
    noise = random.Random(1)

    def add(at: int) -> float:
        time_s = 1.7e9 + step_s * at
        for name, phase in phases.items():
            cores = day(time_s, phase) * noise.uniform(0.97, 1.03)
            history.add(name, time_s, use(cores))
        return time_s

    async def learn() -> None:
        for at in range(600):
            now_s = add(at)
        at, deadline_s = 600, time.monotonic() + PATIENCE_S
        while "boosting" not in foresight.models.values():
            assert time.monotonic() < deadline_s, foresight.models
            await foresight.look(history, dict.fromkeys(phases, BASE), now_s)
            now_s, at = add(at), at + 1
            await asyncio.sleep(0.2)
        await foresight.close()
        made = foresight.forecasts["r1"]
        expected = day(made.made_s + 7200.0, 0.0) / 2.0
        found = made.quantiles[1][made.levels.index(0.5)].cpu_cores
        assert found == pytest.approx(expected, abs=0.1)

    asyncio.run(learn())
