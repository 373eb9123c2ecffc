"""From quantiles to the probability and the lead of a breach."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.breaches.breach import breach
from ml.breaches.recalibration import Recalibration
from ml.forecasting.forecast import Forecast

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def forecast(*rows: tuple[float, ...], last: float = 100.0) -> Forecast:
    horizons = (10.0, 20.0, 40.0)[: len(rows)]
    return Forecast("r", 0.0, horizons, QUANTILES, rows, "trend", last)


RISING = forecast((110, 115, 120, 125, 130), (150, 155, 160, 165, 170), (190, 195, 200, 205, 210))
rows = st.lists(st.floats(0, 1000), min_size=5, max_size=5).map(lambda row: tuple(sorted(row)))


def test_a_rising_forecast_crosses_between_the_horizons_around_the_threshold() -> None:
    found = breach(RISING, 140)
    assert found.probability > 0.99
    assert found.lead_s is not None
    assert 10 < found.lead_s < 20


def test_the_higher_the_threshold_the_later_the_crossing() -> None:
    leads = [breach(RISING, threshold).lead_s for threshold in (105, 120, 140, 160, 180, 200)]
    known = [lead for lead in leads if lead is not None]
    assert len(known) == len(leads)
    assert all(left < right for left, right in pairwise(known))


def test_a_threshold_at_the_median_is_exceeded_with_probability_one_half() -> None:
    assert breach(RISING, 200).probability == pytest.approx(0.5)


def test_a_count_above_the_threshold_is_a_breach_now() -> None:
    found = breach(forecast((50, 60, 70, 80, 90), last=120.0), 100)
    assert (found.probability, found.lead_s) == (1.0, 0.0)


def test_an_unlikely_breach_names_its_most_likely_horizon() -> None:
    found = breach(RISING, 207)
    assert 0.01 < found.probability < 0.5
    assert found.lead_s == 40.0


def test_a_threshold_far_above_every_quantile_has_no_lead() -> None:
    found = breach(RISING, 400)
    assert found.probability < 1e-6
    assert found.lead_s is None


def test_a_forecast_without_spread_is_certain() -> None:
    certain = forecast((5, 5, 5, 5, 5), last=5.0)
    assert breach(certain, 4.9).probability == 1.0
    assert breach(certain, 5).probability == 0.0


@given(rows, st.floats(0, 1000), st.floats(0, 1000))
def test_a_higher_threshold_is_never_more_likely_to_be_exceeded(
    row: tuple[float, ...], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    (below,), (above,) = forecast(row).exceedance(low), forecast(row).exceedance(high)
    assert 0.0 <= above <= below + 1e-9 <= 1.0 + 1e-9


@given(rows, st.sampled_from(QUANTILES))
def test_the_forecast_returns_its_own_quantiles(row: tuple[float, ...], level: float) -> None:
    assert forecast(row).at(10.0, level) == pytest.approx(row[QUANTILES.index(level)], abs=1e-6)


@given(rows, rows, st.floats(0, 40), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_higher_quantile_is_never_a_lower_count(
    first: tuple[float, ...], second: tuple[float, ...], at_s: float, one: float, other: float
) -> None:
    made = forecast(first, second)
    low, high = sorted((one, other))
    assert made.at(at_s, low) <= made.at(at_s, high) + 1e-6


def test_between_now_and_the_first_horizon_the_forecast_starts_at_the_last_value() -> None:
    assert RISING.at(5.0, 0.5) == pytest.approx(110.0)
    assert RISING.at(500.0, 0.5) == pytest.approx(200.0)


def test_a_quantile_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RISING.at(10.0, 1.0)


HALVED = Recalibration(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
RAISED = Recalibration(np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.8, 1.0]))


def test_a_recalibrated_probability_is_what_the_outcomes_said() -> None:
    plain = breach(RISING, 200)
    assert breach(RISING, 200, HALVED).probability == pytest.approx(plain.probability / 2)


def test_a_breach_likely_only_after_recalibration_names_its_likeliest_horizon() -> None:
    found = breach(RISING, 205, RAISED)
    assert found.probability > 0.5
    assert found.lead_s == 40.0


def test_a_count_above_the_threshold_stays_a_certain_breach_whatever_the_recalibration() -> None:
    found = breach(forecast((50, 60, 70, 80, 90), last=120.0), 100, HALVED)
    assert (found.probability, found.lead_s) == (1.0, 0.0)
