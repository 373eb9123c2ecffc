"""Replica records and probes in Scapy: what a capture shows, and what is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Padding

from controller.act import records
from controller.act.probes import Probe as ToSend
from controller.act.probes import probe_frame
from controller.act.records import Connection, Record, RecordKind, State
from topologies.layers import (
    FIELDS_OF_KIND,
    Probe,
    ReplicaRecord,
    record_frame,
    record_ip,
    record_mac,
)

# Written by hand from docs/replication.md: one record of each kind.
TUPLE = "0a01010a 0a640001 06 03e8 0050"
RECORDS = {
    "open": f"11 000011 91 01 012d 1c291ca3 0191 {TUPLE}",
    "state": "12 000012 02 01 012d 1c291ca3",
    "close": "13 000013 43 01 012d 1c291ca3 0000010001",
    "progress": "14 ffffff 42 01 012d 1c291ca3 ff00010001",
    "full": "15 000000 e2 01 012d 1c291ca3 0191 0000010001 00000f",
    "give": "16 000001 e4 01 012d 1c291ca3 0191 0000010001 00000f",
    "adopt": "17 000014 c2 01 012d 1c291ca3 0191 0000010001",
}
SIZES = {"open": 27, "state": 12, "close": 17, "progress": 17, "full": 22, "give": 22, "adopt": 19}
PROBE = "00000007 03 0005 0000000f4240 0000000f4444 00000009 00001111 00000abc"


def raw(text: str) -> bytes:
    """Bytes of a hexadecimal line."""
    return bytes.fromhex(text.replace(" ", ""))


def shown(packet: Packet, *names: str) -> tuple[str, ...]:
    """Fields as Scapy's show() prints them."""
    return tuple(packet.get_field(name).i2repr(packet, packet.getfieldval(name)) for name in names)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_of_each_kind_decodes_and_encodes_again(kind: str) -> None:
    wire = raw(RECORDS[kind])
    record = ReplicaRecord(wire)
    assert shown(record, "kind") == (kind,)
    assert (record.version, record.service, record.origin, record.signature) == (
        1,
        1,
        301,
        0x1C291CA3,
    )
    assert len(wire) == SIZES[kind]
    assert bytes(record) == wire
    record.clear_cache()
    assert record.build() == wire


def test_fields_that_a_kind_has_are_shown_by_name() -> None:
    opened = ReplicaRecord(raw(RECORDS["open"]))
    assert shown(opened, "state", "optional") == ("opening", "tuple+binding")
    assert (opened.binding, opened.client, opened.address) == (401, "10.1.1.10", "10.100.0.1")
    assert (opened.protocol, opened.client_port, opened.service_port) == (6, 1000, 80)
    full = ReplicaRecord(raw(RECORDS["full"]))
    assert (full.binding, full.bytes, full.age) == (401, 65537, 15)
    assert ReplicaRecord(raw(RECORDS["progress"])).bytes == 0xFF00010001


def test_fields_that_a_kind_has_not_are_absent() -> None:
    lines = str(ReplicaRecord(raw(RECORDS["state"])).show(dump=True)).splitlines()
    names = [line.split("=")[0].strip() for line in lines if "=" in line]
    assert names == [
        "version",
        "kind",
        "sequence",
        "optional",
        "state",
        "service",
        "origin",
        "signature",
    ]


def test_a_record_is_built_from_its_kind() -> None:
    record = ReplicaRecord(
        kind="open",
        sequence=17,
        state="opening",
        service=1,
        origin=301,
        signature=0x1C291CA3,
        binding=401,
        client="10.1.1.10",
        address="10.100.0.1",
        client_port=1000,
        service_port=80,
    )
    assert bytes(record) == raw(RECORDS["open"])


@pytest.mark.parametrize("kind", range(1, 8))
def test_every_kind_has_its_size(kind: int) -> None:
    record = ReplicaRecord(kind=kind)
    assert len(bytes(record)) == SIZES[shown(record, "kind")[0]]


def test_a_strange_record_keeps_what_its_field_bits_say() -> None:
    strange = ReplicaRecord(kind=9, optional="age", age=5)
    again = ReplicaRecord(bytes(strange))
    assert (again.kind, again.age, again.present()) == (9, 5, 2)
    assert "age" in str(again.show(dump=True))
    assert "binding" not in str(again.show(dump=True))


def test_a_frame_between_switches_decodes_down_to_the_record_and_its_padding() -> None:
    sent = record_frame(ReplicaRecord(raw(RECORDS["state"])), 302)
    frame = Ether(bytes(sent) + bytes(4))
    assert (frame.dst, frame.src) == ("02:75:6d:62:01:2e", "02:75:6d:62:01:2d")
    assert (frame[MPLS].label, frame[MPLS].s, frame[MPLS].ttl) == (302, 1, 64)
    assert (frame[IP].src, frame[IP].dst, frame[UDP].chksum) == (
        "169.254.1.45",
        "169.254.1.46",
        0,
    )
    assert frame[ReplicaRecord].sequence == 0x12
    assert bytes(frame[Padding]) == bytes(4)
    assert "state 18 of 301 0x1c291ca3 established" in frame.summary()


