"""The compiled data plane fits its sources, and what the controller writes fits the compiled data plane."""

from __future__ import annotations

import hashlib
from pathlib import Path

import finsy as fy
import pytest

from controller.act.difference import difference
from controller.act.entries import TABLE_ORDER, entries, node_entry, slot_set_entry, ticks
from controller.act.program import default_files
from controller.model import NodePlan, SlotSet
from controller.observe.counters import DROP_REASONS, requests
from harness.small import R1, R2, WEB, small_fabric, small_plan, weighted

P4SRC = Path(__file__).resolve().parents[3] / "p4src"
NODES = ("e1", "s1", "r1")


@pytest.fixture(scope="module")
def schema() -> fy.P4Schema:
    files = default_files()
    return fy.P4Schema(files.p4info, files.json)


def encoded(plan: NodePlan, schema: fy.P4Schema) -> list[object]:
    return [entry.encode(schema) for entry in entries(plan)]


def test_build_was_made_from_these_sources() -> None:
    sources = [P4SRC / "umbra.p4", *sorted((P4SRC / "include").glob("*.p4"))]
    now = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    made_from = (P4SRC / "build" / "sources.sha256").read_text().strip()
    assert made_from == now, "p4src/build is stale: run `make p4` where p4c-bm2-ss is installed"


@pytest.mark.parametrize("node", NODES)
def test_every_entry_and_counter_exists_in_the_program(node: str, schema: fy.P4Schema) -> None:
    plan = small_plan(node)
    tables = {entry.table_id for entry in entries(plan)}
    assert tables <= set(TABLE_ORDER)
    assert encoded(plan, schema)
    assert node_entry(plan).encode(schema)
    assert all(asked.encode(schema) for asked in requests(small_fabric(), plan))


def test_the_reasons_of_drops_have_the_programs_numbers() -> None:
    text = (P4SRC / "include" / "constants.p4").read_text()
    for number, name in enumerate(DROP_REASONS[:-1]):
        assert f"DROP_{name.upper()} " in text
        line = next(line for line in text.splitlines() if f"DROP_{name.upper()} " in line)
        assert f"= {number};" in line


def test_a_switch_that_holds_its_plan_needs_no_write(schema: fy.P4Schema) -> None:
    found = encoded(small_plan("e1"), schema)
    assert len(difference(found, list(reversed(found)), schema)) == 0


def test_an_empty_switch_gets_what_is_referred_to_first(schema: fy.P4Schema) -> None:
    change = difference(encoded(small_plan("e1"), schema), [], schema)
    order = [schema.tables[e.table_entry.table_id].alias for e in change.inserts]
    assert order == sorted(order, key=TABLE_ORDER.index)
    assert not change.modifies
    assert not change.deletes


def test_another_share_is_one_modify(schema: fy.P4Schema) -> None:
    plan = small_plan("e1")
    found = encoded(plan, schema)
    changed = slot_set_entry(weighted(WEB, {R1: 60, R2: 40})).encode(schema)
    rest = [e for e in found if e.table_entry.match != changed.table_entry.match]
    change = difference([*rest, changed], found, schema)
    assert (len(change.inserts), list(change.modifies), len(change.deletes)) == (0, [changed], 0)


def test_an_entry_that_is_no_longer_wanted_goes_after_those_that_refer_to_it(
    schema: fy.P4Schema,
) -> None:
    change = difference([], encoded(small_plan("e1"), schema), schema)
    order = [schema.tables[e.table_entry.table_id].alias for e in change.deletes]
    assert order == sorted(order, key=TABLE_ORDER.index, reverse=True)
    assert {u.type for u in change.updates()} == {3}  # DELETE


def test_a_slot_set_has_a_hundred_members_in_order(schema: fy.P4Schema) -> None:
    slots = (R1,) * 30 + (R2,) * 70
    members = (
        slot_set_entry(SlotSet(16, slots))
        .encode(schema)
        .table_entry.action.action_profile_action_set.action_profile_actions
    )
    assert [int.from_bytes(m.action.params[0].value, "big") for m in members] == list(slots)
    assert {m.weight for m in members} == {1}


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, 1), (0.065536, 1), (6.5536, 100), (1e9, 0x3FFFFE)]
)
def test_seconds_become_ticks_of_65_ms(seconds: float, expected: int) -> None:
    assert ticks(seconds) == expected
