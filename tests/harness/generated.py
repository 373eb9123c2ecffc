"""Packets for umbra.p4 by the thousand: every header combination that its parser knows, whole and damaged.

Replica records and probes are in `generated_records`.

A pure function of the seed, made with nothing but the standard library, so that the same seed gives the same bytes
everywhere.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from harness.generated_records import Told, ip_bytes, ip_checksum, mac_bytes, probe
from harness.small import B1, B2, CLIENT_IP, CLIENT_MAC, E1, R1, R2, S1, VIP, mac

HOSTS = (CLIENT_IP, VIP, VIP, VIP, "10.2.1.10", "10.2.2.10", "10.1.1.77", "192.0.2.9")
# Most packets belong to the client's connections with the services, in both directions.
CONVERSATIONS = (*[(CLIENT_IP, VIP)] * 5, (VIP, CLIENT_IP), None, None)
LABELS = (E1, S1, R1, R2, B1, B2, 999, 0, 0xFFFFF)
FLAGS = (0x02, 0x02, 0x02, 0x10, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x03, 0x00, 0xFF)
NODE_MACS = tuple(mac(name) for name in ("e1", "s1", "s2", "r1", "r2"))


def packets(seed: int, count: int, own: int) -> Iterator[bytes]:
    """`count` packets, 14 to about 1,500 bytes long, for a switch with the label `own`."""
    rng = random.Random(seed)
    told = Told(own)
    for _ in range(count):
        chance = rng.random()
        if chance < 0.25:
            yield told.record(rng)
        elif chance < 0.30:
            yield probe(rng, own)
        elif chance < 0.45:
            yield _talk(rng, told.talks(rng), own)
        else:
            yield damaged(rng, _packet(rng))


def _packet(rng: random.Random) -> bytes:
    addresses = mac_bytes(rng.choice(NODE_MACS)) + mac_bytes(CLIENT_MAC)
    kind = rng.random()
    if kind < 0.5:
        return addresses + b"\x08\x00" + _ipv4(rng)
    if kind < 0.85:
        bottom = 0 if rng.random() < 0.08 else 1
        ttl = rng.choice((64, 63, 2, 1, 0, 255))
        label = rng.choice(LABELS) << 12 | rng.randrange(8) << 9 | bottom << 8 | ttl
        body = _ipv4(rng) if rng.random() < 0.9 else rng.randbytes(rng.randrange(60))
        return addresses + b"\x88\x47" + struct.pack("!I", label) + body
    if kind < 0.95:
        return b"\xff" * 6 + mac_bytes(CLIENT_MAC) + b"\x08\x06" + _arp(rng)
    return addresses + rng.choice((b"\x86\xdd", b"\x81\x00", b"\x00\x2e")) + rng.randbytes(50)


def _talk(rng: random.Random, port: int, own: int) -> bytes:
    """A sound packet of a connection with the web service, as a client sends it or labelled for `own`."""
    flags = rng.choice((0x02, 0x02, 0x10, 0x10, 0x18, 0x18, 0x18, 0x18, 0x11, 0x04))
    numbers = rng.randrange(1 << 32), rng.randrange(1 << 32)
    payload = bytes(rng.choice((0, 1, 500, 1300)))
    tcp = struct.pack("!HHIIBBHHH", port, 80, *numbers, 0x50, flags, 8192, 0, 0) + payload
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6)
    ends = ip_bytes(CLIENT_IP) + ip_bytes(VIP)
    ip = head + struct.pack("!H", ip_checksum(head + b"\0\0" + ends)) + ends + tcp
    macs = mac_bytes(rng.choice(NODE_MACS)) + mac_bytes(CLIENT_MAC)
    if rng.random() < 0.5:
        return macs + b"\x08\x00" + ip
    return macs + b"\x88\x47" + struct.pack("!I", own << 12 | 1 << 8 | 63) + ip


def _arp(rng: random.Random) -> bytes:
    target = rng.choice(("10.1.1.1", "10.2.1.1", "10.2.2.1", CLIENT_IP, "10.1.1.99"))
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, rng.choice((1, 1, 1, 2)))
        + mac_bytes(CLIENT_MAC)
        + ip_bytes(CLIENT_IP)
        + bytes(6)
        + ip_bytes(target)
        + bytes(rng.choice((0, 18)))
    )


def _ipv4(rng: random.Random) -> bytes:
    protocol = rng.choice((6, 6, 6, 6, 6, 17, 1, 47))
    options = rng.randbytes(4 * rng.choice((0, 0, 0, 0, 0, 1, 3, 10)))
    addresses = rng.choice(CONVERSATIONS)
    if addresses is None:
        addresses = (rng.choice(HOSTS), rng.choice(HOSTS))
    transport = _transport(rng, protocol)
    total = 20 + len(options) + len(transport)
    fragment = rng.choice((0, 0, 0, 0, 0, 0x4000, 0x4000, 0x2000, 0x0005))
    ttl = rng.choice((64, 64, 64, 64, 2, 1, 0))
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (5 + len(options) // 4),
        rng.choice((0, 0x10)),
        total,
        rng.randrange(65536),
        fragment,
        ttl,
        protocol,
        0,
        *map(ip_bytes, addresses),
    )
    checksum = ip_checksum(header + options) if rng.random() < 0.95 else rng.randrange(65536)
    return header[:10] + struct.pack("!H", checksum) + header[12:] + options + transport


def _transport(rng: random.Random, protocol: int) -> bytes:
    client = 1000 + rng.randrange(12)  # few ports: connections open, close, and open again
    server = rng.choice((80, 80, 80, 53, 53, 443))
    source, target = (client, server) if rng.random() < 0.8 else (server, client)
    payload = rng.randbytes(rng.choice((0, 0, 1, 10, 100, 1300)))
    if protocol == 6:
        flags = rng.choice(FLAGS)
        offset = rng.choice((0x50, 0x50, 0x80, 0xF0))
        numbers = rng.randrange(1 << 32), rng.randrange(1 << 32)
        checksum, urgent = rng.randrange(65536), rng.choice((0, 7))
        return (
            struct.pack(
                "!HHIIBBHHH", source, target, *numbers, offset, flags, 8192, checksum, urgent
            )
            + payload
        )
    if protocol == 17:
        return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload
    return payload


def damaged(rng: random.Random, packet: bytes) -> bytes:
    """One in eight is cut short or has a byte changed."""
    chance = rng.random()
    if chance < 0.06:
        return packet[: rng.randrange(14, len(packet) + 1)]
    if chance < 0.12:
        index = rng.randrange(12, min(len(packet), 60))
        return packet[:index] + bytes([rng.randrange(256)]) + packet[index + 1 :]
    return packet
