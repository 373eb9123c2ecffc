"""Replica records as bytes: what a switch tells its shadows about one connection (docs/replication.md). Pure.

A record is 12 bytes of header and only the fields that changed. On the wire it is UDP inside IPv4 inside Ethernet,
with an MPLS label between switches and without one on its way to the controller.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from controller.act.frames import Envelope, FrameError, pack_frame, unpack_frame

VERSION = 1
PORT = 50100
_HEADER = struct.Struct("!IBBHI")
_BINDING, _BYTES, _AGE, _TUPLE = 8, 4, 2, 1
_BITS = {"sequence": 24, "service": 8, "origin": 16, "signature": 32}


class RecordKind(IntEnum):
    """Why a record was sent."""

    OPEN = 1
    STATE = 2
    CLOSE = 3
    PROGRESS = 4
    FULL = 5  # by a scan
    GIVE = 6  # by a scan: the receiver is to own the connection
    ADOPT = 7


class State(IntEnum):
    """State of a connection."""

    FREE = 0
    OPENING = 1
    ESTABLISHED = 2
    CLOSING = 3
    DATAGRAM = 4


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection's 5-tuple, seen from the client. Addresses are dotted quads."""

    client: str
    address: str
    protocol: int
    client_port: int
    service_port: int

    def pack(self) -> bytes:
        """13 bytes, as in a record."""
        return (
            ipaddress.IPv4Address(self.client).packed
            + ipaddress.IPv4Address(self.address).packed
            + struct.pack("!BHH", self.protocol, self.client_port, self.service_port)
        )

    @classmethod
    def unpack(cls, data: bytes) -> Connection:
        """From 13 bytes."""
        return cls(
            str(ipaddress.IPv4Address(data[:4])),
            str(ipaddress.IPv4Address(data[4:8])),
            *struct.unpack("!BHH", data[8:13]),
        )

    @property
    def signature(self) -> int:
        """What the connection tables know it by: CRC-32 of the 5-tuple."""
        return zlib.crc32(self.pack())


@dataclass(frozen=True, slots=True)
class Record:
    """One replica record; a field that it does not carry is None.

    `origin`: label of the switch that sent it; `size_bytes`: from the client, below 2^40; `age_ticks`: since the last
    packet, in units of 65.536 ms.
    """

    kind: RecordKind
    sequence: int
    state: State
    service: int
    origin: int
    signature: int
    binding: int | None = None
    size_bytes: int | None = None
    age_ticks: int | None = None
    connection: Connection | None = None


def pack_record(record: Record) -> bytes:
    """The record as UDP payload. ValueError when a number does not fit its field."""
    for name, bits in _BITS.items():
        _fits(name, getattr(record, name), bits)
    fields = 0
    body = b""
    for bit, name, octets in (
        (_BINDING, "binding", 2),
        (_BYTES, "size_bytes", 5),
        (_AGE, "age_ticks", 3),
    ):
        value = getattr(record, name)
        if value is not None:
            fields |= bit
            body += _fits(name, value, octets * 8).to_bytes(octets, "big")
    if record.connection is not None:
        fields |= _TUPLE
        body += record.connection.pack()
    first = VERSION << 28 | record.kind << 24 | record.sequence
    header = _HEADER.pack(
        first, fields << 4 | record.state, record.service, record.origin, record.signature
    )
    return header + body


def unpack_record(data: bytes) -> Record:
    """From a UDP payload; what follows the record is ignored. FrameError when it is none, or cut short."""
    if len(data) < _HEADER.size:
        raise FrameError(f"a record has at least {_HEADER.size} bytes, not {len(data)}")
    first, second, service, origin, signature = _HEADER.unpack_from(data)
    if first >> 28 != VERSION:
        raise FrameError(f"record of version {first >> 28}: version {VERSION} is known")
    fields = second >> 4
    try:
        kind, state = RecordKind(first >> 24 & 0xF), State(second & 0xF)
    except ValueError as error:
        raise FrameError(f"record: {error}") from None
    offset = _HEADER.size
    values: dict[int, bytes] = {}
    for bit, octets in ((_BINDING, 2), (_BYTES, 5), (_AGE, 3), (_TUPLE, 13)):
        if fields & bit:
            values[bit] = data[offset : offset + octets]
            offset += octets
    if offset > len(data):
        raise FrameError(f"record cut short: {len(data)} of {offset} bytes")
    numbers = {bit: int.from_bytes(value, "big") for bit, value in values.items()}
    return Record(
        kind=kind,
        sequence=first & 0xFFFFFF,
        state=state,
        service=service,
        origin=origin,
        signature=signature,
        binding=numbers.get(_BINDING),
        size_bytes=numbers.get(_BYTES),
        age_ticks=numbers.get(_AGE),
        connection=Connection.unpack(values[_TUPLE]) if _TUPLE in values else None,
    )


def record_frame(record: Record, target: int) -> bytes:
    """The labelled frame that carries a record from its origin to the switch with the label `target`."""
    envelope = Envelope(
        labels=(target,),
        origin=record.origin,
        target=target,
        source_port=PORT,
        port=PORT,
    )
    return pack_frame(envelope, pack_record(record))


def record_of(frame: bytes) -> Record:
    """The record in a frame, labelled or as the controller gets it. FrameError when there is none."""
    envelope, payload = unpack_frame(frame)
    if envelope.port != PORT:
        raise FrameError(f"UDP port {envelope.port}: records come to {PORT}")
    return unpack_record(payload)


def _fits(name: str, value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"record: {name} {value} does not fit {bits} bits")
    return value
