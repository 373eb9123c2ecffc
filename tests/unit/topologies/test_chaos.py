"""Who is to blame for a broken connection."""

from __future__ import annotations

import pytest

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.bench.chaos import Blow, blame
from topologies.load import exchanges
from topologies.load.exchanges import Life


def broken(number: int, ended_s: float, asked_s: float | None) -> Life:
    return Life(number, 0.0, "b1", ended_s, exchanges.SILENT, asked_s)


def test_a_connection_is_broken_by_the_last_blow_before_its_last_request() -> None:
    blows = [Blow("kill", "r1", 10.0, 12.0, True), Blow("stop", "r2", 20.0, 21.0, False)]
    lives = {
        1: broken(1, 20.5, 10.5),
        2: broken(2, 30.0, 20.0),
        3: broken(3, 21.0, None),
        4: Life(4, 0.0, "b1", 25.0, exchanges.CLOSED),
        5: Life(5, 0.0, "b1", None, None),
    }
    assert blame(blows, lives) == 0
    assert [blow.broken for blow in blows] == [1, 2]


def test_a_connection_that_breaks_for_no_reason_stays_unexplained() -> None:
    blows = [Blow("kill", "r1", 10.0, 12.0, True)]
    lives = {1: broken(1, 5.0, 4.0), 2: broken(2, 50.0, 40.0)}
    assert blame(blows, lives) == 2
    assert blows[0].broken == 0
