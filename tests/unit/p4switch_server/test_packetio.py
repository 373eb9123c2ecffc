"""Controller headers: metadata to header bytes and back."""

from __future__ import annotations

import pytest
from finsy.proto import p4i, p4r
from hypothesis import given
from hypothesis import strategies as st

from p4switch.errors import InvalidArgument
from p4switch.server.packetio import ControllerHeader


@st.composite
def headers(draw: st.DrawFn) -> tuple[ControllerHeader, list[int]]:
    """A header of whole bytes and values for its fields."""
    widths = draw(st.lists(st.integers(1, 64), max_size=6))
    rest = -sum(widths) % 8
    if rest:
        widths.append(rest)
    info = p4i.ControllerPacketMetadata()
    info.preamble.name = "packet_in"
    for number, width in enumerate(widths, 1):
        info.metadata.add(id=number, name=f"m{number}", bitwidth=width)
    return ControllerHeader.from_p4info(info), [
        draw(st.integers(0, (1 << width) - 1)) for width in widths
    ]


@given(headers(), st.binary(max_size=64))
def test_metadata_comes_back_from_the_header_bytes(
    pair: tuple[ControllerHeader, list[int]], payload: bytes
) -> None:
    header, wanted = pair
    packet_out = p4r.PacketOut(payload=payload)
    for number, value in enumerate(wanted, 1):
        packet_out.metadata.add(metadata_id=number, value=value.to_bytes(8, "big"))
    packet = header.join(packet_out)
    assert len(packet) == header.size_bytes + len(payload)
    packet_in = header.split(packet)
    assert packet_in.payload == payload
    assert [int.from_bytes(m.value, "big") for m in packet_in.metadata] == wanted


def two_fields() -> ControllerHeader:
    info = p4i.ControllerPacketMetadata()
    info.preamble.name = "packet_out"
    info.metadata.add(id=1, name="port", bitwidth=9)
    info.metadata.add(id=2, name="pad", bitwidth=7)
    return ControllerHeader.from_p4info(info)


def test_fields_stand_in_the_header_in_the_order_of_the_program() -> None:
    packet_out = p4r.PacketOut(payload=b"rest")
    packet_out.metadata.add(metadata_id=1, value=b"\x01\x02")
    assert two_fields().join(packet_out) == b"\x81\x00rest"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([(3, b"\x01")], "unknown metadata id 3"),
        ([(1, b"\x02\x00")], "does not fit within 9 bits"),
        ([(1, b"\x01"), (1, b"\x01")], "comes twice"),
    ],
)
def test_malformed_metadata_is_refused(metadata: list[tuple[int, bytes]], reason: str) -> None:
    packet_out = p4r.PacketOut()
    for number, value in metadata:
        packet_out.metadata.add(metadata_id=number, value=value)
    with pytest.raises(InvalidArgument, match=reason):
        two_fields().join(packet_out)


def test_a_packet_shorter_than_its_header_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="1 bytes on the CPU port is shorter"):
        two_fields().split(b"x")


def test_a_header_that_does_not_fill_bytes_is_refused() -> None:
    info = p4i.ControllerPacketMetadata()
    info.preamble.name = "packet_in"
    info.metadata.add(id=1, name="port", bitwidth=9)
    with pytest.raises(InvalidArgument, match="9 bits"):
        ControllerHeader.from_p4info(info)
