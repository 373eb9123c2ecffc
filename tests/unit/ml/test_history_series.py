"""What a history may look like, and what resampling makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.series import Series, connections_series


def series(times: list[float], counts: list[float]) -> Series:
    values = np.array(counts, dtype=float)
    return connections_series(
        "r", np.array(times, dtype=float), values, values / 10, np.full(len(times), 6.0)
    )


@given(st.lists(st.floats(-0.45, 0.45), min_size=2, max_size=60))
def test_a_poll_that_jitters_by_less_than_half_a_step_loses_no_sample(jitter: list[float]) -> None:
    jitter[-1] = 0.0  # the grid ends at the last sample
    times = [1000.0 + i + offset for i, offset in enumerate(jitter)]
    counts = [float(i) for i in range(len(times))]
    grid = series(times, counts).resampled(1.0)
    assert grid.values.tolist() == counts
    assert np.allclose(np.diff(grid.times_s), 1.0)


def test_a_missed_poll_becomes_a_missing_sample() -> None:
    grid = series([0, 1, 3, 4], [1, 2, 4, 5]).resampled(1.0)
    assert np.isnan(grid.values[2])
    assert grid.values[[0, 1, 3, 4]].tolist() == [1, 2, 4, 5]


def test_a_coarser_grid_keeps_the_last_value_and_averages_the_rates() -> None:
    grid = series([1, 2, 3, 4], [10, 20, 30, 50]).resampled(2.0)
    assert grid.values.tolist() == [10, 30, 50]
    assert np.allclose(grid.channel("new_per_s"), [1.0, 2.5, 5.0])


def test_a_series_cut_at_a_time_has_no_later_sample() -> None:
    cut = series([0, 1, 2, 3], [1, 2, 3, 4]).until(2.0)
    assert cut.times_s.tolist() == [0, 1, 2]
    assert cut.since(1.0).values.tolist() == [2, 3]


@pytest.mark.parametrize("times", [[0.0, 0.0], [1.0, 0.0], [0.0, float("nan")]])
def test_times_that_do_not_ascend_are_refused_by_name(times: list[float]) -> None:
    with pytest.raises(ValueError, match=r"series 'r'.*time"):
        series(times, [1, 2])


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="values has 1 samples, times_s has 2"):
        Series("r", np.arange(2.0), np.zeros(1))
