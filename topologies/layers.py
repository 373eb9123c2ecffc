"""Replica records and latency probes as Scapy layers: import this module, and captures decode.

The byte layouts are specified in docs/replication.md. A record goes to UDP port 50100, a probe to 50101. Building
works as with any layer; `optional`, which says what follows, is derived from the kind when it is not given:
`ReplicaRecord(kind="open", binding=401, client="10.1.1.10", ...)` has a binding and a tuple on the wire.
"""

from __future__ import annotations

from typing import Any

from scapy.contrib.mpls import MPLS
from scapy.fields import (
    BitEnumField,
    BitField,
    ByteField,
    ConditionalField,
    Field,
    FlagsField,
    IntField,
    IPField,
    ShortField,
    ThreeBytesField,
    XIntField,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Padding, bind_layers

RECORD_PORT = 50100
PROBE_PORT = 50101
VERSION = 1
TICK_S = 65536e-6

OPEN, STATE, CLOSE, PROGRESS, FULL, GIVE, ADOPT = range(1, 8)
KINDS = {
    OPEN: "open",
    STATE: "state",
    CLOSE: "close",
    PROGRESS: "progress",
    FULL: "full",
    GIVE: "give",
    ADOPT: "adopt",
}
STATES = {0: "free", 1: "opening", 2: "established", 3: "closing", 4: "datagram"}

TUPLE, AGE, BYTES, BINDING = 1, 2, 4, 8
FIELDS = [
    "tuple",
    "age",
    "bytes",
    "binding",
]  # from the lowest bit; "fields" is a name of Scapy itself
FIELDS_OF_KIND = {
    OPEN: BINDING | TUPLE,
    STATE: 0,
    CLOSE: BYTES,
    PROGRESS: BYTES,
    FULL: BINDING | BYTES | AGE,
    GIVE: BINDING | BYTES | AGE,
    ADOPT: BINDING | BYTES,
}

QUIET, COLLECT = 1, 2


def _when(bit: int, field: Field[Any, Any]) -> ConditionalField:
    return ConditionalField(field, lambda record: bool(record.present() & bit))


class _FieldsPresent(FlagsField):
    """Which optional fields follow; None: those that the kind has."""

    def i2m(self, pkt: Packet | None, x: Any) -> int:
        if x is None and pkt is not None:
            return FIELDS_OF_KIND.get(pkt.kind, 0)
        return int(super().i2m(pkt, x))


class ReplicaRecord(Packet):
    """One replica record: what changed of one connection (docs/replication.md)."""

    name = "ReplicaRecord"
    fields_desc = [  # noqa: RUF012  Scapy's way
        BitField("version", VERSION, 4),
        BitEnumField("kind", STATE, 4, KINDS),
        ThreeBytesField("sequence", 0),
        _FieldsPresent("optional", None, 4, FIELDS),
        BitEnumField("state", 0, 4, STATES),
        ByteField("service", 0),
        ShortField("origin", 0),
        XIntField("signature", 0),
        _when(BINDING, ShortField("binding", 0)),
        _when(BYTES, BitField("bytes", 0, 40)),
        _when(AGE, ThreeBytesField("age", 0)),
        _when(TUPLE, IPField("client", "0.0.0.0")),
        _when(TUPLE, IPField("address", "0.0.0.0")),
        _when(TUPLE, ByteField("protocol", 6)),
        _when(TUPLE, ShortField("client_port", 0)),
        _when(TUPLE, ShortField("service_port", 0)),
    ]

    def present(self) -> int:
        """Bits of the optional fields that this record has."""
        given = self.getfieldval("optional")
        return FIELDS_OF_KIND.get(self.kind, 0) if given is None else int(given)

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """What follows a record is the link's padding."""
        return b"", s

    def mysummary(self) -> str:
        """One line: `open 17 of 301 0x1c291ca3 10.1.1.10:1000 > 10.100.0.1:80 -> 401`."""
        kind = KINDS.get(self.kind, f"kind {self.kind}")
        line = f"{kind} {self.sequence} of {self.origin} {self.signature:#010x}"
        line += f" {STATES.get(self.state, self.state)}"
        present = self.present()
        if present & TUPLE:
            line += f" {self.client}:{self.client_port} > {self.address}:{self.service_port}"
        if present & BINDING:
            line += f" -> {self.binding}"
        if present & BYTES:
            line += f" {self.bytes} bytes"
        if present & AGE:
            line += f" {self.age * TICK_S:.1f} s old"
        return line


class Probe(Packet):
    """A latency probe: stamped when it leaves its switch and when it is back; times in microseconds."""

    name = "Probe"
    fields_desc = [  # noqa: RUF012  Scapy's way
        XIntField("id", 0),
        FlagsField("flags", 0, 8, ["quiet", "collect"]),
        ShortField("copy_number", 0),
        BitField("sent_us", 0, 48),
        BitField("received_us", 0, 48),
        IntField("count", 0),
        IntField("sum_us", 0),
        IntField("max_us", 0),
    ]

    def mysummary(self) -> str:
        """One line: `probe 0x00000007 copy 0 [quiet] 412 us`."""
        line = f"probe {self.id:#010x} copy {self.copy_number}"
        if self.flags:
            line += f" [{self.flags}]"
        if self.received_us:
            line += f" {self.received_us - self.sent_us} us"
        return line


def record_frame(record: ReplicaRecord, target: int, *, labelled: bool = True) -> Packet:
    """A record as one switch sends it to another: Ethernet, label (unless it has arrived), IPv4, UDP.

    `record.origin` is the sender's label, `target` the receiver's.
    """
    ether = Ether(dst=record_mac(target), src=record_mac(record.origin))
    ip = IP(src=record_ip(record.origin), dst=record_ip(target), ttl=64, id=0, flags="DF")
    udp = UDP(sport=RECORD_PORT, dport=RECORD_PORT, chksum=0)
    if labelled:
        return ether / MPLS(label=target, s=1, ttl=64) / ip / udp / record
    return ether / ip / udp / record


def record_mac(label: int) -> str:
    """MAC address that stands for a label in a record's frame."""
    return f"02:75:6d:62:{label >> 8:02x}:{label & 0xFF:02x}"


def record_ip(label: int) -> str:
    """Link-local IPv4 address that stands for a label in a record's frame."""
    return f"169.254.{label >> 8}.{label & 0xFF}"


bind_layers(UDP, ReplicaRecord, sport=RECORD_PORT, dport=RECORD_PORT)
bind_layers(UDP, Probe, dport=PROBE_PORT)
bind_layers(ReplicaRecord, Padding)

__all__ = [
    "MPLS",
    "Ether",
    "Probe",
    "ReplicaRecord",
    "record_frame",
    "record_ip",
    "record_mac",
]
