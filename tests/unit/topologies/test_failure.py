"""The failure act's figures and its part of the page."""

from __future__ import annotations

import pytest

from topologies.demo.failure import Failure, failure
from topologies.demo.failure_report import alive, answered_per_s, section
from topologies.load import exchanges
from topologies.load.exchanges import Exchange, Life
from topologies.load.interruption import interruption

AT_S = 50.0


def act(*, replication: bool) -> Failure:
    """Four connections; without replication three of them are reset."""
    ends = {} if replication else {1: 50.4, 2: 50.2, 3: 51.0}
    lives = {
        number: Life(number, 40.0, "b1", ends.get(number), exchanges.RESET if ends else None)
        for number in (1, 2, 3)
    } | {4: Life(4, 40.0, "b2", None, None), 5: Life(5, 50.5, "b2", None, None)}
    answers = [
        Exchange(1, 0, 49.0, 49.001),
        Exchange(4, 1, 50.02, 50.22),
        Exchange(5, 0, 51.0, 51.001),
    ]
    found = interruption(answers, lives, AT_S, 55.0)
    return failure(
        found,
        answers,
        lives,
        AT_S,
        replication=replication,
        router="r1",
        shadows=("r2", "r3"),
        detect_ms=42.0,
    )


def test_survivors_and_broken_ones_add_up() -> None:
    without, with_ = act(replication=False), act(replication=True)
    assert without.to_json() == {
        "replication": False,
        "router": "r1",
        "shadows": ["r2", "r3"],
        "connections": 4,
        "survived": 1,
        "broken": 3,
        "broken_per_1000": 750.0,
        "recovery_ms": 220.0,
        "detect_ms": 42.0,
    }
    assert (with_.survived, with_.to_json()["broken"]) == (4, 0)


def test_the_curve_steps_down_with_each_broken_connection() -> None:
    times_s, counts = alive(act(replication=False))
    assert counts == [4, 3, 2, 1, 1]
    assert times_s[1:4] == pytest.approx([0.2, 0.4, 1.0])
    assert alive(act(replication=True))[1] == [4, 4]


def test_only_answers_to_connections_that_were_there_are_drawn() -> None:
    starts_s, rates = answered_per_s(act(replication=True))
    assert sum(rates) == pytest.approx(20)  # two answers, in bins of 0.1 s
    assert starts_s[0] == -1.0


def test_a_stranger_reads_what_survived() -> None:
    acts = {"reactive": act(replication=False), "predictive": act(replication=True)}
    text = section(acts)
    assert "Without replication</b>, 1 of the 4 connections went on" in text
    assert "With replication</b>, 4 of the 4 connections went on" in text
    assert text.count("<svg") == 1
    assert section(acts) == text
