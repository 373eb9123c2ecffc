"""What is said of tables that agree, and of tables that do not."""

from __future__ import annotations

from dataclasses import replace

from controller.act.records import State
from topologies.tables import Comparison, Entry, Table, compare

ENTRY = Entry(binding=401, state=State.ESTABLISHED, service=1, size_bytes=100_000)
OWN: dict[int, Entry] = {1: ENTRY, 2: replace(ENTRY, binding=402)}


def compared(replicas: Table, other: Table | None = None) -> Comparison:
    """r1 owns `OWN`; r2 holds these replicas, and owns `other`."""
    return compare({("r1", "r1"): OWN, ("r2", "r1"): replicas, ("r2", "r2"): other or {}})


def test_equal_tables_have_no_differences() -> None:
    found = compared(dict(OWN), {3: ENTRY})
    assert (found.entries, found.replicas) == (3, 2)
    assert found.two_owners == found.two_bindings == found.unequal == ()


def test_bytes_may_lag_by_less_than_a_step() -> None:
    assert not compared(OWN | {1: replace(ENTRY, size_bytes=100_000 - 65_535)}).unequal
    assert compared(OWN | {1: replace(ENTRY, size_bytes=100_000 - 65_536)}).unequal
    assert compared(OWN | {1: replace(ENTRY, size_bytes=100_001)}).unequal


def test_a_lost_and_a_left_over_replica_are_named() -> None:
    found = compared({1: ENTRY, 3: ENTRY})
    assert found.unequal == ("00000002 of r1 is not on r2", "00000003 of r1 is on r2 only")


def test_a_replica_in_another_state_is_told() -> None:
    assert len(compared(OWN | {1: replace(ENTRY, state=State.OPENING)}).unequal) == 1


def test_a_connection_with_two_owners_or_two_backends_is_corrupt() -> None:
    found = compared(dict(OWN), {1: ENTRY, 2: replace(ENTRY, binding=403)})
    assert [text[:8] for text in found.two_owners] == ["00000001", "00000002"]
    assert found.two_bindings == ("00000002 is bound to [402, 403]",)
    assert found.to_json()["two_bindings"] == 1
