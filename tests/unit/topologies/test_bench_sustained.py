"""Which rate a benchmark says is sustained, and which is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mininet", reason="mininet is not installed")

from topologies.bench.replication.crossing import Crossed
from topologies.bench.replication.frame import RECORDS_PER_LIFE, backlog_ms, sustained
from topologies.bench.replication.offered import Work
from topologies.bench.replication.routers import Records
from topologies.bench.search import highest_rate

WORK = Work(1000.0, 4000, sample_one_in=4)
SENT = RECORDS_PER_LIFE * WORK.connections


def run(*, lost: int = 0, slower_ms: float = 0.0, achieved_cps: float = 1000.0) -> Crossed:
    """Four seconds at 1,000 a second, with latencies that grow by so much from the first to the last."""
    latencies_ms = [0.5 + slower_ms * number / 1000 for number in range(1000)]
    return Crossed(Records(SENT, SENT - lost, 0), latencies_ms, achieved_cps=achieved_cps)


def test_what_is_carried_as_fast_as_it_comes_is_sustained() -> None:
    assert sustained(WORK, run())
    assert sustained(WORK, run(lost=SENT // 1000))
    assert sustained(WORK, run(slower_ms=4.0))


def test_losses_are_not_sustained() -> None:
    assert not sustained(WORK, run(lost=SENT // 1000 + 1))


def test_a_backlog_that_grows_is_not_sustained_though_nothing_is_lost() -> None:
    assert not sustained(WORK, run(slower_ms=10.0))


def test_a_rate_that_was_not_offered_is_not_sustained() -> None:
    assert not sustained(WORK, run(achieved_cps=900.0))


def test_records_that_the_primary_never_sent_are_missed_too() -> None:
    silent = Crossed(Records(SENT - 100, SENT - 100, 0), [0.5] * 1000, achieved_cps=1000.0)
    assert not sustained(WORK, silent)


def test_a_single_stall_is_no_backlog() -> None:
    stall = [100.0 - number for number in range(100)]
    assert backlog_ms([0.5] * 450 + stall + [0.5] * 450) == 0.0


@given(limit=st.floats(60.0, 100_000.0), start=st.floats(50.0, 5000.0))
def test_the_highest_rate_is_found_from_below_and_from_above(limit: float, start: float) -> None:
    found = highest_rate(
        lambda rate: rate if rate <= limit else None, start, precision=0.05, least=50.0
    )
    assert found.sustained <= limit < found.saturated
    assert found.saturated - found.sustained <= max(0.05 * found.saturated, 50.0)


def test_the_rate_that_was_carried_counts_not_the_one_that_was_wanted() -> None:
    found = highest_rate(
        lambda rate: 0.98 * rate if rate <= 1000 else None, 1000, precision=0.6, least=50
    )
    assert (found.sustained, found.saturated) == (980, 2000)


def test_nothing_is_tried_beyond_the_senders_limit() -> None:
    tried: list[float] = []
    found = highest_rate(
        lambda rate: tried.append(rate) or min(rate, 900.0),  # type: ignore[func-returns-value]
        100.0,
        precision=2.0,
        least=50.0,
        most=1000.0,
    )
    assert max(tried) < 1000
    assert found.sustained == 800


def test_a_switch_that_carries_nothing_has_no_highest_rate() -> None:
    assert highest_rate(lambda rate: None, 1000.0, precision=0.05, least=50.0).sustained == 0
