"""TCP segments with right checksums, made fast enough to be offered at a rate."""

from __future__ import annotations

import socket
import struct

FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
IPV4, MPLS = 0x0800, 0x8847
TTL = 64


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(
    source: tuple[str, int],
    target: tuple[str, int],
    flags: str,
    *,
    sequence: int = 0,
    acknowledged: int = 0,
    payload: bytes = b"",
) -> bytes:
    """An IPv4 packet with a TCP segment from (address, port) to (address, port)."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    length = 40 + len(payload)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, TTL, socket.IPPROTO_TCP, 0) + addresses
    ip = ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:]
    bits = sum(FLAGS[flag] for flag in flags)
    tcp = struct.pack(
        "!HHIIBBHHH", source[1], target[1], sequence, acknowledged, 0x50, bits, 0xFFFF, 0, 0
    )
    pseudo = addresses + struct.pack("!HH", socket.IPPROTO_TCP, length - 20)
    tcp = tcp[:16] + checksum(pseudo + tcp + payload).to_bytes(2, "big") + tcp[18:]
    return ip + tcp + payload


def ethernet(target: str, source: str, packet: bytes, *, label: int | None = None) -> bytes:
    """A frame; with a label, as it is sent between stages (RFC 3032)."""
    macs = bytes.fromhex((target + source).replace(":", ""))
    if label is None:
        return macs + IPV4.to_bytes(2, "big") + packet
    return macs + MPLS.to_bytes(2, "big") + struct.pack("!I", label << 12 | 0x100 | TTL) + packet
