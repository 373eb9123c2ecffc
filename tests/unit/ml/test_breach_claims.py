"""Events, claims and what they are worth, on series small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ml.breaches.claims import Joined, joined, leads, tally, watch

DAY_S = 86_400.0


def field(values: Sequence[float], horizon: int = 3) -> Joined:
    series = np.array(values, dtype=np.float64)
    return joined([watch(0, series, 1.0, horizon, 3600.0, 0, len(series))])


def fires(size: int, where: list[int]) -> np.ndarray:
    result = np.zeros(size, dtype=np.bool_)
    result[where] = True
    return result


def padded(one: Joined, where: list[int]) -> np.ndarray:
    return fires(len(one.eligible), where)


def test_a_dip_within_an_episode_is_no_second_breach() -> None:
    one = field([0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 2, 0])
    assert np.flatnonzero(one.onset).tolist() == [3, 10]


def test_a_claim_that_comes_true_warns_with_its_lead() -> None:
    one = field([0, 0, 0, 0, 2, 0, 0, 0])
    found = tally(padded(one, [2, 3]), one)
    assert (found.events, found.warned, found.alarms, found.true_alarms) == (1, 1, 1, 1)
    assert found.leads_s == (7200.0,)
    assert found.f1 == 1.0


def test_a_claim_too_early_is_false_and_blocks_no_later_one() -> None:
    one = field([0] * 6 + [2] + [0] * 6)
    found = tally(padded(one, [1, 2, 3, 4, 5]), one)
    # The claim at 1 ends at 4, where it is renewed: that one comes true.
    assert (found.warned, found.alarms, found.true_alarms) == (1, 2, 1)
    assert found.leads_s == (7200.0,)


def test_nothing_is_claimed_during_an_episode_or_right_after_it() -> None:
    one = field([0, 0, 2, 2, 0, 0, 0, 0, 0, 0])
    assert np.flatnonzero(one.eligible[:10]).tolist() == [0, 1, 6, 7, 8, 9]


def test_a_warning_shorter_than_a_tenth_of_the_horizon_is_none() -> None:
    values = [0.0] * 40 + [2.0] + [0.0] * 40
    one = field(values, horizon=30)
    assert one.least == 3
    assert tally(padded(one, [38]), one).warned == 0
    assert tally(padded(one, [37]), one).warned == 1


def test_missing_samples_are_neither_breaches_nor_chances_to_warn() -> None:
    one = field([0, 0, float("nan"), 0, 0, 2, 0])
    assert not one.eligible[2]
    assert np.flatnonzero(one.onset).tolist() == [5]


def test_a_claim_reaching_beyond_the_end_is_not_held_against_the_rule() -> None:
    one = field([0.0] * 10)
    found = tally(padded(one, [8]), one)
    assert found.alarms == 0
    assert found.false_per_day == 0.0


def test_false_alarms_are_counted_per_eligible_day() -> None:
    series = np.zeros(48)
    one = joined([watch(0, series, 1.0, 3, 3600.0, 0, 48)])
    found = tally(fires(len(one.eligible), [0, 10, 20]), one)
    assert found.days == pytest.approx(2.0)
    assert found.false_per_day == pytest.approx(1.5)


def test_claims_of_one_series_say_nothing_of_the_next() -> None:
    first = watch(0, np.zeros(10), 1.0, 3, 3600.0, 0, 10)
    second = watch(1, np.array([0.0, 2.0] + [0.0] * 8), 1.0, 3, 3600.0, 0, 10)
    both = joined([first, second])
    (lead,) = leads(np.array([9], dtype=np.int64), both)
    assert lead <= 0


def test_nothing_to_watch_is_an_error() -> None:
    with pytest.raises(ValueError, match="no watches"):
        joined([])
