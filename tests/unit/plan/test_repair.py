"""Which replicas are repaired, and which need not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.model import ReplicationCounters
from controller.plan.repair import QUIET_LOOKS, Repairs, Totals

PAIR = ("r1", "r2")
CALM = Totals(sent=100, received=100, gaps=0, late=0, unknown=0, no_place=0)


def looked(*totals: Totals) -> tuple[Repairs, list[str | None]]:
    repairs = Repairs()
    return repairs, [repairs.look(PAIR, one) for one in totals]


def test_nothing_is_repaired_while_records_are_under_way() -> None:
    growing = [replace(CALM, sent=100 + 50 * n, received=80 + 50 * n) for n in range(10)]
    assert looked(*growing)[1] == [None] * 10


@pytest.mark.parametrize("count", ["gaps", "late", "unknown"])
def test_every_sign_of_a_loss_leads_to_a_repair(count: str) -> None:
    _, found = looked(CALM, replace(CALM, **{count: 3}))
    assert found[0] is None
    assert found[1] is not None
    assert found[1].startswith("3 ")


def test_what_has_no_place_at_a_shadow_leads_to_no_endless_resyncs() -> None:
    repairs, _ = looked(CALM)
    now, resyncs = replace(CALM, sent=101, received=101, no_place=1), 0
    for _ in range(20):
        if repairs.look(PAIR, now) is not None:
            repairs.begin(PAIR)  # its scan finds no place for that connection either
            now, resyncs = replace(now, no_place=now.no_place + 1), resyncs + 1
        # What is told of such a connection later is of one that the shadow does not know.
        sent = now.sent + 1
        now = replace(now, sent=sent, received=sent, unknown=now.unknown + 1)
        now = replace(now, no_place=now.no_place + 1)
    assert resyncs == 0


def test_a_loss_is_repaired_although_others_have_no_place() -> None:
    _, found = looked(CALM, replace(CALM, no_place=5), replace(CALM, no_place=6, gaps=1))
    assert found[:2] == [None, None]
    assert found[2] == "1 gap in the sequence of records"


def test_the_last_record_before_a_silence_is_missed_too() -> None:
    short = replace(CALM, sent=101)
    _, found = looked(CALM, *[short] * (QUIET_LOOKS + 1))
    assert found[:-1] == [None] * (QUIET_LOOKS + 1)
    assert found[-1] == "1 record never arrived"


def test_what_was_repaired_is_not_repaired_again() -> None:
    repairs, _ = looked(CALM, replace(CALM, gaps=3))
    repairs.begin(PAIR)
    assert repairs.look(PAIR, replace(CALM, gaps=3)) is None
    assert repairs.look(PAIR, replace(CALM, gaps=4)) is not None


def test_a_restart_owes_one_step_in_the_sequence_and_no_more() -> None:
    anew = replace(CALM, sent=0, received=100)
    repairs, found = looked(CALM, anew, replace(anew, sent=5, late=1))
    assert found == [None, None, None]
    assert repairs.look(PAIR, replace(anew, sent=9, late=2)) is not None
    repairs.begin(PAIR)
    assert repairs.look(PAIR, replace(anew, sent=9, late=3)) is not None


def test_totals_are_taken_from_both_ends() -> None:
    sent = ReplicationCounters(sent={1: 10, 2: 5, 3: 4, 4: 3, 5: 99, 6: 99, 7: 2})
    received = ReplicationCounters(received={2: (20, 2, 1, 7, 8, 9, 0, 0)})
    assert Totals.of(sent, received, 2) == Totals(24, 23, 2, 1, 7, 8)
