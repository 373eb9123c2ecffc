"""When a probability becomes an alarm, and how the level is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.breaches.alarm import Alarm, AlarmRule, at, choose, curve, earliest, persistent, within
from ml.breaches.claims import claims, joined, watch

HORIZON = 5
RULE = AlarmRule(0.6, 2, 10.0)


def test_one_high_sample_is_no_alarm_where_two_are_asked_for() -> None:
    alarm = Alarm(RULE)
    assert [alarm.update(t, p, above=False) for t, p in ((0, 0.9), (1, 0.1), (2, 0.9))] == [
        False
    ] * 3
    assert alarm.update(3, 0.9, above=False)


def test_an_alarm_is_not_raised_again_while_it_stands() -> None:
    alarm = Alarm(AlarmRule(0.5, 1, 10.0))
    raised = [t for t in range(30) if alarm.update(float(t), 0.9, above=False)]
    assert raised == [0, 10, 20]


def test_after_a_breach_the_next_one_can_be_warned_of_at_once() -> None:
    alarm = Alarm(AlarmRule(0.5, 1, 100.0))
    assert alarm.update(0.0, 0.9, above=False)
    assert not alarm.update(1.0, 0.9, above=True)
    assert not alarm.standing(1.0)
    assert alarm.update(2.0, 0.9, above=False)


def test_an_unknown_probability_raises_nothing_and_ends_a_row() -> None:
    alarm = Alarm(RULE)
    values = [0.9, float("nan"), 0.9]
    assert not any(alarm.update(float(t), p, above=False) for t, p in enumerate(values))


def test_time_that_goes_back_is_refused() -> None:
    alarm = Alarm(RULE)
    alarm.update(5.0, 0.1, above=False)
    with pytest.raises(ValueError, match="comes after"):
        alarm.update(5.0, 0.1, above=False)


@given(st.lists(st.integers(0, 9), min_size=5, max_size=80), st.integers(1, 3))
def test_the_streaming_alarm_is_raised_where_the_evaluation_counts_a_claim(
    tenths: list[int], number: int
) -> None:
    scores = np.array(tenths) / 10
    rule = AlarmRule(0.6, number, float(HORIZON))
    field = joined([watch(0, np.zeros(len(scores)), 1.0, HORIZON, 1.0, 0, len(scores))])
    made = claims(persistent(field.spread([scores]), number) >= rule.level, field).tolist()
    alarm = Alarm(rule)
    raised = [
        index
        for index, score in enumerate(scores.tolist())
        if alarm.update(float(index), score, above=False)
    ]
    assert raised == made


def noisy(seed: int, days: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Hourly values that rise for some hours before each breach, and a score that sees it."""
    random = np.random.default_rng(seed)
    values = random.normal(0.0, 0.3, 24 * days)
    score = random.uniform(0.0, 0.6, len(values))
    for onset in range(30, len(values) - 5, 48):
        values[onset : onset + 3] = 5.0
        score[onset - 3 : onset] += 0.35
    return values, score


def test_the_chosen_rule_keeps_to_its_budget_and_still_warns() -> None:
    values, score = noisy(1)
    field = joined([watch(0, values, 3.0, HORIZON, 3600.0, 0, len(values))])
    rule = choose(field.spread([score]), field, 0.5)
    found = at(field.spread([score]), field, rule).tally
    assert found.false_per_day <= 0.5
    assert found.recall > 0.5
    assert found.lead_s(50) >= 3600.0


def test_a_larger_budget_never_gives_a_later_or_rarer_warning() -> None:
    values, score = noisy(2)
    field = joined([watch(0, values, 3.0, HORIZON, 3600.0, 0, len(values))])
    points = curve(field.spread([score]), field)
    strict, loose = earliest(points, 0.2), earliest(points, 2.0)
    assert strict is not None
    assert loose is not None
    assert loose.rule.level <= strict.rule.level
    assert loose.tally.recall >= strict.tally.recall
    best = within(points, 2.0)
    assert best is not None
    assert best.tally.f1 == max(p.tally.f1 for p in points if p.tally.false_per_day <= 2.0)


def test_without_any_affordable_level_the_rule_is_above_all_scores() -> None:
    values = np.zeros(100)
    field = joined([watch(0, values, 1.0, HORIZON, 3600.0, 0, 100)])
    rule = choose(field.spread([np.full(100, 0.7)]), field, 0.0)
    assert rule.level > 0.7
    assert at(field.spread([np.full(100, 0.7)]), field, rule).tally.alarms == 0


def test_a_rule_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        AlarmRule(0.5, 0, 10.0)
