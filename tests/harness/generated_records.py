"""Replica records and probes by the thousand, for two switches that must answer alike.

What becomes of a record depends on the time in one case only: when it tells of fresh traffic on a connection that the
switch carries itself. Two switches need not agree there, so `Told` says no such thing: of a connection that the client
may have talked on it tells old news, late news, or that another switch adopted it.
"""

from __future__ import annotations

import random
import struct
import zlib

from harness.small import B1, B2, CLIENT_IP, R1, R2, R3, R4, STRANGER, VIP, WEB

ANCIENT = 0x7F0000  # an age beyond every idle time
OLD = ANCIENT - 0x4000  # the same, and for minutes not as old as that
FULL, GIVE, ADOPT = 5, 6, 7
BINDING, BYTES, AGE, TUPLE = 8, 4, 2, 1
FIELDS = {1: BINDING | TUPLE, 2: 0, 3: BYTES, 4: BYTES, 5: 14, 6: 14, 7: BINDING | BYTES}
STATES = {1: (1, 1, 4), 2: (2,), 3: (3,), 4: (2, 4), 5: (1, 2, 3, 4), 6: (1, 2, 3, 4), 7: (2, 3)}


class Told:
    """What the records for one switch have told so far. `own`: its label."""

    def __init__(self, own: int) -> None:
        self._own = own
        self._numbers = {R2: 0, R3: 0, R4: 0}
        self._replicas: list[int] = []  # client ports that only records have named
        self._owned = list(range(1000, 1012))  # those that the client has used, or may have
        self._next_port = 2000

    def talks(self, rng: random.Random) -> int:
        """A client port that records have named; from now on the client uses it."""
        if self._replicas and rng.random() < 0.5:
            port = self._replicas.pop(rng.randrange(len(self._replicas)))
            self._owned.append(port)
            return port
        return rng.choice(self._owned[-30:])

    def record(self, rng: random.Random) -> bytes:
        """One record: good, strange, repeated, for another, or cut short."""
        origin = rng.choice((R2, R2, R2, R3, R4))
        carried = self._owned and rng.random() < 0.3
        if carried:
            kind, port = rng.choice((FULL, GIVE, ADOPT, ADOPT)), rng.choice(self._owned)
            age = OLD if kind == GIVE else ANCIENT
        else:
            kind, port, age = self._fresh(rng)
        fields, state = FIELDS[kind], rng.choice(STATES[kind])
        sequence = rng.randrange(1 << 24) if kind in (FULL, GIVE) else self._number(rng, origin)
        connection = _tuple(port)
        signature = zlib.crc32(connection)
        version, label, cut = 1, self._own, 0
        strange = rng.random()
        if strange < 0.02:
            version = rng.choice((0, 2, 15))
        elif strange < 0.04:
            kind = rng.choice((0, 8, 15))
        elif strange < 0.06:
            state = rng.choice((0, 5, 15))
        elif strange < 0.09:
            origin = rng.choice((STRANGER, self._own, 0, 0xFFFF))
        elif strange < 0.14:
            label = rng.choice((R1, R2, B1, 999))
        elif strange < 0.18:
            cut = rng.randrange(1, 40)
        if fields & TUPLE and rng.random() < 0.08:
            signature ^= 1 << rng.randrange(32)
        header = struct.pack(
            "!IBBHI",
            version << 28 | kind << 24 | sequence,
            fields << 4 | state,
            WEB,
            origin,
            signature,
        )
        body = header + _body(rng, fields, age, connection)
        frame = _frame(origin, label, body, rng)
        return frame[: len(frame) - cut]

    def _fresh(self, rng: random.Random) -> tuple[int, int, int]:
        """(kind, client port, age) about a connection that nobody but its primary carries."""
        if not self._replicas or rng.random() < 0.4:
            kind = rng.choice((1, 1, 1, 1, FULL, GIVE, ADOPT, 2, 3))
            port = self._next_port
            self._next_port += 1
            (self._owned if kind == GIVE else self._replicas).append(port)
            return kind, port, 0
        kind = rng.choice((1, 2, 2, 3, 4, 4, FULL, ADOPT))
        return kind, rng.choice(self._replicas), rng.choice((0, 1, 5, ANCIENT))

    def _number(self, rng: random.Random, origin: int) -> int:
        """The next of its sender's numbers; one in ten is lost, one in ten comes late or twice."""
        chance = rng.random()
        if chance < 0.1:
            self._numbers[origin] += rng.randrange(1, 4)
        number = self._numbers[origin]
        if chance > 0.9:
            return max(0, number - rng.randrange(1, 6))
        self._numbers[origin] = number + 1
        return number


