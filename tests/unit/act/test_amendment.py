"""A change of rows that somebody waits for: what is written turns the one plan into the other."""

from __future__ import annotations

from dataclasses import replace

import finsy as fy
from finsy.proto import p4r
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.act.contents import amendment
from controller.act.entries import entries, node_entry
from controller.act.program import default_files
from controller.model import NodePlan, SessionRow
from controller.plan.address_rows import PlacedAddress, with_addresses
from controller.plan.fabric import fabric_plan
from harness.small import PATIENT, small_fabric

SCHEMA = fy.P4Schema(default_files().p4info)
FABRIC = small_fabric()
BASE = fabric_plan(FABRIC, idle=PATIENT)
INSIDE = ("10.64.0.0/16",)

placed = st.dictionaries(
    st.integers(1, 12), st.tuples(st.booleans(), st.integers(1, 2), st.booleans()), max_size=8
).map(
    lambda chosen: [
        PlacedAddress(
            f"10.64.0.{number}",
            f"02:00:0a:40:0{mac}:{number:02x}",
            "e1" if at_edge else "s1",
            4,
            f"198.51.100.{number}" if external else None,
        )
        for number, (at_edge, mac, external) in chosen.items()
    ]
)


def contents(plan: NodePlan) -> dict[bytes, bytes]:
    """What a switch with this plan holds: match → action."""
    held = {_key(entry.encode(SCHEMA)): _action(entry.encode(SCHEMA)) for entry in entries(plan)}
    node = node_entry(plan).encode(SCHEMA)
    return held | {_key(node): _action(node)}


def _key(entity: p4r.Entity) -> bytes:
    entry = p4r.TableEntry()
    entry.CopyFrom(entity.table_entry)
    entry.ClearField("action")
    return entry.SerializeToString(deterministic=True)


def _action(entity: p4r.Entity) -> bytes:
    return entity.table_entry.action.SerializeToString(deterministic=True)


@settings(max_examples=40, deadline=None)
@given(placed, placed, st.sampled_from(["e1", "s1", "r1"]))
def test_writing_it_gives_what_is_wanted(
    before: list[PlacedAddress], after: list[PlacedAddress], node: str
) -> None:
    was = with_addresses(BASE, FABRIC, before, inside=INSIDE).node(node)
    wanted = with_addresses(BASE, FABRIC, after, inside=INSIDE).node(node)
    held = contents(was)
    change = amendment(was, wanted, SCHEMA)
    assert change is not None
    for batch in change.batches:
        for update in batch:
            key = _key(update.entity)
            assert (key in held) == (update.type != p4r.Update.INSERT)
            if update.type == p4r.Update.DELETE:
                del held[key]
            else:
                assert held.get(key) != _action(update.entity)
                held[key] = _action(update.entity)
    assert held == contents(wanted)


def test_the_same_plan_takes_nothing() -> None:
    plan = BASE.node("e1")
    change = amendment(plan, replace(plan), SCHEMA)
    assert change is not None
    assert change.batches == ()


def test_clone_sessions_are_left_to_a_comparison() -> None:
    plan = BASE.node("r1")
    assert amendment(plan, replace(plan, sessions=(SessionRow(1, ((1, 302),)),)), SCHEMA) is None
