"""Actions with conditions, returns, exits and loops; parsers that loop; stack indexes from packets."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from p4switch.pipeline import Pipeline
from p4switch.tables import ActionCall, Entry


@cache
def program() -> Pipeline:
    p = Pipeline((Path(__file__).parent / "programs" / "actions.json").read_bytes())
    p.tables["I.t"].insert(Entry((1,), 0, ActionCall("I.total")))
    p.tables["I.t"].insert(Entry((2,), 0, ActionCall("I.branches", (3,))))
    return p


def run(op: int, x: int, n: int = 0, rest: bytes = b"\x00") -> tuple[int, int, bytes]:
    """(y, seen, what follows) of the packet that comes out."""
    ((port, out),) = program().process(struct.pack(">BBI", op, n, x) + rest, 1, 0)
    assert port == 7
    y, seen = struct.unpack(">IB", out[:5])
    return y, seen, out[5:]


def branches(base: int, x: int) -> int:
    if x > 100:
        return base + 1 if x > 1000 else base + 2 + 16
    return 0xAAAA if x == 7 else x + 16  # exit: what follows the table is not run


def total(x: int) -> int:
    amount = 0
    for i in range(x):
        if i == 3:
            continue
        if amount > 50:
            break
        amount += i
    return amount


numbers = st.one_of(st.integers(0, 120), st.sampled_from([7, 100, 101, 1000, 1001, 0xFFFFFFFF]))


@given(numbers)
def test_ifs_returns_and_exit_in_an_action(x: int) -> None:
    assert run(2, x)[0] == branches(3, x)
    assert run(0, x)[0] == branches(500, x)  # the default action, with its own argument


@given(st.integers(0, 200))
def test_a_loop_with_break_and_continue_in_an_action(x: int) -> None:
    assert run(1, x)[0] == total(x)


@given(st.lists(st.integers(0, 255), max_size=40), st.binary(max_size=5))
def test_a_parser_that_comes_back_to_a_state(values: list[int], tail: bytes) -> None:
    tlvs = b"".join(bytes([0xFF, v]) for v in values)
    rest = b"\x01" + tail
    y, seen, out = run(2, 50, rest=tlvs + rest)
    assert (y, seen) == (66, sum(values) % 256)
    assert out == tlvs[-2:] + rest  # one header instance: the last of the options is sent


@given(st.integers(0, 5), st.binary(min_size=3, max_size=3))
def test_a_stack_index_from_the_packet(n: int, items: bytes) -> None:
    y, _, out = run(9, 0, n, items + b"end")
    assert y == (items[n] if n < 3 else 0)
    expected = bytearray(items)
    if n < 3:
        expected[n] = 0x55
    assert out == bytes(expected) + b"end"
