"""Arithmetic in P4 programs: every operator against a reference on unbounded integers."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from p4switch.codegen import expressions as ex
from p4switch.pipeline import Pipeline

M32 = (1 << 32) - 1
OUT = ">14I8hHBIiBIBQ"


@cache
def program() -> Pipeline:
    path = Path(__file__).parent / "programs" / "expressions.json"
    return Pipeline(path.read_bytes())


def signed16(x: int) -> int:
    return ((x + 0x8000) & 0xFFFF) - 0x8000


def clamp16(x: int) -> int:
    return max(-0x8000, min(0x7FFF, x))


def reference(a: int, b: int, c: int, d: int, n: int, e: int, f: int) -> tuple[int, ...]:
    """The P4_16 specification, section 8, by hand."""
    unsigned = (
        (a + b) & M32,
        (a - b) & M32,
        (a * b) & M32,
        a & b,
        a | b,
        a ^ b,
        -a & M32,
        ~a & M32,
        a << n & M32,
        a >> n,
        min(a + b, M32),
        max(a - b, 0),
        a // 8,
        a % 8,
    )
    signed = (
        signed16(c + d),
        signed16(c - d),
        signed16(c * d),
        clamp16(c + d),
        clamp16(c - d),
        signed16(-c),
        c >> n,
        signed16(c << 3),
    )
    bits = (a < b, a <= b, a == b, c < d, c >= d, a > b, a and b, a or not b)
    packed = 0
    for bit in bits:
        packed = packed << 1 | bool(bit)
    rest = (
        e << 9 | f,
        a >> 20 & 0xFF,
        (b & 0xFFFF00FF) | n << 8,
        c,
        a & 0xFF,
        f,
        packed,
        ((a << 32 | b) + 1) & ((1 << 64) - 1),
    )
    return (*unsigned, *signed, *rest)


words = st.one_of(
    st.integers(0, M32), st.sampled_from([0, 1, M32, M32 - 1, 1 << 31, (1 << 31) - 1])
)
halves = st.one_of(st.integers(-0x8000, 0x7FFF), st.sampled_from([0, -1, -0x8000, 0x7FFF]))


@given(words, words, halves, halves, st.integers(0, 255), st.integers(0, 127), st.integers(0, 511))
@example(0, 0, -0x8000, -0x8000, 255, 127, 511)
@example(M32, 1, 0x7FFF, 1, 32, 0, 0)
def test_a_packet_gets_the_results_that_the_language_defines(
    a: int, b: int, c: int, d: int, n: int, e: int, f: int
) -> None:
    packet = struct.pack(">IIhhBH", a, b, c, d, n, e << 9 | f) + b"tail"
    ((port, out),) = program().process(packet, 1, 0)
    assert port == 1
    assert out[-4:] == b"tail"
    assert struct.unpack(OUT, out[:-4]) == reference(a, b, c, d, n, e, f)


# the generator's folding and bounds


def build(draw: st.DrawFn, depth: int) -> tuple[ex.Ex, int]:
    """An expression and its value where x = 13, y = 200 and z = 1."""
    if depth == 0 or draw(st.booleans()):
        leaf = draw(st.sampled_from(["x", "y", "z", "const"]))
        if leaf == "const":
            value = draw(st.integers(-300, 70000))
            return ex.constant(value), value
        value = {"x": 13, "y": 200, "z": 1}[leaf]
        high = {"x": 15, "y": 255, "z": 1}[leaf]
        return ex.local(leaf, 0, high), value
    a, va = build(draw, depth - 1)
    b, vb = build(draw, depth - 1)
    kind = draw(st.sampled_from(["+", "-", "*", "&", "|", "^", ">>", "?", "<", "==", "wrap", "s"]))
    if kind == ">>":
        return ex.binary(">>", a, ex.constant(abs(vb) % 40)), va >> abs(vb) % 40
    if kind == "?":
        return ex.choose(ex.truth(a), a, b), va if va else vb
    if kind == "<":
        return ex.compare("<", a, b), int(va < vb)
    if kind == "==":
        return ex.compare("==", a, b), int(va == vb)
    if kind == "wrap":
        return ex.wrap(a, 9), va & 511
    if kind == "s":
        return ex.wrap_signed(a, 9), ((va + 256) & 511) - 256
    results = {"+": va + vb, "-": va - vb, "*": va * vb, "&": va & vb, "|": va | vb, "^": va ^ vb}
    return ex.binary(kind, a, b), results[kind]


@st.composite
def expressions(draw: st.DrawFn) -> tuple[ex.Ex, int]:
    return build(draw, 4)


@given(expressions())
def test_generated_source_computes_the_value_and_the_bounds_hold(case: tuple[ex.Ex, int]) -> None:
    expression, value = case
    assert eval(expression.code, {"x": 13, "y": 200, "z": 1}) == value
    assert expression.low <= value <= expression.high
