"""No two points of a series share a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.store.stamps import ERAS, Stamps

SERIES = ("samples", ("r1",))
times = st.floats(0, 4e9) | st.sampled_from([1.7e9, 1.7e9 + 1e-6, 1.7e9 - 3600])


@given(told=st.lists(times, max_size=200), era=st.integers(0, 5000))
def test_whatever_the_clock_does_every_stamp_is_another(told: list[float], era: int) -> None:
    stamps = Stamps(era)
    given_ = [stamps.stamp(SERIES, at_s) for at_s in told]
    assert len(set(given_)) == len(given_)


@given(told=st.lists(st.floats(0, 4e9), max_size=50))
def test_a_run_does_not_come_by_the_stamps_of_the_run_before(told: list[float]) -> None:
    first, second = Stamps(7), Stamps(8)
    before = {first.stamp(SERIES, at_s) for at_s in sorted(told)}
    assert before.isdisjoint({second.stamp(SERIES, at_s) for at_s in sorted(told)})


@given(at_s=st.floats(0, 4e9), era=st.integers(0, ERAS - 1))
def test_the_time_is_as_told_to_the_microsecond(at_s: float, era: int) -> None:
    stamp = Stamps(era).stamp(SERIES, at_s)
    assert stamp // 1000 == round(at_s * 1e6)
    assert stamp % 1000 == era


def test_points_of_the_same_microsecond_follow_each_other() -> None:
    stamps = Stamps(0)
    given_ = [stamps.stamp(SERIES, 100.0) for _ in range(1000)]
    assert given_ == sorted(given_)
    assert given_[-1] - given_[0] == 999_000
    assert stamps.era == 0


def test_a_clock_set_back_begins_an_era_for_all_series() -> None:
    stamps = Stamps(0)
    stamps.stamp(SERIES, 5000.0)
    stamps.stamp(("samples", ("r2",)), 5000.0)
    assert stamps.stamp(SERIES, 1400.0) == 1400 * 10**9 + 1
    assert stamps.stamp(("samples", ("r2",)), 1400.0) == 1400 * 10**9 + 1
