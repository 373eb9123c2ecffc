"""Parser and deparser as tables of (description, packet in, packet out)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4switch.pipeline import Pipeline

Load = Callable[..., Pipeline]
SRC = bytes.fromhex("020304050607")


def ethernet(type_: int, dst: int = 0) -> bytes:
    return dst.to_bytes(6, "big") + SRC + type_.to_bytes(2, "big")


def vlan(vid: int, type_: int) -> bytes:
    return vid.to_bytes(2, "big") + type_.to_bytes(2, "big")


def mpls(label: int, bottom: int = 0, tc: int = 0, ttl: int = 5) -> bytes:
    return (label << 12 | tc << 9 | bottom << 8 | ttl).to_bytes(4, "big")


def ipv4(ihl: int = 5, version: int = 4, options: bytes = b"") -> bytes:
    return bytes([version << 4 | ihl]) + bytes(range(1, 20)) + options


def trailer(error: int = 0, depth: int = 0, top: int = 0) -> bytes:
    return bytes([error, depth, top])


OK, SHORT, FULL, HEADER, BAD_TAG = 0, 1, 3, 4, 100
PLAIN = ethernet(0x86DD) + b"payload"
IP = ethernet(0x0800) + ipv4()
CASES = [
    ("nothing after Ethernet is known", PLAIN, trailer() + PLAIN),
    ("an empty payload", ethernet(0x86DD), trailer() + ethernet(0x86DD)),
    ("IPv4", IP + b"x", trailer() + IP + b"x"),
    (
        "IPv4 with options",
        ethernet(0x0800) + ipv4(7, options=b"12345678") + b"x",
        trailer() + ethernet(0x0800) + ipv4(7, options=b"12345678") + b"x",
    ),
    ("IPv4 one byte short", IP[:-1], trailer(SHORT) + IP[:-1]),
    (
        "options cut off: the fixed header stays parsed",
        ethernet(0x0800) + ipv4(7, options=b"1234"),
        trailer(SHORT) + ethernet(0x0800) + ipv4(7, options=b"1234"),
    ),
    (
        "verify fails with the program's own error",
        ethernet(0x0800) + ipv4(version=6),
        trailer(BAD_TAG) + ethernet(0x0800) + ipv4(version=6),
    ),
    (
        "verify fails with a core error",
        ethernet(0x0800) + ipv4(ihl=4),
        trailer(HEADER) + ethernet(0x0800) + ipv4(ihl=4),
    ),
    (
        "a select with a mask: 0x9100 is a tag too",
        ethernet(0x9100) + vlan(7, 0x0800) + ipv4(),
        trailer() + ethernet(0x9100) + vlan(7, 0x0800) + ipv4(),
    ),
    (
        "two tags fill the stack",
        ethernet(0x8100) + vlan(1, 0x8100) + vlan(2, 0x1111),
        trailer() + ethernet(0x8100) + vlan(1, 0x8100) + vlan(2, 0x1111),
    ),
    (
        "a third tag is beyond the stack",
        ethernet(0x8100) + vlan(1, 0x8100) + vlan(2, 0x8100) + vlan(3, 0),
        trailer(FULL) + ethernet(0x8100) + vlan(1, 0x8100) + vlan(2, 0x8100) + vlan(3, 0),
    ),
    (
        "labels until the bottom, then IPv4 by lookahead",
        ethernet(0x8847) + mpls(1) + mpls(2, 1) + ipv4(),
        trailer(depth=2) + ethernet(0x8847) + mpls(1) + mpls(2, 1) + ipv4(),
    ),
    (
        "a lookahead beyond the end",
        ethernet(0x8847) + mpls(1, 1),
        trailer(SHORT, 1) + ethernet(0x8847) + mpls(1, 1),
    ),
    (
        "advance drops what it passes",
        ethernet(0x1234) + b"\x03ab" + b"rest",
        trailer() + ethernet(0x1234) + b"rest",
    ),
    (
        "advance beyond the end",
        ethernet(0x1234) + b"\xff",
        trailer(SHORT) + ethernet(0x1234) + b"\xff",
    ),
    (
        "a stack of unions, one member each",
        ethernet(0x4321) + b"\x01a" + b"\x02bcd" + b"\x00",
        trailer(top=3) + ethernet(0x4321) + b"\x01a\x02bcd\x00",
    ),
    (
        "a plain union",
        ethernet(0x4322) + b"\x02abc",
        trailer(top=4) + ethernet(0x4322) + b"\x02abc",
    ),
    (
        "setValid on one member of a union ends the other",
        ethernet(0x4322, 9) + b"\x02abc",
        trailer(top=4) + ethernet(0x4322, 9) + b"\x00\x07",
    ),
    (
        "push_front makes room for a label and loses the last of three",
        ethernet(0x8847, 1) + mpls(1) + mpls(2) + mpls(3, 1) + b"\x00",
        trailer(depth=3) + ethernet(0x8847, 1) + mpls(77, 1, 1, 9) + mpls(1) + mpls(2) + b"\x00",
    ),
    (
        "pop_front takes the first label",
        ethernet(0x8847, 2) + mpls(1) + mpls(2, 1) + b"\x00",
        trailer(depth=2) + ethernet(0x8847, 2) + mpls(2, 1) + b"\x00",
    ),
    (
        "a header is copied with its validity",
        ethernet(0x8847, 3) + mpls(1) + mpls(2, 1) + b"\x00",
        trailer(depth=2) + ethernet(0x8847, 3) + mpls(1) + mpls(2, 1) + mpls(1) + b"\x00",
    ),
    (
        "an invalid header is copied as invalid",
        ethernet(0x8847, 3) + b"",
        trailer(SHORT) + ethernet(0x8847, 3),
    ),
    (
        "equal headers",
        ethernet(0x8847, 8) + mpls(6) + mpls(6) + mpls(0, 1) + b"\x00",
        trailer(depth=3, top=8) + ethernet(0x8847, 8) + mpls(6) + mpls(6) + mpls(0, 1) + b"\x00",
    ),
    (
        "two invalid headers are equal",
        ethernet(0x86DD, 8),
        trailer(top=8) + ethernet(0x86DD, 8),
    ),
    (
        "a removed varbit header",
        ethernet(0x0800, 7) + ipv4(6, options=b"abcd") + b"x",
        trailer() + ethernet(0x0800, 7) + ipv4(5) + b"x",
    ),
    (
        "fields of a header are rewritten, its neighbours are not",
        ethernet(0x0800, 5) + ipv4() + b"x",
        trailer()
        + ethernet(0x0800, 5)
        + ipv4()[:8]
        + b"\x07"
        + ipv4()[9:12]
        + 2 * ipv4()[16:20]
        + b"x",
    ),
]


@pytest.mark.parametrize(("packet", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_packet_leaves_as(load: Load, packet: bytes, expected: bytes) -> None:
    assert load("headers").process(packet, 1, 0) == [(3, expected)]


@given(st.data())
def test_an_unchanged_packet_leaves_as_it_came_whatever_is_in_it(data: st.DataObject) -> None:
    # any prefix of any header sequence: what was parsed and what was not add up to the packet
    parts = [ethernet(data.draw(st.sampled_from([0x8100, 0x8847, 0x0800, 0x4321, 0x4322])))]
    parts += [
        data.draw(
            st.sampled_from(
                [
                    vlan(1, 0x8100),
                    vlan(1, 0x8847),
                    mpls(1),
                    mpls(1, 1),
                    ipv4(6),
                    b"\x01a",
                    b"\x02abc",
                ]
            )
        )
        for _ in range(data.draw(st.integers(0, 5)))
    ]
    whole = b"".join(parts) + data.draw(st.binary(max_size=30))
    packet = whole[: data.draw(st.integers(14, len(whole)))]
    ((_, out),) = _headers().process(packet, 1, 0)
    assert out[3:] == packet


_loaded: list[Pipeline] = []


def _headers() -> Pipeline:
    if not _loaded:
        from pathlib import Path

        path = Path(__file__).parent / "programs" / "headers.json"
        _loaded.append(Pipeline(path.read_bytes()))
    return _loaded[0]
