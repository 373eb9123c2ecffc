"""A world that changed is noticed, one that did not is not; and training follows a schedule."""

from __future__ import annotations

import numpy as np
import pytest

from ml.life.drift import ErrorDrift, input_drift, reference
from ml.life.schedule import LastTraining, Schedule, due
from ml.series import Floats

NAMES = ("lag", "slope", "hour", "duration")


def rows(number: int, seed: int, shift: float = 0.0) -> Floats:
    chance = np.random.default_rng(seed)
    made = chance.normal(0, 1, (number, len(NAMES)))
    made[:, 0] += shift
    made[:, 1] *= 1 + shift
    made[:, 3] = np.nan  # an input that was never known
    return made


def test_inputs_like_those_of_the_training_have_not_drifted() -> None:
    known = reference(rows(4000, 1), np.arange(4000.0), NAMES)
    found = input_drift(known, rows(500, 2))
    assert found is not None
    assert not found.drifted
    assert found.psi < 0.1


def test_inputs_that_changed_have_and_are_named() -> None:
    known = reference(rows(4000, 1), np.arange(4000.0), NAMES)
    found = input_drift(known, rows(500, 2, shift=2.0))
    assert found is not None
    assert found.drifted
    assert {found.worst[0][0], found.worst[1][0]} == {"lag", "slope"}


def test_an_input_that_appears_for_the_first_time_is_a_change() -> None:
    known = reference(rows(4000, 1), np.arange(4000.0), NAMES)
    recent = rows(500, 2)
    recent[:, 3] = 1.0
    found = input_drift(known, recent)
    assert found is not None
    assert found.worst[0][0] == "duration"


def test_stretches_that_differ_in_training_raise_the_limit() -> None:
    # The inputs follow the day: every eighth of it looks unlike the whole.
    times = np.arange(4000.0)
    daily = rows(4000, 1)
    daily[:, :3] = 3 * np.sin(2 * np.pi * times / 4000.0)[:, None] + 0.3 * daily[:, :3]
    known = reference(daily, times, NAMES)
    morning = daily[:500]
    found = input_drift(known, morning)
    assert found is not None
    assert found.psi > 0.25  # the usual limit would cry wolf every morning
    assert not found.drifted
    assert known.stretch_s == pytest.approx(500, rel=0.01)


def test_too_few_rows_say_nothing() -> None:
    known = reference(rows(4000, 1), np.arange(4000.0), NAMES)
    assert input_drift(known, rows(20, 2)) is None
    with pytest.raises(ValueError, match="too few"):
        reference(rows(20, 1), np.arange(20.0), NAMES)


def followed(values: Floats) -> int | None:
    """After how many values the errors have drifted."""
    state = ErrorDrift()
    for number, value in enumerate(values.tolist(), 1):
        state = state.after(value)
        if state.drifted:
            return number
    return None


def test_errors_that_stay_as_they_are_hardly_ever_drift() -> None:
    chance = np.random.default_rng(1)
    alarms = sum(followed(chance.normal(-0.5, 0.2, 300)) is not None for _ in range(40))
    assert alarms <= 8


def test_errors_that_grow_for_good_drift_soon() -> None:
    chance = np.random.default_rng(2)
    for _ in range(20):
        values = chance.normal(-0.5, 0.2, 300)
        values[100:] += 0.6
        found = followed(values)
        assert found is not None
        assert found < 125


def test_a_single_bad_block_is_no_drift() -> None:
    chance = np.random.default_rng(3)
    values = chance.normal(-0.5, 0.2, 100)
    values[60] += 1.2
    values[61] = float("nan")
    assert followed(values) is None


PLAN = Schedule(min_history_s=600.0, growth=0.5, after_s=86_400.0)
LAST = LastTraining(made_s=10_000.0, samples=1000, features="f")


@pytest.mark.parametrize(
    ("now_s", "span_s", "new", "last", "drift", "why"),
    [
        (0.0, 599.0, 599, None, None, None),
        (0.0, 600.0, 600, None, None, "first"),
        (10_299.0, 2000.0, 900, LAST, None, None),  # too soon
        (10_400.0, 2000.0, 499, LAST, None, None),
        (10_400.0, 2000.0, 500, LAST, None, "growth"),
        (10_400.0, 2000.0, 400, LAST, "errors", None),  # knows little of the new world yet
        (13_700.0, 2000.0, 400, LAST, "errors", "drift: errors"),
        (96_400.0, 2000.0, 10, LAST, None, "age"),
        (96_400.0, 2000.0, 0, LAST, None, None),  # nothing new to learn
        (5_000.0, 2000.0, 500, LAST, None, "growth"),  # the clock was set back
    ],
)
def test_training_is_due_for_a_reason_that_is_told(
    now_s: float,
    span_s: float,
    new: int,
    last: LastTraining | None,
    drift: str | None,
    why: str | None,
) -> None:
    found = due(PLAN, now_s, span_s, new, last, features="f", drift=drift)
    assert found is None if why is None else found is not None and found.startswith(why)


def test_other_inputs_make_a_training_due_at_once() -> None:
    found = due(PLAN, 10_001.0, 2000.0, 0, LAST, features="other")
    assert found is not None
    assert "other" in found
