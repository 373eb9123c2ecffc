"""Histories and a trained model that several tests share."""

from __future__ import annotations

import pytest

from ml import simulate
from ml.forecasting.boosting import TrainedModel, train
from ml.series import Series
from ml.settings import Settings

SETTINGS = Settings(horizons_s=(5.0, 20.0, 60.0), max_rows=4000, min_history_s=600.0, iterations=40)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS


@pytest.fixture(scope="session")
def diurnal_history() -> list[Series]:
    """Three routers over four compressed days of 15 minutes."""
    return [
        simulate.connections(
            simulate.diurnal(40, 0.5, 900, phase_s=100.0 * seed),
            3600,
            6.0,
            seed,
            target=f"service{seed}",
        )
        for seed in range(3)
    ]


@pytest.fixture(scope="session")
def trained(diurnal_history: list[Series]) -> TrainedModel:
    return train(diurnal_history, SETTINGS, seed=1)
