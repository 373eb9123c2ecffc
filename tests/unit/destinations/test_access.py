"""The history of who asks for which destination, from where and when."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model import SampledConnection
from controller.model.destinations import Location
from controller.observe.access import AccessHistory, AccessStep
from controller.observe.access_readings import ELSEWHERE, Cell
from controller.observe.access_settings import AccessSettings
from controller.observe.locations import SourceLocations

LOCATIONS = (
    Location("rome", "south", ("10.1.0.0/16",)),
    Location("oslo", "north", ("10.2.0.0/16",)),
)
STEP_S = 10.0


def history(**settings: float) -> AccessHistory:
    own = AccessSettings(**{"step_s": STEP_S, "keep": 20, "cells": 4, "counters": 8, **settings})  # type: ignore[arg-type]
    made = AccessHistory(SourceLocations(LOCATIONS), ("rome", "oslo"), own)
    made.advance(0.0)
    return made


def digest(client: str, service: int = 1, time_s: float = 0.0) -> SampledConnection:
    return SampledConnection("e1", time_s, client, "10.100.0.1", 6, 40000, 80, service, 301)


def started(**settings: float) -> AccessHistory:
    """Its first, partial step is over."""
    made = history(**settings)
    made.advance(STEP_S)
    return made


def test_rows_count_exactly_and_restarts_of_a_switch_are_no_negative_demand() -> None:
    own = history()
    own.counted("e1", 1, "10.1.0.0/16", 1000, 5.0)
    assert own.advance(10.0) is None  # not watched from its beginning: not told
    own.counted("e1", 1, "10.1.0.0/16", 1050, 15.0)
    step = own.advance(20.0)
    assert step == AccessStep(20.0, {(1, "rome"): 50.0})
    own.counted("e1", 1, "10.1.0.0/16", 30, 25.0)  # restarted
    own.advance(30.0)
    assert own.series()[1, "rome"].values.tolist() == [5.0, 3.0]
    assert own.series()[1, "rome"].times_s.tolist() == [20.0, 30.0]
    assert own.series()[1, "rome"].target == "1@rome"


def test_a_row_for_part_of_a_location_counts_for_that_location() -> None:
    own = history()
    for prefix, total in (("10.1.7.0/24", 0), ("10.0.0.0/8", 0)):
        own.counted("e1", 1, prefix, total, 5.0)
    own.advance(10.0)
    own.counted("e1", 1, "10.1.7.0/24", 4, 15.0)
    own.counted("e1", 1, "10.0.0.0/8", 6, 15.0)
    step = own.advance(20.0)
    assert step is not None
    assert step.counts == {(1, "rome"): 4.0, (1, ELSEWHERE): 6.0}


def test_what_rows_do_not_count_is_divided_as_digests_say_and_no_connection_counts_twice() -> None:
    own = history(prior_samples=0.0)
    own.opened("e1", 1, 0, 5.0)
    own.counted("e1", 1, "10.1.0.0/17", 0, 5.0)
    own.advance(10.0)
    own.opened("e1", 1, 100, 15.0)
    own.counted("e1", 1, "10.1.0.0/17", 40, 15.0)
    for client in ("10.1.0.9", "10.1.200.9", "10.2.0.9", "10.2.0.10"):  # the first is in the row
        own.sampled(digest(client))
    step = own.advance(20.0)
    assert step is not None
    assert step.counts == {(1, "rome"): pytest.approx(40 + 20), (1, "oslo"): pytest.approx(40)}
    own.removed("e1", 1, "10.1.0.0/17")
    own.opened("e1", 1, 110, 25.0)
    own.sampled(digest("10.1.0.9"))
    step = own.advance(30.0)
    assert step is not None
    assert step.counts == {(1, "rome"): pytest.approx(10)}


def test_a_step_without_digests_is_divided_as_the_last_ones_were() -> None:
    own = history()
    own.opened("e1", 1, 0, 5.0)
    own.advance(10.0)
    own.opened("e1", 1, 100, 15.0)
    for client in ("10.1.0.9", "10.1.0.10", "10.1.0.11", "10.2.0.9"):
        own.sampled(digest(client))
    own.advance(20.0)
    own.opened("e1", 1, 140, 25.0)
    step = own.advance(30.0)
    assert step is not None
    assert step.counts == {(1, "rome"): pytest.approx(30), (1, "oslo"): pytest.approx(10)}


def test_digests_alone_stand_for_as_many_connections_as_are_sampled() -> None:
    own = started(sample_every=8)
    for client in ("10.1.0.9", "10.1.0.10", "172.16.0.1", "::ffff:10.2.0.1"):
        own.sampled(digest(client))
    step = own.advance(20.0)
    assert step is not None
    assert step.counts == {(1, "rome"): 16.0, (1, "oslo"): 8.0, (1, ELSEWHERE): 8.0}


def test_steps_that_nobody_watched_are_unknown_and_not_empty() -> None:
    own = history()
    own.opened("e1", 1, 0, 9.0)
    own.advance(10.0)
    own.opened("e1", 1, 50, 19.0)
    own.advance(20.0)
    own.advance(30.0)
    own.advance(40.0)
    own.opened("e1", 1, 350, 49.0)  # 300 in 30 s, of which one step's part is this step's
    own.advance(50.0)
    values = own.series()[1, ELSEWHERE].values
    np.testing.assert_allclose(values, [5.0, np.nan, np.nan, 10.0])
    own.opened("e1", 1, 350, 55.0)
    own.advance(60.0)
    assert own.series()[1, ELSEWHERE].values[-1] == 0.0


def test_a_clock_that_is_set_back_takes_the_samples_after_it_along() -> None:
    own = started()
    for end_s in (20.0, 30.0, 40.0):
        own.sampled(digest("10.1.0.9"))
        own.advance(end_s)
    own.advance(39.5)  # a little is no step back
    assert own.series()[1, "rome"].times_s.tolist() == [20.0, 30.0, 40.0]
    own.advance(22.0)
    assert own.series()[1, "rome"].times_s.tolist() == [20.0]
    own.advance(30.0)  # the rest of a step
    own.sampled(digest("10.1.0.9"))
    own.advance(40.0)
    np.testing.assert_allclose(own.series()[1, "rome"].values, [0.1, np.nan, 0.1])


def test_a_history_longer_than_is_kept_loses_its_oldest() -> None:
    own = started(keep=3)
    for number in range(1, 9):
        for _ in range(number):
            own.sampled(digest("10.1.0.9"))
        own.advance(STEP_S * (number + 1))
    np.testing.assert_allclose(own.series()[1, "rome"].values, [0.6, 0.7, 0.8])
    assert own.rate((1, "rome"), 2) == pytest.approx(0.75)
    np.testing.assert_allclose(own.location_series()["rome"].values, [0.6, 0.7, 0.8])


def test_stored_steps_give_the_same_history_again() -> None:
    own = started()
    steps = []
    for number in range(2, 6):
        own.sampled(digest("10.1.0.9", service=number))
        own.sampled(digest("10.2.0.9", service=1))
        steps.append(own.advance(STEP_S * number))
    again = history()
    again.load([one for one in steps if one is not None])
    again.load([one for one in steps if one is not None])  # what is known is passed over
    assert again.total == own.total
    assert again.cells() == own.cells()
    for cell, one in own.series().items():
        np.testing.assert_array_equal(again.series()[cell].values, one.values)


steps = st.lists(
    st.dictionaries(
        st.tuples(st.integers(1, 40), st.sampled_from(["rome", "oslo"])),
        st.floats(0.25, 1000.0),
        max_size=12,
    ),
    min_size=1,
    max_size=12,
)


@given(steps)
def test_access_is_never_too_low_and_too_high_by_no_more_than_the_bound(
    counts: list[dict[Cell, float]],
) -> None:
    own = history(half_life_s=30.0)
    exact: dict[Cell, float] = defaultdict(float)
    whole: dict[str, list[float]] = {"rome": [], "oslo": []}
    for number, step in enumerate(counts, 1):
        for cell in exact:
            exact[cell] *= 2 ** (-STEP_S / 30.0)
        for cell, connections in step.items():
            exact[cell] += connections
        own.load([AccessStep(number * STEP_S, step)])
        for name, rates in whole.items():
            rates.append(sum(n for (_, place), n in step.items() if place == name) / STEP_S)
    slack = 1e-9 * own.total
    assert own.total == pytest.approx(sum(exact.values()))
    assert own.bound <= own.total / own.settings.counters + slack
    for cell, count in exact.items():
        found = own.access(cell)
        assert found.least - slack <= count <= found.count + slack
        assert found.error <= own.bound + slack
    assert len(own.cells()) <= own.settings.cells
    for name, rates in whole.items():  # in all, locations are exact whatever is displaced
        np.testing.assert_allclose(own.location_series()[name].values, rates)


def test_the_most_wanted_keep_their_history_among_very_many_others() -> None:
    own = history(cells=8, counters=64)
    draw = random.Random(7)
    wanted = [(service, place) for service in (1, 2, 3) for place in ("rome", "oslo")]
    for number in range(1, 21):
        step: dict[Cell, float] = dict.fromkeys(wanted, 100.0)
        for _ in range(500):
            cell = draw.randrange(4, 10_000), draw.choice(("rome", "oslo"))
            step[cell] = step.get(cell, 0.0) + 1.0
        own.load([AccessStep(number * STEP_S, step)])
    assert set(wanted) < set(own.cells())
    for cell in wanted:
        np.testing.assert_allclose(own.series()[cell].values, [10.0] * 20)


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="must not be fewer than cells"):
        AccessSettings(cells=100, counters=10)
    with pytest.raises(ValueError, match="above 0"):
        AccessSettings(step_s=0.0)
