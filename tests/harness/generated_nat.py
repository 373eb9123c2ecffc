"""Packets for the NAT of umbra.p4: TCP, UDP, ICMP errors with their quotations, fragments, options, whole and damaged.

A pure function of the seed, made with nothing but the standard library.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from controller.model import DeliverRow, NatRow, NodePlan
from harness.generated import damaged
from harness.generated_records import ip_bytes, ip_checksum, mac_bytes
from harness.small import CLIENT_IP, CLIENT_MAC, E1, VIP, mac

INTERNAL = ("10.2.1.10", "10.1.1.77", "192.0.2.9", "10.3.0.9")
EXTERNAL = tuple(f"198.51.100.{number}" for number in range(1, 5))
ROWS = tuple(map(NatRow, INTERNAL, EXTERNAL))
INSIDE = ("10.2.2.0/24", f"{VIP}/32")
ENDS = (*INTERNAL, *EXTERNAL, CLIENT_IP, "10.2.2.10", "203.0.113.7")
ROUTES = tuple(
    DeliverRow(prefix, port, "02:00:00:00:00:09")
    for prefix, port in (("10.3.0.0/24", 4), ("192.0.2.0/24", 4), ("203.0.113.0/24", 3))
)
ICMP_TYPES = (3, 3, 11, 12, 8, 0, 5)
QUOTED_BYTES = (28, 28, 28, 24, 20, 19, 8, 0)
WORDS = (0, 0xFFFF, 1)  # checksums at the ends of their range


def translating(plan: NodePlan) -> dict[str, object]:
    """What the plan of e1 must have for these packets."""
    return {
        "nat": ROWS,
        "nat_inside": INSIDE,
        "delivers": (*plan.delivers, *ROUTES),
        "trusted_ports": (1, 2),
    }


def packets(seed: int, count: int) -> Iterator[bytes]:
    """`count` packets, as hosts send them or labelled for e1."""
    rng = random.Random(seed)
    for _ in range(count):
        macs = mac_bytes(mac("e1")) + mac_bytes(CLIENT_MAC)
        packet = _packet(rng)
        if rng.random() < 0.6:
            frame = macs + b"\x08\x00" + packet
        else:
            frame = macs + b"\x88\x47" + struct.pack("!I", E1 << 12 | 1 << 8 | 63) + packet
        yield damaged(rng, frame)


def _packet(rng: random.Random) -> bytes:
    source, target = rng.choice(ENDS), rng.choice(ENDS)
    kind = rng.random()
    if kind < 0.4:
        quoted = _ipv4(
            rng,
            rng.choice((6, 17)),
            rng.randbytes(8),
            rng.choice((target, rng.choice(ENDS))),
            rng.choice((source, rng.choice(ENDS))),
        )
        head = struct.pack("!BBHI", rng.choice(ICMP_TYPES), 0, rng.randrange(65536), 0)
        return _ipv4(rng, 1, head + quoted[: rng.choice(QUOTED_BYTES)], source, target)
    payload = rng.randbytes(rng.randrange(40))
    checksum = rng.choice((*WORDS, rng.randrange(65536)))
    port = rng.randrange(65536)
    if kind < 0.7:
        datagram = struct.pack("!HHHH", port, rng.choice((9, 80)), 8 + len(payload), checksum)
        return _ipv4(rng, 17, datagram + payload, source, target)
    segment = struct.pack("!HHIIBBHHH", port, 443, 1, 2, 0x50, 0x10, 100, checksum, 0)
    return _ipv4(rng, 6, segment + payload, source, target)


def _ipv4(rng: random.Random, protocol: int, body: bytes, source: str, target: str) -> bytes:
    options = rng.randbytes(4 * rng.choice((0, 0, 0, 0, 0, 1, 2)))
    total = 20 + len(options) + len(body)
    if rng.random() < 0.05:
        total = rng.randrange(65536)  # it lies
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (5 + len(options) // 4),
        0,
        total,
        rng.randrange(65536),
        rng.choice((0, 0, 0, 0, 0x4000, 0x2000, 5)),
        rng.choice((64, 64, 64, 2, 1)),
        protocol,
        0,
        ip_bytes(source),
        ip_bytes(target),
    )
    checksum = ip_checksum(head + options).to_bytes(2, "big")
    return head[:10] + checksum + head[12:] + options + body
