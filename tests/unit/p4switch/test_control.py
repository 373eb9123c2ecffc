"""Control flow that meets and parts, and headers whose validity only the packet knows."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from p4switch.hashes import crc32, csum16
from p4switch.pipeline import Pipeline
from p4switch.replication import CloneSession, Replica
from p4switch.tables import ActionCall, Entry

Load = Callable[..., Pipeline]
MACS = bytes(range(12))
V6 = b"\x61\x23\x45\x67" + bytes(range(16)) + b"\xff" * 16
ONE, TWO, THREE = ActionCall("I.one", (5,)), ActionCall("I.two"), ActionCall("I.three")


def first(op: int, more: int = 0, x: int = 0, macs: bytes = MACS) -> bytes:
    return struct.pack(">BBI", op, more, x) + macs


def extra(kind: int = 0, level: int = 0, word: int = 0) -> bytes:
    return struct.pack(">BbH", kind, level, word)


def out(a: int, b: int, length: int, port: int = 1) -> bytes:
    return struct.pack(">IIII", a, b, length, port)


# an action in table t for the packet, what is sent, what comes out at port 1
CASES = [
    ("a switch block of one action", ONE, first(1, 2, 4) + extra(), out(6, 1, 22)),
    (
        "another block, with a table inside that misses",
        TWO,
        first(1, 2, 4) + extra(),
        out(100, 33, 22),
    ),
    (
        "the default block, which several actions share",
        None,
        first(1, 2, 4) + extra(),
        out(3, 513, 22),
    ),
    ("exit in an action ends the pipeline", THREE, first(1, 2, 4) + extra(), out(0, 4, 22)),
    ("exit under two conditions", None, first(6, 2, 20) + extra(), out(0, 0, 22)),
    ("the same conditions, one false", None, first(6, 0, 20), out(0x85, 6, 18)),
    (
        "a negative number saturates upwards only",
        None,
        first(6, 2, 5) + extra(0, -128),
        out(0xE4, 6, 22),
    ),
    ("a small positive number is left alone", None, first(6, 2, 5) + extra(0, 5), out(0x80, 6, 22)),
    ("egress_spec has no meaning in egress", None, first(7, 0, 1), out(3, 0, 18)),
]


@pytest.mark.parametrize(
    ("action", "packet", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_packet_takes(
    load: Load, action: ActionCall | None, packet: bytes, expected: bytes
) -> None:
    p = load("control")
    if action:
        p.tables["I.t"].insert(Entry(((4, 0xFF), 1), 1, action))
    assert p.process(packet, 1, 0) == [(1, expected + packet)]


# sent, then everything after the report header, then the length that egress saw
HEADERS = [
    (
        "setValid on a header that was not there: zero, and the packet grows",
        first(2, 0, 1),
        first(2, 0, 1) + extra(0, 0, 7),
        22,
    ),
    (
        "setValid on a header that was there: nothing else changes",
        first(2, 2, 1) + extra(9, -1, 1),
        first(2, 2, 1) + extra(9, -1, 7),
        22,
    ),
    ("setInvalid on a header that was not there", first(2, 0, 2), first(2, 0, 2), 18),
    ("setInvalid on one that was", first(2, 1, 2) + V6 + b"z", first(2, 1, 2) + b"z", 19),
    (
        "a varbit header moves to another instance",
        first(2, 4, 8) + b"\x03abcZpay",
        first(2, 4, 8) + b"\x03abcZpay",
        21,
    ),
    (
        "an empty varbit field",
        first(2, 4, 8) + b"\x00Zpay",
        first(2, 4, 8) + b"\x00Zpay",
        21,
    ),
    (
        "48 and 128 bits change places, 20 bits count down",
        first(3, 1) + V6,
        first(3, 1, 0, MACS[6:] + MACS[:6])
        + b"\x61\x23\x45\x66"
        + b"\xff" * 16
        + bytes(range(15))
        + b"\x10",
        54,
    ),
]


@pytest.mark.parametrize(
    ("packet", "expected", "length"), [c[1:] for c in HEADERS], ids=[c[0] for c in HEADERS]
)
def test_headers_come_and_go(load: Load, packet: bytes, expected: bytes, length: int) -> None:
    ((_, sent),) = load("control").process(packet, 1, 0)
    assert sent[16:] == expected
    assert sent[8:12] == length.to_bytes(4, "big")


def test_mark_to_drop_and_exit_in_egress_send_nothing(load: Load) -> None:
    assert load("control").process(first(7, 0, 0), 1, 0) == []


def test_a_checksum_is_updated_under_its_condition_only(load: Load) -> None:
    p = load("control")
    p.tables["I.t"].insert(Entry(((0, 0), 1), 1, ActionCall("I.four", (3,))))
    ((_, sent),) = p.process(first(1, 2, 0x01020304) + extra(1, -2, 5), 1, 0)
    word = csum16(struct.pack(">IBb", 0x01020304, 3, -2))
    assert sent[16 + 18 :] == extra(3, -2, word)
    ((_, sent),) = p.process(first(0, 2, 0x01020304) + extra(1, -2, 5), 1, 0)
    assert sent[16 + 18 :] == extra(1, -2, 5)


def test_a_hash_takes_fields_of_any_width(load: Load) -> None:
    p = load("control")
    ((_, sent),) = p.process(first(4, 3, 0x01020304) + V6 + extra(7, -3, 0x0A0B), 1, 0)
    # fields of 8, 20, 4 and 8 bits follow each other without gaps
    packed = (7 << 32 | 0x34567 << 12 | 1 << 8 | 0xFD).to_bytes(5, "big")
    assert int.from_bytes(sent[4:8], "big") == csum16(packed)
    data = struct.pack(">I", 0x01020304) + V6[4:20] + b"\x0a\x0b"
    assert int.from_bytes(sent[:4], "big") == crc32(data)


@pytest.mark.parametrize(
    ("x", "clone"), [(1, (111, 0)), (2, (0, 222))], ids=["first list", "second list"]
)
def test_a_clone_keeps_the_list_that_its_call_names(
    load: Load, x: int, clone: tuple[int, int]
) -> None:
    p = load("control")
    p.replication.insert_clone(1, CloneSession((Replica(7),)))
    copy, original = p.process(first(5, 0, x), 2, 0)
    assert copy == (7, out(*clone, 18, 7) + first(5, 0, x))
    assert original == (1, out(111, 222, 18) + first(5, 0, x))
