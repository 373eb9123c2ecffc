"""Byte strings and matches survive the way to the switch and back."""

from __future__ import annotations

import pytest
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from p4switch.errors import InvalidArgument
from p4switch.server.codec import FieldCodec, MatchItem, decode_bits, encode_bits

WIDTHS = st.integers(1, 128)


@st.composite
def values(draw: st.DrawFn) -> tuple[int, int]:
    width = draw(WIDTHS)
    return width, draw(st.integers(0, (1 << width) - 1))


@st.composite
def items(draw: st.DrawFn) -> tuple[FieldCodec, MatchItem]:
    """A field and an item that it may hold, the one that matches everything included."""
    width = draw(WIDTHS)
    full = (1 << width) - 1
    value = draw(st.integers(0, full))
    other = draw(st.integers(0, full))
    kind = draw(st.sampled_from(["exact", "lpm", "ternary", "range", "optional"]))
    as_ternary = kind == "optional" and draw(st.booleans())
    codec = FieldCodec(draw(st.integers(1, 9)), "f", kind, width, as_ternary)
    if kind == "exact":
        return codec, value
    if kind == "lpm":
        length = draw(st.integers(0, width))
        return codec, (value & (full ^ (full >> length)), length)
    if kind == "ternary":
        return codec, (value & other, other)
    if kind == "range":
        return codec, (min(value, other), max(value, other))
    if draw(st.booleans()):
        return codec, codec.wildcard()
    return codec, (value, full) if as_ternary else value


@given(values(), st.integers(0, 5))
def test_a_value_with_any_number_of_leading_zeros_is_accepted(
    pair: tuple[int, int], zeros: int
) -> None:
    width, value = pair
    assert decode_bits(bytes(zeros) + encode_bits(value), width, "field") == value


@given(values())
def test_the_shortest_byte_string_is_emitted(pair: tuple[int, int]) -> None:
    _, value = pair
    data = encode_bits(value)
    assert len(data) == 1 or data[0] != 0
    assert len(data) == max(1, (value.bit_length() + 7) // 8)


@given(WIDTHS, st.integers(0, 1 << 16))
def test_a_value_wider_than_its_field_is_refused_with_the_name(width: int, extra: int) -> None:
    with pytest.raises(InvalidArgument, match=f"ipv4.dst.*{width} bits"):
        decode_bits(encode_bits((1 << width) + extra), width, "ipv4.dst")


@given(items())
def test_a_match_reads_back_as_it_was_written(pair: tuple[FieldCodec, MatchItem]) -> None:
    codec, item = pair
    entry = p4r.TableEntry()
    codec.encode(item, entry)
    if entry.match:
        assert codec.decode(entry.match[0]) == item
    else:
        assert codec.wildcard() == item


@given(items(), items())
def test_a_match_of_another_kind_is_refused(
    first: tuple[FieldCodec, MatchItem], second: tuple[FieldCodec, MatchItem]
) -> None:
    entry = p4r.TableEntry()
    second[0].encode(second[1], entry)
    if entry.match and first[0].kind != second[0].kind:
        with pytest.raises(InvalidArgument, match=first[0].kind):
            first[0].decode(entry.match[0])


def field(kind: str, **parts: bytes | int) -> p4r.FieldMatch:
    message = p4r.FieldMatch(field_id=1)
    for name, value in parts.items():
        setattr(getattr(message, kind), name, value)
    return message


@pytest.mark.parametrize(
    ("kind", "message", "reason"),
    [
        ("lpm", field("lpm", value=b"\x0a", prefix_len=0), "leave the field out"),
        ("lpm", field("lpm", value=b"\x0a", prefix_len=33), "not in 1..32"),
        ("lpm", field("lpm", value=b"\x0a\x00\x00\x01", prefix_len=8), "below its prefix length"),
        ("ternary", field("ternary", value=b"\x00", mask=b"\x00"), "leave the field out"),
        ("ternary", field("ternary", value=b"\x03", mask=b"\x01"), "outside its mask"),
        ("range", field("range", low=b"\x05", high=b"\x04"), "swap them"),
        ("range", field("range", low=b"\x00", high=b"\xff\xff\xff\xff"), "leave the field out"),
        ("exact", field("exact", value=b"\x01\x00\x00\x00\x00"), "does not fit within 32 bits"),
    ],
)
def test_matches_that_the_specification_forbids_are_refused(
    kind: str, message: p4r.FieldMatch, reason: str
) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        FieldCodec(1, "ipv4.dst", kind, 32).decode(message)
