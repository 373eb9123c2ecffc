"""What a higher limit may do to the inputs of the breach models: no column tells of more risk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ml import simulate
from ml.breaches import crossing_channels, crossing_inputs, ramp_inputs

STEP_S, HORIZON, DAY = 300.0, 6, 288
Columns = tuple[tuple[str, int], ...]


def daily(seed: int, days: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Daily cycles with noise; times are Unix seconds."""
    random = np.random.default_rng(seed)
    times_s = 1_700_006_400.0 + STEP_S * np.arange(days * DAY)
    noise = np.convolve(random.normal(0, 1.5, len(times_s) + 11), np.ones(12) / 4, "valid")
    return times_s, 100 + 30 * np.sin(2 * np.pi * times_s / 86_400) + noise


def of_a_crossing(limit: float) -> np.ndarray:
    times_s, values = daily(4)
    ends = np.arange(600, 2300, 50)
    return crossing_inputs.crossing_inputs(values, times_s, ends, limit, HORIZON, STEP_S)


def of_a_ramp(limit: float) -> np.ndarray:
    _, values = daily(2)
    return ramp_inputs.ramp_inputs(values, np.arange(400, 1700, 40), limit, HORIZON, STEP_S)


def of_arrivals(limit: float) -> np.ndarray:
    series = simulate.connections(simulate.step(8.0, 20.0, 200.0), 260.0, 8.0, 1)
    ends = np.array([70, 150, 195, 203, 207, 230])
    return crossing_channels.channel_inputs(series, ends, limit, 30, 1.0)


@pytest.mark.parametrize(
    ("columns", "inputs", "low", "high"),
    [
        (
            tuple(zip(crossing_inputs.NAMES, crossing_inputs.DIRECTIONS, strict=True)),
            of_a_crossing,
            118.0,
            126.0,
        ),
        (ramp_inputs.COLUMNS, of_a_ramp, 118.0, 140.0),
        (crossing_channels.COLUMNS, of_arrivals, 120.0, 150.0),
    ],
)
def test_every_column_moves_with_the_limit_only_in_its_stated_direction(
    columns: Columns, inputs: Callable[[float], np.ndarray], low: float, high: float
) -> None:
    change = inputs(high) - inputs(low)
    assert change.shape[1] == len(columns)
    for (name, direction), column in zip(columns, change.T, strict=True):
        known = column[np.isfinite(column)]
        assert len(known), f"{name}: nothing is known of it"
        if direction == 0:
            np.testing.assert_allclose(known, 0.0, atol=1e-9, err_msg=name)
        else:
            assert (known * direction <= 1e-9).all(), name
