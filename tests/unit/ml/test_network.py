"""The network beside the trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml.forecasting.network import Network, teach

ROWS, COLUMNS = 4000, 6


def inputs(seed: int, rows: int = ROWS) -> np.ndarray:
    """Two horizons that differ in the last column alone; a column that says nothing, and unknowns."""
    draws = np.random.default_rng(seed)
    first = draws.normal(0.0, 1.0, (rows, COLUMNS))
    first[:, 3] = np.nan
    first[:, 4] = 7.0
    first[draws.random(rows) < 0.1, 2] = np.nan
    second = first.copy()
    second[:, 5] = draws.normal(0.0, 1.0, rows)
    return np.stack([first, second])


def truth(rows: np.ndarray) -> np.ndarray:
    return np.stack([np.abs(rows[0, :, 0]) + rows[0, :, 5], 5.0 * rows[1, :, 1] * rows[1, :, 5]], 1)


@pytest.fixture(scope="module")
def taught() -> Network:
    rows = inputs(1)
    noise = np.random.default_rng(2).standard_t(2, (ROWS, 2)) * 0.2
    outcome = truth(rows) + noise
    outcome[::7, 1] = np.nan
    return teach(rows, outcome, range(COLUMNS), np.ones(ROWS), 0)


def test_it_learns_bends_and_products_that_no_straight_line_has(taught: Network) -> None:
    rows = inputs(3, 1000)
    wanted = truth(rows)
    error = np.abs(taught.medians(rows) - wanted).mean(axis=0)
    # The best straight lines leave half of the first horizon's and all of the second's.
    assert (error < 0.45 * np.abs(wanted - np.median(wanted, axis=0)).mean(axis=0)).all()


def test_only_what_differs_between_horizons_is_kept_for_each(taught: Network) -> None:
    assert taught.own == (5,)
    assert taught.shared == (0, 1, 2, 3, 4)


def test_a_row_alone_has_the_forecast_that_it_has_among_a_thousand(taught: Network) -> None:
    rows = inputs(4, 1000)
    together = taught.medians(rows)
    for one in (0, 10, 999):
        alone = taught.medians(rows[:, one : one + 1])[0]
        np.testing.assert_allclose(alone, together[one], rtol=1e-10, atol=1e-10)


@hypothesis_settings(max_examples=50, deadline=None)
@given(
    rows=arrays.arrays(
        np.float64, (2, 3, COLUMNS), elements=st.floats(-1e300, 1e300) | st.just(np.nan)
    )
)
def test_whatever_it_sees_it_says_a_number_within_reach(taught: Network, rows: np.ndarray) -> None:
    found = taught.medians(rows)
    assert np.isfinite(found).all()
    assert (np.abs(found) < 1000 * taught.size).all()


def test_rows_that_count_more_are_met_more_closely() -> None:
    draws = np.random.default_rng(5)
    rows = draws.normal(0.0, 1.0, (1, 2000, 1))
    heavy = draws.random(2000) < 0.4
    outcome = np.where(heavy, 1.0, -1.0)[:, None]
    plain = teach(rows, outcome, (0,), np.ones(2000), 0).medians(rows).mean()
    weighted = teach(rows, outcome, (0,), np.where(heavy, 3.0, 0.3), 0).medians(rows).mean()
    assert plain < -0.5
    assert weighted > 0.5


def test_the_same_seed_gives_the_same_network() -> None:
    rows = inputs(6, 600)
    one, other = (
        teach(rows, truth(rows), range(COLUMNS), np.ones(600), 3).medians(rows) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def test_it_does_not_look_at_columns_that_it_was_not_given() -> None:
    rows = inputs(7, 600)
    found = teach(rows, truth(rows), (0, 1, 5), np.ones(600), 0)
    changed = rows.copy()
    changed[:, :, 2:5] = 1e6
    np.testing.assert_array_equal(found.medians(rows), found.medians(changed))


def test_what_says_nothing_is_not_learnt_by_heart() -> None:
    """Twenty inputs tell the outcome a little, each the same; sixty tell nothing of it."""

    def rows(seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        draws = np.random.default_rng(seed)
        hidden = draws.normal(0.0, 1.0, number)
        wide = draws.normal(0.0, 1.0, (1, number, 80))
        wide[0, :, :20] += hidden[:, None]
        return wide, (hidden + draws.standard_t(3, number))[:, None]

    found = teach(*rows(8, 3000), range(80), np.ones(3000), 0)
    inputs, outcome = rows(9, 3000)
    known = inputs[0, :, :20].mean(axis=1, keepdims=True)  # all but the hidden cause itself
    error = np.abs(outcome - found.medians(inputs)).mean()
    assert error < 1.03 * np.abs(outcome - known).mean()  # without blanking 1.05
