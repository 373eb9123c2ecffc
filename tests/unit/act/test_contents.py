"""What a switch is to hold: how a plan becomes entries, and how changes of it are kept."""

from __future__ import annotations

from dataclasses import replace

import finsy as fy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.act.contents import with_slot_sets, with_targets
from controller.act.entries import TICK_S, entries, node_entry, refresh_mask
from controller.act.program import default_files
from controller.act.sessions import CLONE, MULTICAST, session_change, sessions
from controller.model import Hop, Idle, SessionRow, TargetRow, TrainRow
from controller.plan.fabric import fabric_plan
from harness.small import R1, R2, WEB, small_fabric, small_plan, weighted

SCHEMA = fy.P4Schema(default_files().p4info)
SHADOWED = fabric_plan(small_fabric(), idle=Idle(), shadows={"r1": ("r2",)})

keys = st.tuples(st.sampled_from([CLONE, MULTICAST]), st.integers(1, 20))
replicas = st.frozensets(st.tuples(st.integers(1, 9), st.integers(0, 4095)), max_size=4)
held = st.dictionaries(keys, replicas, max_size=6)


@pytest.mark.parametrize("node", ["e1", "s1", "r1", "r2"])
def test_every_entry_of_a_plan_is_one_of_the_program(node: str) -> None:
    plan = SHADOWED.node(node)
    assert node_entry(plan).encode(SCHEMA).table_entry.is_default_action
    for entry in entries(plan):
        assert entry.encode(SCHEMA).table_entry.table_id == SCHEMA.tables[entry.table_id].id


def test_bindings_of_a_dead_router_lead_to_each_of_its_shadows() -> None:
    row = TargetRow(R1, (Hop(R2, "02:00:00:00:00:01"), Hop(R2 + 1, "02:00:00:00:00:02")))
    plan = with_targets(small_plan("e1"), [row])
    [entry] = [
        entry
        for entry in entries(plan)
        if entry.table_id == "binding_targets" and dict(entry.match or {}) == {"binding": R1}
    ]
    members = entry.encode(SCHEMA).table_entry.action.action_profile_action_set
    assert [one.weight for one in members.action_profile_actions] == [1, 1]


def test_only_what_is_given_changes() -> None:
    plan = small_plan("e1")
    moved = with_targets(plan, [TargetRow(R1, (Hop(R2, "02:00:00:00:00:01"),))])
    assert [row.binding for row in moved.targets] == [row.binding for row in plan.targets]
    assert moved.targets[1] == plan.targets[1]
    assert replace(moved, targets=plan.targets) == plan
    weights = with_slot_sets(plan, [weighted(WEB, {R1: 100})])
    assert weights.slot_sets[0].share_pct(R1) == 100
    assert weights.slot_sets[1:] == plan.slot_sets[1:]


@given(st.floats(0.01, 1e6))
def test_a_refresh_period_is_a_power_of_two_near_what_was_asked_for(seconds: float) -> None:
    mask = refresh_mask(seconds)
    period = (mask ^ 0xFFFFFF) + 1
    assert period & (period - 1) == 0
    assert 1 <= period <= 1 << 22
    if TICK_S <= seconds <= TICK_S * (1 << 22):
        assert seconds / 1.5 <= period * TICK_S <= seconds * 1.5


@given(held, held)
def test_writing_the_change_of_sessions_gives_what_is_wanted(
    wanted: dict[tuple[str, int], frozenset[tuple[int, int]]],
    found: dict[tuple[str, int], frozenset[tuple[int, int]]],
) -> None:
    change = session_change(wanted, found, SCHEMA)
    now = dict(found)
    for update in (*change.makes, *change.breaks):
        entry = update.entity.packet_replication_engine_entry
        clone = entry.WhichOneof("type") == "clone_session_entry"
        one = entry.clone_session_entry if clone else entry.multicast_group_entry
        number = one.session_id if clone else one.multicast_group_id
        key = (CLONE if clone else MULTICAST, number)
        assert (update.type == update.INSERT) == (key not in now)
        if update.type == update.DELETE:
            del now[key]
        else:
            now[key] = frozenset(
                (r.egress_port or int.from_bytes(r.port, "big"), r.instance) for r in one.replicas
            )
    assert now == wanted
    assert len(session_change(wanted, now, SCHEMA)) == 0


def test_a_plan_names_its_sessions_and_trains() -> None:
    plan = replace(
        small_plan("r1"),
        sessions=(SessionRow(1, ((3, R2),)),),
        trains=(TrainRow(7, 2, 3),),
    )
    assert sessions(plan) == {
        (CLONE, 1): {(3, R2)},
        (MULTICAST, 7): {(2, 1), (2, 2), (2, 3)},
    }
