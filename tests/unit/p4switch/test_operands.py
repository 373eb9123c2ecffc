"""Whole headers, varbit fields and run-time indexes as operands; replicas with checksums."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from p4switch.hashes import csum16
from p4switch.pipeline import Pipeline
from p4switch.replication import Replica

Load = Callable[..., Pipeline]
PAIRS = b"ABCDEF"


def order(op: int, index: int = 0) -> bytes:
    return struct.pack(">Bb", op, index)


CASES = [
    ("equal varbit fields in different headers", order(1) + b"1ab2ab", 2, order(1) + b"1ab2ab"),
    ("equal headers with varbit fields", order(1) + b"1ab1ab", 3, order(1) + b"1ab1ab"),
    ("different varbit fields", order(1) + b"1ab1ac", 1, order(1) + b"1ab1ac"),
    ("stack.last copied in the parser", order(0) + PAIRS, 1, order(0) + PAIRS + b"CD"),
    ("a header copied by a run-time index", order(2, 2) + PAIRS, 1, order(2, 2) + PAIRS + b"EF"),
    ("a field read by a run-time index", order(3, 1) + PAIRS, 1, order(3, 1) + b"DBCDEFCD"),
]


@pytest.mark.parametrize(
    ("packet", "port", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_operand(load: Load, packet: bytes, port: int, expected: bytes) -> None:
    assert load("operands").process(packet, 5, 0) == [(port, expected)]


@pytest.mark.parametrize("index", [3, 100, -1, -128])
def test_an_index_beyond_the_stack_reads_zero_and_harms_nothing(load: Load, index: int) -> None:
    ((_, out),) = load("operands").process(order(3, index) + PAIRS, 5, 0)
    assert out == order(3, index) + b"\0BCDEFCD"


def test_each_replica_gets_its_own_checksum(load: Load) -> None:
    p = load("operands")
    p.replication.insert_multicast(1, (Replica(3, 7), Replica(4, 9)))
    p.replication.insert_multicast(2, (Replica(5),))
    head = b"\x12\x34"
    good = order(4) + head + csum16(head + b"zz").to_bytes(2, "big") + b"zz"
    expected = [
        (
            port,
            order(4) + head + csum16(head + bytes([0, rid])).to_bytes(2, "big") + bytes([0, rid]),
        )
        for port, rid in ((3, 7), (4, 9))
    ]
    assert p.process(good, 1, 0) == expected
    assert [port for port, _ in p.process(order(4) + head + b"??zz", 1, 0)] == [5]