def probe(rng: random.Random, own: int) -> bytes:
    """A probe on its way to a node, to this one, or back; some unlabelled, some cut short."""
    body = struct.pack("!IBH", rng.randrange(1 << 32), rng.choice((0, 1, 1, 2)), 0)
    body += rng.randbytes(6) + bytes(18) + bytes(rng.choice((0, 0, 20, 1200)))
    ip = _ip_udp(R2, 1, rng.randrange(1 << 16), 50101, body)
    labels = rng.choice(((own, R2), (own, R2), (own, 999), (R2, own), (own,), (own, own), ()))
    shims = b""
    for number, label in enumerate(labels):
        bottom = number == len(labels) - 1
        shims += struct.pack("!I", label << 12 | bottom << 8 | rng.choice((64, 64, 64, 2, 1)))
    kind = b"\x88\x47" if labels else b"\x08\x00"
    frame = mac_bytes(_mac_of(own)) + mac_bytes(_mac_of(R2)) + kind + shims + ip
    return frame[: rng.randrange(14, len(frame))] if rng.random() < 0.1 else frame


def _body(rng: random.Random, fields: int, age: int, connection: bytes) -> bytes:
    body = b""
    if fields & BINDING:
        body += struct.pack("!H", rng.choice((B1, B2, R1, R2)))
    if fields & BYTES:
        body += rng.choice((0, 0xFFF0, 0xFFF0, (1 << 20) - 50, 1 << 36)).to_bytes(5, "big")
    if fields & AGE:
        body += age.to_bytes(3, "big")
    if fields & TUPLE:
        body += connection
    return body


def _tuple(port: int) -> bytes:
    return ip_bytes(CLIENT_IP) + ip_bytes(VIP) + struct.pack("!BHH", 6, port, 80)


def _frame(origin: int, label: int, body: bytes, rng: random.Random) -> bytes:
    """Labelled, or (one in thirty) not."""
    ip = _ip_udp(origin, label, 50100, 50100, body)
    macs = mac_bytes(_mac_of(label)) + mac_bytes(_mac_of(origin))
    if rng.random() < 0.03:
        return macs + b"\x08\x00" + ip
    ttl = rng.choice((64, 64, 64, 63, 2, 1))
    return macs + b"\x88\x47" + struct.pack("!I", label << 12 | 1 << 8 | ttl) + ip


def _ip_udp(origin: int, target: int, source_port: int, port: int, body: bytes) -> bytes:
    ends = struct.pack("!HHHH", 0xA9FE, origin, 0xA9FE, target)
    head = struct.pack("!BBHHHBB", 0x45, 0, 28 + len(body), 0, 0x4000, 64, 17)
    udp = struct.pack("!HHHH", source_port, port, 8 + len(body), 0)
    return head + struct.pack("!H", ip_checksum(head + b"\0\0" + ends)) + ends + udp + body


def _mac_of(label: int) -> str:
    return f"02:75:6d:62:{label >> 8:02x}:{label & 0xFF:02x}"


def mac_bytes(text: str) -> bytes:
    """Six bytes of a MAC address."""
    return bytes.fromhex(text.replace(":", ""))


def ip_bytes(text: str) -> bytes:
    """Four bytes of a dotted quad."""
    return bytes(map(int, text.split(".")))


def ip_checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
