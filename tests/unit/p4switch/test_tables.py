"""Tables as a packet experiences them: every match kind, defaults, counters, meters, time-outs."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from p4switch.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from p4switch.pipeline import Pipeline
from p4switch.stateful import MeterConfig
from p4switch.tables import ActionCall, Entry

Load = Callable[..., Pipeline]
MISS = 0xFFFF


def value(n: int) -> ActionCall:
    return ActionCall("I.set_value", (n,))


def ask(p: Pipeline, kind: int, a: int, b: int = 0, c: int = 0, now_us: int = 0) -> tuple[int, ...]:
    """(value, how, colour) that the program writes into the packet."""
    ((port, out),) = p.process(struct.pack(">BIHB", kind, a, b, c), 1, now_us)
    assert port == 2
    return struct.unpack(">HBB", out[8:])


ENTRIES: dict[str, list[tuple[tuple[Any, ...], int, int]]] = {
    "I.by_prefix": [
        (((0, 0),), 0, 1),
        (((0x0A000000, 8),), 0, 2),
        (((0x0A010000, 16),), 0, 3),
        (((0x0A010203, 32),), 0, 4),
    ],
    "I.exact_prefix": [((1, (0x0A000000, 8)), 0, 5), ((2, (0x0A000000, 16)), 0, 6)],
    "I.by_mask": [
        (((0x0A000000, 0xFF000000), (0, 0)), 10, 7),
        (((0x0A000000, 0xFF000000), (5, 0xFFFF)), 20, 8),
        (((0, 0), (5, 0xFF)), 15, 9),
    ],
    "I.by_range": [(((10, 20), 1), 1, 10), (((15, 30), 1), 2, 11)],
    "I.by_optional": [((7, None), 1, 12), ((None, 3), 2, 13)],
    "I.mixed": [(((0x0A000000, 8), (1, 1), 4), 5, 14), (((0, 0), (0, 0), 4), 6, 15)],
    "I.exact_two": [((1, 2), 0, 16)],
}
CASES = [
    ("no prefix but the default route", 3, 0x0B000000, 0, 0, 1),
    ("the longest of three prefixes", 3, 0x0A010299, 0, 0, 3),
    ("a host route", 3, 0x0A010203, 0, 0, 4),
    ("an exact field beside a prefix", 4, 0x0A990000, 0, 1, 5),
    ("the same prefix, another exact field", 4, 0x0A990000, 0, 2, MISS),
    ("two masks match: the higher priority", 5, 0x0A112233, 5, 0, 8),
    ("only the wider mask", 5, 0x0A112233, 6, 0, 7),
    ("a mask on one field", 5, 0x0B000000, 0x0105, 0, 9),
    ("no mask matches", 5, 0x0B000000, 6, 0, MISS),
    ("the first of a range", 6, 0, 10, 1, 10),
    ("overlapping ranges: the higher priority", 6, 0, 20, 1, 11),
    ("past the last of a range", 6, 0, 31, 1, MISS),
    ("an optional field left open", 7, 7, 9, 0, 12),
    ("both optional entries match", 7, 7, 3, 0, 13),
    ("prefix, mask and exact together", 8, 0x0A000001, 3, 4, 15),
    ("two exact fields", 2, 1, 2, 0, 16),
    ("const entries: the first that matches", 9, 0x01FFFFFF, 0, 1, 1),
    ("const entries: the catch-all", 9, 0x02FFFFFF, 0, 1, 2),
    ("const entries: an exact value", 9, 0x02030405, 0, 2, 3),
    ("const entries: none", 9, 0x02030406, 0, 2, MISS),
]


@pytest.fixture
def p(load: Load) -> Pipeline:
    pipeline = load("tables")
    for table, rows in ENTRIES.items():
        for match, priority, n in rows:
            pipeline.tables[table].insert(Entry(match, priority, value(n)))
    return pipeline


@pytest.mark.parametrize(
    ("kind", "a", "b", "c", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_packet_finds(p: Pipeline, kind: int, a: int, b: int, c: int, expected: int) -> None:
    assert ask(p, kind, a, b, c)[0] == expected


def test_a_changed_entry_is_seen_by_the_next_packet_and_keeps_its_counter(load: Load) -> None:
    p = load("tables")
    table = p.tables["I.exact_one"]
    table.insert(Entry((5,), 0, ActionCall("I.set_exact", (1,))))
    assert ask(p, 1, 5) == (1, 1, 0)
    table.modify(Entry((5,), 0, ActionCall("I.set_exact", (2,)), controller_metadata=9))
    assert ask(p, 1, 5) == (2, 1, 0)
    entry = table.get((5,), 0)
    assert (entry.packets, entry.bytes, entry.controller_metadata) == (2, 16, 9)
    table.delete((5,), 0)
    assert ask(p, 1, 5) == (MISS, 2, 0)
    assert table.default_packets == 0  # BMv2 does not count a miss


def test_a_cached_result_does_not_outlive_its_entry(p: Pipeline) -> None:
    for table, kind, match, key in (
        ("I.by_prefix", 3, ((0x0A010203, 32),), (0x0A010203, 0, 0)),
        ("I.by_mask", 5, ((0x0A000000, 0xFF000000), (5, 0xFFFF)), (0x0A000000, 5, 0)),
    ):
        before = ask(p, kind, *key)[0]
        priority = 20 if kind == 5 else 0
        p.tables[table].delete(match, priority)
        after = ask(p, kind, *key)[0]
        assert after != before
        p.tables[table].insert(Entry(match, priority, value(99)))
        assert ask(p, kind, *key)[0] == 99


def test_a_miss_runs_the_default_that_the_controller_set(load: Load) -> None:
    p = load("tables")
    table = p.tables["I.by_prefix"]
    assert ask(p, 3, 1)[0] == MISS
    table.set_default(value(7))
    assert ask(p, 3, 1)[0] == 7
    table.reset_default()
    assert ask(p, 3, 1)[0] == MISS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (ActionCall("I.left"), (1, 1, 0)),
        (ActionCall("I.right", (9,)), (2, 9, 0)),
        (None, (3, 0, 0)),
    ],
)
def test_what_follows_depends_on_the_action_that_ran(
    load: Load, arguments: ActionCall | None, expected: tuple[int, int, int]
) -> None:
    p = load("tables")
    if arguments:
        p.tables["I.switched"].insert(Entry((4,), 0, arguments))
    assert ask(p, 11, 4) == expected


def test_exit_leaves_the_pipeline_and_the_packet_is_dropped(load: Load) -> None:
    assert load("tables").process(struct.pack(">BIHB", 77, 0, 0, 0), 1, 0) == []


def test_a_direct_meter_colours_hits_only(load: Load) -> None:
    p = load("tables")
    table = p.tables["I.metered"]
    table.insert(Entry((1,), 0, ActionCall("I.set_metered", (3,))))
    assert ask(p, 10, 1) == (3, 0, 0)  # a hit without a config is green
    table.set_meter((1,), 0, MeterConfig(cir=1, cburst=1, pir=2, pburst=2))
    assert [ask(p, 10, 1, now_us=5)[2] for _ in range(4)] == [0, 1, 2, 2]
    assert ask(p, 10, 2) == (MISS, 0, 9)  # a miss leaves the field alone


def test_idle_entries_are_those_that_no_packet_hit(load: Load) -> None:
    p = load("tables")
    table = p.tables["I.exact_two"]
    for a in (1, 2):
        table.insert(Entry((a, 0), 0, value(a), idle_timeout_ns=1_000_000_000))
    table.insert(Entry((3, 0), 0, value(3)))
    assert table.idle_entries(10_000_000) == []
    ask(p, 2, 1, now_us=10_800_000)
    assert [e.match for e in table.idle_entries(11_500_000)] == [(2, 0)]
    assert [e.match for e in table.idle_entries(12_000_000)] == [(1, 0), (2, 0)]


REFUSALS = [
    ("twice the same key", "I.exact_two", Entry((1, 2), 0, value(1)), AlreadyExists),
    (
        "an action of another table",
        "I.exact_two",
        Entry((9, 9), 0, ActionCall("I.left")),
        InvalidArgument,
    ),
    (
        "too few arguments",
        "I.exact_two",
        Entry((9, 9), 0, ActionCall("I.set_value")),
        InvalidArgument,
    ),
    ("an argument too wide", "I.exact_two", Entry((9, 9), 0, value(1 << 16)), InvalidArgument),
    ("too few key fields", "I.exact_two", Entry((9,), 0, value(1)), InvalidArgument),
    ("constant entries", "I.constant", Entry(((0, 0), 1), 5, value(1)), PermissionDenied),
    (
        "a time-out that the table has not",
        "I.by_range",
        Entry(((0, 1), 0), 9, value(1), 5),
        InvalidArgument,
    ),
]


@pytest.mark.parametrize(
    ("table", "entry", "error"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_an_insert_is_refused(
    p: Pipeline, table: str, entry: Entry, error: type[Exception]
) -> None:
    before = len(p.tables[table].entries())
    with pytest.raises(error):
        p.tables[table].insert(entry)
    assert len(p.tables[table].entries()) == before


def test_a_full_table_refuses_one_more(load: Load) -> None:
    table = load("tables").tables["I.exact_one"]
    for i in range(8):
        table.insert(Entry((i,), 0, ActionCall("I.none")))
    with pytest.raises(ResourceExhausted):
        table.insert(Entry((8,), 0, ActionCall("I.none")))


def test_what_is_not_there_cannot_be_changed_or_removed(p: Pipeline) -> None:
    table = p.tables["I.by_mask"]
    match = ((0x0A000000, 0xFF000000), (0, 0))
    with pytest.raises(NotFound):
        table.delete(match, 11)  # the match exists, with another priority
    with pytest.raises(NotFound):
        table.modify(Entry(((1, 1), (0, 0)), 10, value(1)))
    with pytest.raises(FailedPrecondition):
        table.set_meter(match, 10, None)
    with pytest.raises(PermissionDenied):
        p.tables["I.exact_two"].set_default(value(1))
