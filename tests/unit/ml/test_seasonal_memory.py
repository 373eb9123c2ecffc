"""What is remembered of yesterday and last week, and what is forgotten."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.forecasting.seasonal import DAY_S, Bins, SeasonalMemory
from ml.series import Series


def series(values: list[float], step_s: float = 20.0, start_s: float = 0.0) -> Series:
    times = start_s + step_s * np.arange(1, len(values) + 1)
    return Series("r", times, np.array(values, dtype=float))


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.one_of(st.just(float("nan")), st.floats(0, 1e4)), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_samples_that_come_one_by_one_are_remembered_like_those_that_come_at_once(
    values: list[float], cuts: list[int]
) -> None:
    whole = series(values)
    at_once, in_parts, together = (Bins(60.0, DAY_S) for _ in range(3))
    at_once.observe(whole)
    for cut in [*sorted(cuts), len(values)]:
        in_parts.observe(whole.until(20.0 * cut))
    for end in range(len(values) + 1):
        together.observe_all([whole.until(20.0 * end), Series("s", whole.times_s, whole.values)])
    asked = np.linspace(-100.0, 1500.0, 50)[None, :]
    expected = at_once.at(["r"], asked)
    np.testing.assert_allclose(in_parts.at(["r"], asked), expected, rtol=1e-12)
    np.testing.assert_allclose(together.at(["r"], asked), expected, rtol=1e-12)
    np.testing.assert_allclose(together.at(["s"], asked), expected, rtol=1e-12)


def test_the_mean_of_a_minute_is_found_at_its_middle_and_interpolated_between() -> None:
    bins = Bins(60.0, DAY_S)
    bins.observe(Series("r", np.array([0.0, 30.0, 60.0, 90.0]), np.array([1.0, 3.0, 5.0, 7.0])))
    assert bins.at(["r"], np.array([[30.0, 60.0, 90.0]])).tolist() == [[2.0, 4.0, 6.0]]


def test_what_is_older_than_the_reach_and_what_was_never_seen_is_unknown() -> None:
    bins = Bins(60.0, 3600.0)
    bins.observe(series([5.0] * 600))  # 200 minutes
    now_s = 12_000.0
    found = bins.at(["r", "nobody"], np.array([[now_s - 3600.0, 60.0, now_s + 600.0]] * 2))
    assert found[0, 0] == 5.0
    assert np.isnan(found[0, 1:]).all()
    assert np.isnan(found[1]).all()


def test_a_day_without_samples_leaves_no_old_values_behind() -> None:
    bins = Bins(60.0, DAY_S)
    bins.observe(series([5.0] * 300))
    bins.observe(series([7.0], start_s=3 * DAY_S))
    assert np.isnan(bins.at(["r"], np.array([[3 * DAY_S - 6000.0]])))[0, 0]
    assert bins.at(["r"], np.array([[3 * DAY_S + 20.0]]))[0, 0] == 7.0


def test_the_room_of_a_forgotten_target_is_empty_for_the_next() -> None:
    memory = SeasonalMemory(20.0)
    memory.observe(series([5.0] * 10))
    memory.forget(["r", "nobody"])
    assert len(memory) == 0
    memory.observe(Series("other", np.array([20.0]), np.array([9.0])))
    assert memory.fine.at(["other"], np.array([[30.0, 150.0]]))[0, 0] == 9.0
    assert np.isnan(memory.fine.at(["other"], np.array([[210.0]])))[0, 0]


def test_a_thousand_targets_for_a_week_at_a_sample_a_second_stay_bounded() -> None:
    memory = SeasonalMemory(1.0)
    memory.observe(Series("r", np.arange(1.0, 100.0), np.ones(99)))
    before = memory.fine._total.shape
    memory.observe(Series("r", 30 * DAY_S + np.arange(1.0, 100.0), np.ones(99)))
    assert memory.fine._total.shape == before
    assert before[1] < 12_000
