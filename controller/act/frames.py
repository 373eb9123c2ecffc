"""Frames of the fabric's own traffic: Ethernet, MPLS labels, IPv4 from 169.254.0.0/16, UDP without checksum. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_MPLS = 0x8847
TTL = 64
UDP = 17
_MAC_PREFIX = bytes.fromhex("02756d62")  # locally administered; the last two bytes are a label
_LINK_LOCAL = bytes((169, 254))
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")


class FrameError(ValueError):
    """The bytes are no such frame."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds a payload. `labels`: MPLS stack, top first; `origin`, `target`: the last two bytes of the
    addresses, which are labels of switches.
    """

    labels: tuple[int, ...]
    origin: int
    target: int
    source_port: int
    port: int


def pack_frame(envelope: Envelope, payload: bytes) -> bytes:
    """The whole frame, with IPv4's checksum. ValueError when a label or the payload does not fit."""
    for label in (*envelope.labels, envelope.origin, envelope.target):
        if not 0 <= label <= 0xFFFF:
            raise ValueError(f"label {label} is not in 0..65535")
    size = _IPV4.size + _UDP.size + len(payload)
    if size > 0xFFFF:
        raise ValueError(f"a payload of {len(payload)} bytes does not fit one packet")
    first = envelope.labels[0] if envelope.labels else envelope.target
    ethernet = _mac(first) + _mac(envelope.origin)
    ethernet += struct.pack("!H", ETHERTYPE_MPLS if envelope.labels else ETHERTYPE_IPV4)
    last = len(envelope.labels) - 1
    stack = b"".join(
        struct.pack("!I", label << 12 | (index == last) << 8 | TTL)
        for index, label in enumerate(envelope.labels)
    )
    fields = (0x45, 0, size, 0, 0x4000, TTL, UDP)
    ends = (_address(envelope.origin), _address(envelope.target))
    ip = _IPV4.pack(*fields, _checksum(_IPV4.pack(*fields, 0, *ends)), *ends)
    udp = _UDP.pack(envelope.source_port, envelope.port, _UDP.size + len(payload), 0)
    return ethernet + stack + ip + udp + payload


def unpack_frame(frame: bytes) -> tuple[Envelope, bytes]:
    """The envelope and the UDP payload. FrameError when the frame is none of the fabric's own."""
    offset = 14
    labels: list[int] = []
    try:
        (kind,) = struct.unpack_from("!H", frame, 12)
        bottom = kind != ETHERTYPE_MPLS
        while not bottom:
            (shim,) = struct.unpack_from("!I", frame, offset)
            labels.append(shim >> 12)
            bottom = bool(shim >> 8 & 1)
            offset += 4
        version, _, size, _, _, _, protocol, _, source, destination = _IPV4.unpack_from(
            frame, offset
        )
        source_port, port, length, _ = _UDP.unpack_from(frame, offset + _IPV4.size)
    except struct.error:
        raise FrameError(f"a frame of {len(frame)} bytes is too short") from None
    if kind not in (ETHERTYPE_IPV4, ETHERTYPE_MPLS) or version != 0x45 or protocol != UDP:
        raise FrameError("not UDP in IPv4 without options")
    if source[:2] != _LINK_LOCAL or destination[:2] != _LINK_LOCAL:
        raise FrameError("not between link-local addresses")
    end = offset + _IPV4.size + length
    if length < _UDP.size or end > min(len(frame), offset + size):
        raise FrameError("cut short")
    envelope = Envelope(
        tuple(labels),
        int.from_bytes(source[2:], "big"),
        int.from_bytes(destination[2:], "big"),
        source_port,
        port,
    )
    return envelope, frame[offset + _IPV4.size + _UDP.size : end]


def _mac(label: int) -> bytes:
    return _MAC_PREFIX + label.to_bytes(2, "big")


def _address(label: int) -> bytes:
    return _LINK_LOCAL + label.to_bytes(2, "big")


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
