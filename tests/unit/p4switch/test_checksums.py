"""Checksums: wrong ones are seen, changed headers leave with right ones."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4switch.pipeline import Pipeline

GOOD, BAD = 4, 5


@cache
def program() -> Pipeline:
    return Pipeline((Path(__file__).parent / "programs" / "checksums.json").read_bytes())


def checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    if len(data) % 2:
        data += b"\0"
    total = 0
    for (word,) in struct.iter_unpack(">H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(tos: int, ttl: int, options: bytes, payload: bytes, *, udp: bool = True) -> bytes:
    """IPv4 and UDP with right checksums."""
    src, dst = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"
    body = payload
    if udp:
        head = struct.pack(">HHH", 1000, 53, 8 + len(payload))
        pseudo = src + dst + struct.pack(">BBH", 0, 17, 8 + len(payload))
        body = head + struct.pack(">H", checksum(pseudo + head + payload)) + payload
    first = struct.pack(">BBHHHBB", 0x45 + len(options) // 4, tos, 99, 7, 0, ttl, 17 if udp else 6)
    rest = src + dst + options
    return first + struct.pack(">H", checksum(first + rest)) + rest + body


options = st.binary(max_size=40).map(lambda b: b[: len(b) // 4 * 4])
payloads = st.binary(max_size=60)


@given(st.sampled_from([0, 1, 2]), st.integers(1, 255), options, payloads, st.booleans())
def test_a_right_packet_is_accepted_and_leaves_right(
    tos: int, ttl: int, options: bytes, payload: bytes, udp: bool
) -> None:
    sent = packet(tos, ttl, options, payload, udp=udp)
    ((port, out),) = program().process(sent, 1, 0)
    assert port == GOOD
    size = 20 + len(options)
    assert checksum(out[:size]) == 0
    assert out[8] == (ttl - 1 if tos == 1 else ttl)
    if udp:
        pseudo = out[12:20] + struct.pack(">BBH", 0, 17, 8 + len(payload))
        assert checksum(pseudo + out[size:]) == 0
        assert out[size + 2 : size + 4] == (b"\x99\x99" if tos == 2 else b"\x00\x35")
    if tos == 0:
        assert out == sent


@given(options, payloads, st.data())
def test_one_wrong_bit_is_seen(options: bytes, payload: bytes, data: st.DataObject) -> None:
    sent = bytearray(packet(0, 64, options, payload))
    size = 20 + len(options)
    where = data.draw(st.integers(1, len(sent) - 1))
    if where in (9, size + 4, size + 5, size + 6, size + 7):
        return  # the protocol decides what is checked, the length how much, zero that nothing is
    sent[where] ^= 1 << data.draw(st.integers(0, 7))
    ((port, _),) = program().process(bytes(sent), 1, 0)
    assert port == BAD


@pytest.mark.parametrize(
    ("description", "stored", "port"),
    [("an absent UDP checksum is not checked", 0, GOOD), ("a wrong one is", 1, BAD)],
)
def test_a_condition_says_what_is_verified(description: str, stored: int, port: int) -> None:
    sent = bytearray(packet(0, 64, b"", b"abc"))
    sent[26:28] = stored.to_bytes(2, "big")
    assert program().process(bytes(sent), 1, 0)[0][0] == port


def test_a_condition_says_what_is_updated() -> None:
    sent = bytearray(packet(7, 64, b"", b"abc"))
    sent[10:12] = b"\x12\x34"
    assert program().process(bytes(sent), 1, 0)[0][1][10:12] == b"\x12\x34"
