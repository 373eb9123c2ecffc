"""Probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.breaches.recalibration import IDENTITY, recalibrate, reliability


def overconfident(seed: int, rows: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose square is how often it comes true."""
    random = np.random.default_rng(seed)
    said = random.uniform(0, 1, rows)
    return said, random.uniform(0, 1, rows) < said**2


def test_an_overconfident_forecaster_is_corrected_on_other_data() -> None:
    said, came = overconfident(1)
    fitted = recalibrate(said, came)
    later, came_later = overconfident(2)
    before, after = reliability(later, came_later), reliability(fitted.apply(later), came_later)
    assert after.gap < 0.25 * before.gap
    assert after.brier < before.brier


def test_with_few_cases_probabilities_stay_as_they_are() -> None:
    said = np.linspace(0, 1, 100)
    assert recalibrate(said, said > 0.9) is IDENTITY


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_recalibration_keeps_the_order_and_never_becomes_certain(values: list[float]) -> None:
    fitted = recalibrate(*overconfident(3, 2000))
    made = fitted.apply(np.sort(np.array(values)))
    assert (np.diff(made) >= 0).all()
    assert ((made > 0) & (made < 1)).all()


def test_the_table_counts_every_forecast_once() -> None:
    said, came = overconfident(4, 1000)
    table = reliability(said, came)
    assert sum(one.cases for one in table.bins) == 1000
    assert all(one.low <= one.forecast <= one.high for one in table.bins)


def test_without_forecasts_there_is_no_table() -> None:
    with pytest.raises(ValueError, match="at least one"):
        reliability(np.zeros(0), np.zeros(0, dtype=np.bool_))