def test_a_record_to_the_controller_has_no_label() -> None:
    frame = Ether(bytes(record_frame(ReplicaRecord(raw(RECORDS["full"])), 301, labelled=False)))
    assert MPLS not in frame
    assert frame[ReplicaRecord].binding == 401


def test_other_datagrams_are_not_taken_for_records() -> None:
    packet = IP(bytes(IP() / UDP(sport=1000, dport=50100) / raw(RECORDS["state"])))
    assert ReplicaRecord not in packet


def test_a_probe_decodes_and_encodes_again() -> None:
    frame = IP(bytes(IP() / UDP(sport=4242, dport=50101) / raw(PROBE)))
    probe = frame[Probe]
    assert (probe.id, probe.copy_number, probe.sent_us, probe.received_us) == (
        7,
        5,
        1_000_000,
        1_000_516,
    )
    assert (probe.count, probe.sum_us, probe.max_us) == (9, 0x1111, 0xABC)
    assert shown(probe, "flags") == ("quiet+collect",)
    assert len(raw(PROBE)) == 31
    assert bytes(probe) == raw(PROBE)
    assert "516 us" in probe.summary()


@pytest.mark.parametrize(
    ("label", "mac", "address"),
    [
        (16, "02:75:6d:62:00:10", "169.254.0.16"),
        (301, "02:75:6d:62:01:2d", "169.254.1.45"),
        (4095, "02:75:6d:62:0f:ff", "169.254.15.255"),
    ],
)
def test_a_label_has_its_mac_and_address(label: int, mac: str, address: str) -> None:
    assert (record_mac(label), record_ip(label)) == (mac, address)


@given(
    kind=st.sampled_from(sorted(FIELDS_OF_KIND)),
    optional=st.integers(0, 15),
    numbers=st.tuples(
        st.integers(0, 0xFFFFFF),
        st.integers(0, 15),
        st.integers(0, 255),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
    ),
    rest=st.binary(min_size=23, max_size=23),
)
def test_any_record_survives_the_wire(
    kind: int, optional: int, numbers: tuple[int, ...], rest: bytes
) -> None:
    sequence, state, service, origin, signature = numbers
    header = bytes([0x10 | kind]) + sequence.to_bytes(3, "big")
    header += bytes([optional << 4 | state, service]) + origin.to_bytes(2, "big")
    header += signature.to_bytes(4, "big")
    present = ((8, 2), (4, 5), (2, 3), (1, 13))
    size = sum(length for bit, length in present if optional & bit)
    wire = header + rest[:size]
    record = ReplicaRecord(wire)
    assert (record.sequence, record.state, record.service) == (sequence, state, service)
    assert (record.origin, record.signature) == (origin, signature)
    record.clear_cache()
    assert record.build() == wire


def optional(strategy: st.SearchStrategy[int], wanted: bool) -> st.SearchStrategy[int | None]:
    return strategy if wanted else st.none()


@st.composite
def any_record(draw: st.DrawFn) -> Record:
    """A record with the fields of its kind, as the controller knows it."""
    kind = draw(st.sampled_from(RecordKind))
    present = FIELDS_OF_KIND[kind]
    connection = Connection("10.1.1.10", "10.100.0.1", 6, draw(st.integers(0, 65535)), 80)
    return Record(
        kind=kind,
        sequence=draw(st.integers(0, 0xFFFFFF)),
        state=draw(st.sampled_from(State)),
        service=draw(st.integers(0, 255)),
        origin=draw(st.integers(0, 0xFFFF)),
        signature=draw(st.integers(0, 0xFFFFFFFF)),
        binding=draw(optional(st.integers(0, 0xFFFF), bool(present & 8))),
        size_bytes=draw(optional(st.integers(0, (1 << 40) - 1), bool(present & 4))),
        age_ticks=draw(optional(st.integers(0, 0xFFFFFF), bool(present & 2))),
        connection=connection if present & 1 else None,
    )


@given(record=any_record(), target=st.integers(16, 4095))
def test_captures_show_what_the_controller_reads(record: Record, target: int) -> None:
    frame = records.record_frame(record, target)
    shown_record = Ether(frame)[ReplicaRecord]
    assert (shown_record.kind, shown_record.sequence, shown_record.state) == (
        record.kind,
        record.sequence,
        record.state,
    )
    present = shown_record.present()
    assert present == FIELDS_OF_KIND[record.kind]
    if present & 8:
        assert shown_record.binding == record.binding
    if present & 4:
        assert shown_record.bytes == record.size_bytes
    if present & 2:
        assert shown_record.age == record.age_ticks
    if record.connection is not None:
        assert shown_record.client_port == record.connection.client_port
    rebuilt = ReplicaRecord(bytes(shown_record))
    assert bytes(record_frame(rebuilt, target)) == frame


def test_captures_show_the_controllers_probes() -> None:
    frame = Ether(probe_frame(301, ToSend(302, 77, 4000, size=200, flags=2)))
    assert (frame[MPLS].label, frame[MPLS].payload.label) == (302, 301)
    assert (frame[Probe].id, shown(frame[Probe], "flags"), len(frame)) == (77, ("collect",), 200)
