"""Redirects on their way to a switch: at every moment each client goes where it went or where it shall go."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace

import finsy as fy
import pytest
from finsy.proto import p4r
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.act.contents import amendment
from controller.act.difference import difference
from controller.act.entries import entries, redirect_entry
from controller.act.program import default_files
from controller.model import NodePlan, RedirectRow, SlotSet
from harness.small import R1, R2, WEB, small_plan

SCHEMA = fy.P4Schema(default_files().p4info)
BASE = small_plan("e1")
SETS = {17: R1, 18: R2, 19: R1}

prefixes = st.builds(
    lambda bits, length: f"{ipaddress.IPv4Address(bits >> 32 - length << 32 - length)}/{length}",
    st.sampled_from([0x0A000000, 0x0A010000, 0x0A018000, 0x0A01C0FF]),
    st.sampled_from([0, 8, 15, 16, 17, 24, 32]),
)
tables = st.dictionaries(prefixes, st.sampled_from([None, *SETS]), max_size=8)
Table = dict[str, int | None]


def plan_with(table: Table) -> NodePlan:
    """The edge with these redirects of the web service, and with the slot sets that they lead to."""
    used = sorted({number for number in table.values() if number is not None})
    return replace(
        BASE,
        redirects=tuple(RedirectRow(WEB, prefix, number) for prefix, number in table.items()),
        slot_sets=(*BASE.slot_sets, *(SlotSet(n, (SETS[n],) * 100) for n in used)),
    )


def decided(table: Table, address: int) -> int | None:
    source = ipaddress.IPv4Address(address)
    networks = [ipaddress.IPv4Network(text) for text in table]
    inside = [net for net in networks if source in net]
    return table[str(max(inside, key=lambda n: n.prefixlen))] if inside else None


def edges_of(table: Table) -> set[int]:
    nets = [ipaddress.IPv4Network(text) for text in table]
    ends = {int(n.network_address) for n in nets} | {int(n.broadcast_address) for n in nets}
    return {n for end in ends for n in (end - 1, end, end + 1) if 0 <= n < 1 << 32}


def row(entity: p4r.Entity) -> tuple[str, int | None]:
    found = fy.P4TableEntry.decode(entity, SCHEMA)
    match = dict(found.match or {})
    action = found.action
    assert isinstance(action, fy.Action)
    slot_set = dict(action.args).get("slot_set")
    number, length = match.get("client", (0, 0))
    return f"{ipaddress.IPv4Address(number)}/{length}", None if slot_set is None else int(slot_set)


def table_of(update: p4r.Update) -> str:
    return str(SCHEMA.tables[update.entity.table_entry.table_id].alias)


def follow(updates: list[p4r.Update], before: Table, after: Table) -> None:
    """Write one after the other, and ask for every address between."""
    table = dict(before)
    sets = {number for number in before.values() if number is not None}
    addresses = edges_of(before) | edges_of(after)
    for update in updates:
        if table_of(update) == "slots":
            number = int(
                dict(fy.P4TableEntry.decode(update.entity, SCHEMA).match or {})["slot_set"]
            )
            sets.symmetric_difference_update({number})
        else:
            assert table_of(update) == "redirects"
            prefix, slot_set = row(update.entity)
            assert (prefix in table) == (update.type != p4r.Update.INSERT)
            if update.type == p4r.Update.DELETE:
                del table[prefix]
            else:
                table[prefix] = slot_set
        assert {number for number in table.values() if number is not None} <= sets
        for address in addresses:
            allowed = (decided(before, address), decided(after, address))
            assert decided(table, address) in allowed, ipaddress.IPv4Address(address)
    assert table == after


@settings(max_examples=100, deadline=None)
@given(tables, tables)
def test_no_client_ever_goes_to_a_third_place(before: Table, after: Table) -> None:
    change = amendment(plan_with(before), plan_with(after), SCHEMA)
    assert change is not None
    follow([update for batch in change.batches for update in batch], before, after)


@settings(max_examples=50, deadline=None)
@given(tables, tables, st.randoms(use_true_random=False))
def test_nor_after_a_comparison_with_what_a_switch_tells_in_its_own_order(
    before: Table, after: Table, rng: random.Random
) -> None:
    found = [entry.encode(SCHEMA) for entry in entries(plan_with(before))]
    rng.shuffle(found)
    wanted = [entry.encode(SCHEMA) for entry in entries(plan_with(after))]
    follow(difference(wanted, found, SCHEMA).updates(), before, after)


@pytest.mark.parametrize(
    ("prefix", "slot_set"), [("10.1.0.0/16", 17), ("10.1.1.10/32", None), ("0.0.0.0/0", 18)]
)
def test_a_row_is_one_of_the_program_and_reads_back_the_same(
    prefix: str, slot_set: int | None
) -> None:
    entity = redirect_entry(RedirectRow(WEB, prefix, slot_set)).encode(SCHEMA)
    assert row(entity) == (prefix, slot_set)
    again = fy.P4TableEntry.decode(entity, SCHEMA).encode(SCHEMA)
    assert len(difference([entity], [again], SCHEMA)) == 0


@pytest.mark.parametrize("prefix", ["10.1.0.1/16", "2001:db8::/32", "rome"])
def test_what_is_no_ipv4_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="give an IPv4 prefix"):
        RedirectRow(WEB, prefix, 17)
