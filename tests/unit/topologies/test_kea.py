"""What Kea's perfdhcp tells is read right."""

from __future__ import annotations

import pytest

from topologies.bench.addresses.kea import read

TOLD = """Running: perfdhcp -4 -r 500 -p 4 -x t 10.92.0.1
***Rate statistics***
Rate: 399.388 4-way exchanges/second, expected rate: 500

***Statistics for: DISCOVER-OFFER***
sent packets: 2
received packets: 2
drops: 0
drops ratio: 0.000 %

***Statistics for: REQUEST-ACK***
sent packets: 2
received packets: 1
drops: 1
drops ratio: 50.000 %

***Timestamps for packets: DISCOVER-OFFER***
sent / received: 000000.000080 / 000000.000580
sent / received: 000000.010000 / 000000.010200

***Timestamps for packets: REQUEST-ACK***
sent / received: 000000.000600 / 000000.000900
"""


def test_an_exchange_lasts_as_long_as_its_two_questions() -> None:
    found = read(TOLD)
    assert found.whole == 1
    assert found.lost_pct == 50
    assert found.latencies_ms == [pytest.approx(0.8)]


def test_a_server_that_did_not_answer_granted_nothing() -> None:
    found = read("perfdhcp: no route to host")
    assert (found.whole, found.lost_pct, found.latencies_ms) == (0, 100.0, [])
