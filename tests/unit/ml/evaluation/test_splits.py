"""Splits and origins: no outcome of one part is ever seen by the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.splits import chronological, outcomes, rolling_origins


@given(
    span_s=st.floats(1e4, 1e7),
    begin_s=st.floats(0, 2e9),
    purge_share=st.floats(0.0001, 0.19),
)
def test_parts_follow_each_other_with_a_purge_between(
    span_s: float, begin_s: float, purge_share: float
) -> None:
    purge_s = purge_share * span_s
    split = chronological(begin_s, begin_s + span_s, purge_s)
    assert split.begin_s < split.train_end_s
    assert split.calibration_start_s - split.train_end_s == pytest.approx(purge_s, abs=1e-3)
    assert split.calibration_start_s < split.calibration_end_s
    assert split.test_start_s - split.calibration_end_s == pytest.approx(purge_s, abs=1e-3)
    assert split.test_start_s < split.test_end_s


def test_a_recording_too_short_for_its_purge_is_refused() -> None:
    with pytest.raises(ValueError, match="too short for a purge of 1800 s"):
        chronological(0, 5000, 1800)


@given(
    steps=st.integers(40, 200),
    longest=st.integers(1, 10),
    most=st.one_of(st.none(), st.integers(1, 300)),
    seed=st.integers(0, 1000),
)
def test_no_origin_lies_outside_its_part_or_has_an_outcome_beyond_it(
    steps: int, longest: int, most: int | None, seed: int
) -> None:
    draws = np.random.default_rng(seed)
    values = np.where(draws.random((3, steps)) < 0.2, np.nan, draws.normal(size=(3, steps)))
    times = 10.0 * np.arange(steps)
    start, end = times[steps // 3], times[-5]
    origins = rolling_origins(values, times, start, end, longest, most)
    at = times[origins.index]
    assert (at >= start).all()
    assert (at + 10.0 * longest <= end).all()
    assert np.isfinite(values[origins.series, origins.index]).all()
    assert (np.diff(origins.series) >= 0).all()
    if most is not None:
        assert len(origins) <= max(most, len(values))
        assert len(set(zip(origins.series, origins.index, strict=True))) == len(origins)


def test_an_outcome_is_the_value_that_many_steps_later() -> None:
    values = np.arange(20.0).reshape(2, 10)
    values[1, 7] = np.nan
    origins = rolling_origins(values, np.arange(10.0), 2, 9, 3)
    later = outcomes(values, origins, (1, 3))
    rows = {
        (int(s), int(i)): tuple(row)
        for s, i, row in zip(origins.series, origins.index, later, strict=True)
    }
    assert rows[0, 2] == (3.0, 5.0)
    assert rows[1, 5] == (16.0, 18.0)
    assert np.isnan(rows[1, 4][1])
    assert rows[1, 4][0] == 15.0
