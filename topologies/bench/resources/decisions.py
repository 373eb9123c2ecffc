"""How long decisions take: a cycle of a thousand devices, and one device alone."""

from __future__ import annotations

import time

import numpy as np

from controller.model.resources import Amounts, Mode, Policy, Prices, ResourceForecast
from controller.plan.resources import (
    DeviceView,
    ManagerSettings,
    ManagerState,
    ManagerView,
    update_shadow_resources,
)
from topologies.bench.progress import Progress
from topologies.bench.result import Figure

DEVICES, CYCLES = 1000, 12
PERIOD_S = 5.0
HORIZONS_S = (300.0, 600.0, 900.0)
LEVELS = (0.05, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.997)
POLICY = Policy(
    name="many",
    base=Amounts(1.0, 1.0, 1.0),
    mode=Mode.ACTIVE,
    prices=Prices(Amounts(1.0, 1.0, 1.0), Amounts(120.0, 120.0, 120.0)),
)


def run(progress: Progress, *, devices: int = DEVICES, cycles: int = CYCLES) -> dict[str, Figure]:
    """Time `cycles` cycles of `devices` devices, and twenty times as many decisions for one device."""
    progress(f"cycles of {devices} devices")
    whole, cpu = _seconds(devices, cycles)
    single_ms = [1000.0 * one for one in _seconds(1, 20 * cycles)[0]]
    return {
        "devices_per_cycle": Figure(float(devices), "1", len(whole), "higher"),
        "cycle_p50_s": Figure(round(float(np.median(whole)), 4), "s", len(whole), "lower"),
        "cycle_cpu_p50_s": Figure(round(float(np.median(cpu)), 4), "s", len(cpu), "lower"),
        "cycle_max_s": Figure(round(max(whole), 4), "s", len(whole), "lower"),
        "decision_p50_ms": _percentile(single_ms, 50),
        "decision_p99_ms": _percentile(single_ms, 99),
        "decision_max_ms": _percentile(single_ms, 100),
    }


def _percentile(values: list[float], percent: float) -> Figure:
    return Figure(round(float(np.percentile(values, percent)), 3), "ms", len(values), "lower")


def _seconds(devices: int, cycles: int) -> tuple[list[float], list[float]]:
    """Of each cycle, by the clock and of computing. Devices' load and forecasts waver; three resources, horizons as the
    specification names them.
    """
    random = np.random.default_rng(3)
    settings, state = ManagerSettings(PERIOD_S), ManagerState()
    spread = np.linspace(0.8, 1.3, len(LEVELS))
    times_s, cpu_s = [], []
    for cycle in range(cycles):
        now_s = 1_700_000_000.0 + PERIOD_S * cycle
        views = []
        for place, used in enumerate(random.uniform(0.1, 1.1, devices).tolist()):
            rows = tuple(
                tuple(Amounts(value, value, value) for value in (used * more * spread).tolist())
                for more in (1.0, 1.05, 1.1)
            )
            forecast = ResourceForecast(str(place), now_s, HORIZONS_S, LEVELS, rows)
            use = Amounts(used, used, used)
            views.append(DeviceView(str(place), use, Amounts(1.0, 1.0, 1.0), forecast))
        view = ManagerView(tuple(views), (POLICY,))
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        _, state = update_shadow_resources(view, state, now_s, settings)
        times_s.append(time.perf_counter() - begin_s)
        cpu_s.append(time.process_time() - begin_cpu_s)
    return times_s, cpu_s
