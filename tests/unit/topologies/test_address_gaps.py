"""The gap of a hand-over, as the benchmark makes it from what a pinging client saw."""

from __future__ import annotations

import pytest

from topologies.bench.addresses.handover import gaps

MS = 1_000_000


def said(
    answers: dict[float, float], unanswered: tuple[float, ...] = ()
) -> dict[str, list[object]]:
    """Pings by when they were sent, and when they were answered, in milliseconds."""
    return {
        "answers": [[int(sent * MS), int(at * MS)] for sent, at in answers.items()],
        "unanswered": [int(at * MS) for at in unanswered],
    }


def test_answers_at_the_pace_of_the_pings_are_one_interval_apart() -> None:
    assert gaps(said({0: 0.4, 1: 1.4, 2: 2.4}), 0) == [1.0, 1.0]


def test_lost_pings_are_a_gap() -> None:
    assert gaps(said({0: 0.4, 1: 1.4, 6: 6.4}, (2, 3, 4, 5)), 0) == [1.0, 5.0]


def test_answers_that_come_late_are_a_gap() -> None:
    assert gaps(said({0: 0.4, 1: 7.4, 2: 7.5, 3: 7.6}), 0)[0] == 7.0


def test_a_client_that_sleeps_sees_no_gap() -> None:
    assert max(gaps(said({0: 0.4, 1: 1.4, 31: 31.4, 32: 32.4}), 0)) == pytest.approx(1.0)


def test_what_was_answered_before_the_request_does_not_count() -> None:
    answers = {0.0: 0.4, 1.0: 8.5, **{float(sent): sent + 6.6 for sent in range(2, 5)}}
    assert gaps(said(answers), 9 * MS) == [1.0, 1.0]
