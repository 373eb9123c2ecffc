"""How long serving and training take: a thousand targets in one call, a week of two hundred series."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ml.evaluation.dataset import grid_s
from ml.evaluation.generated import MIDNIGHT_S
from ml.forecasting.boosting import train
from ml.forecasting.forecaster import Forecaster
from ml.series import Series
from ml.settings import Settings

HORIZONS_S = (60.0, 300.0, 600.0, 900.0)
QUANTILES = (0.05, 0.5, 0.95)
STEP_S = 60.0
DAYS, SERIES = 7, 200
TARGETS = 1000


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock, and seconds of computing: on a busy machine they differ."""

    wall_s: float
    cpu_s: float


def load(targets: int, samples: int, seed: int = 0) -> list[Series]:
    """Generated loads with a daily cycle, one sample a minute. Only their size matters here."""
    draws = np.random.default_rng(seed)
    times_s = grid_s(MIDNIGHT_S, STEP_S, samples)
    angle = 2 * np.pi * times_s / 86_400
    made = []
    for number in range(targets):
        noise = np.convolve(draws.normal(0, 6, samples), 0.8 ** np.arange(20), "same")
        level = draws.uniform(50, 300)
        wave = 1 + 0.3 * np.sin(angle + draws.uniform(0, 2 * np.pi))
        made.append(Series(f"t{number}", times_s, np.maximum(0.0, level * wave + noise)))
    return made


def train_s() -> Took:
    """One training on 7 days of 200 series."""
    history = load(SERIES, int(DAYS * 86_400 / STEP_S))
    settings = Settings(metric="load", horizons_s=HORIZONS_S, quantiles=QUANTILES, step_s=STEP_S)
    began, began_cpu = time.perf_counter(), time.process_time()
    train(history, settings, 0)
    return Took(time.perf_counter() - began, time.process_time() - began_cpu)


def predict_s(rounds: int = 15) -> list[Took]:
    """Each of several serving calls: 1,000 targets × 4 horizons × 3 quantiles, one new sample per target
    before each, after a few calls that are not counted. Raises RuntimeError when the trained model
    does not serve: the figure would be another's.
    """
    forecaster = Forecaster(
        Settings(metric="load", horizons_s=HORIZONS_S, quantiles=QUANTILES, step_s=STEP_S)
    )
    samples = int(2 * 86_400 / STEP_S)
    history = load(TARGETS, samples)
    forecaster.adopt(train(history[:20], forecaster.settings, 0))
    found: list[Took] = []
    warm_up = 3
    for turn in range(warm_up + rounds):
        now_s = float(history[0].times_s[samples - warm_up - rounds + turn])
        known = [one.until(now_s) for one in history]
        began, began_cpu = time.perf_counter(), time.process_time()
        forecasts = forecaster.predict(known, now_s)
        took = Took(time.perf_counter() - began, time.process_time() - began_cpu)
        served = sum(one.model == "boosting" for one in forecasts.values())
        if served < 0.9 * TARGETS:
            raise RuntimeError(f"the model serves {served} of {TARGETS} targets only")
        if turn >= warm_up:
            found.append(took)
    return found
