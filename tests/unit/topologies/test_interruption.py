"""What an interruption did to conversations, from records alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.load import exchanges
from topologies.load.exchanges import Exchange, Life
from topologies.load.interruption import interruption

AT_S = 100.0


def alive(*numbers: int) -> dict[int, Life]:
    return {number: Life(number, 90.0, "b1", None, None) for number in numbers}


def test_an_undisturbed_conversation_has_no_outage() -> None:
    found = interruption([Exchange(1, 0, 100.5, 100.501)], alive(1), AT_S, 110.0)
    assert (found.connections, found.broken_total, found.struck) == (1, 0, 0)
    assert found.recovery_ms == found.outage_ms == 0.0
    assert found.heard_all_ms == pytest.approx(501)


def test_recovery_lasts_until_the_last_struck_request_is_answered() -> None:
    answers = [
        Exchange(1, 1, 99.999, 100.205),  # on its way when it happened
        Exchange(2, 1, 100.080, 100.285),  # the last that was lost
        Exchange(3, 0, 100.090, 100.091),  # the first that came through
        Exchange(1, 0, 101.2, 101.201),
    ]
    found = interruption(answers, alive(1, 2, 3), AT_S, 110.0)
    assert found.struck == 2
    assert found.recovery_ms == pytest.approx(285)
    assert found.outage_ms == pytest.approx(80)
    assert found.heard_all_ms == pytest.approx(285)
    assert found.waits_ms == pytest.approx((206, 205))
    assert found.tcp_ms == pytest.approx((125, 205))  # from 100.080 on the way was free


def test_answers_from_before_do_not_count() -> None:
    found = interruption([Exchange(1, 3, 98.0, 99.9)], alive(1), AT_S, 110.0)
    assert found.struck == 0


def test_only_connections_that_were_alive_can_break() -> None:
    lives = {
        1: Life(1, 90.0, "b1", 101.0, exchanges.RESET),
        2: Life(2, 90.0, "b1", 99.0, exchanges.RESET),  # before
        3: Life(3, 101.0, "b1", 102.0, exchanges.SILENT),  # opened afterwards
        4: Life(4, 90.0, "b1", 103.0, exchanges.CLOSED),  # as its client wished
        5: Life(5, 90.0, "b1", 120.0, exchanges.SILENT),  # after the time that was looked at
        6: Life(6, 90.0, "b1", 110.0, exchanges.SILENT),
    }
    found = interruption([], lives, AT_S, 110.0)
    assert found.connections == 4
    assert found.broken == {exchanges.RESET: 1, exchanges.SILENT: 1}
    assert found.to_json()["broken"] == 2


def test_a_broken_connection_does_not_delay_the_recovery_of_survivors() -> None:
    lives = alive(1) | {2: Life(2, 90.0, "b1", 109.0, exchanges.SILENT)}
    answers = [Exchange(1, 1, 100.0, 100.3), Exchange(2, 4, 100.0, 108.0)]
    assert interruption(answers, lives, AT_S, 110.0).recovery_ms == pytest.approx(300)


def test_exchanges_read_back_as_written_and_half_a_record_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "c1.exchanges"
    whole = exchanges.pack(7, 2, 1.5, 2.25) + exchanges.pack(8, 0, 3.0, 3.001)
    path.write_bytes(whole + exchanges.pack(9, 0, 4.0, 4.1)[:10])
    found = list(exchanges.exchanges([path]))
    assert found == [Exchange(7, 2, 1.5, 2.25), Exchange(8, 0, 3.0, 3.001)]
    assert found[0].wait_s == 0.75
