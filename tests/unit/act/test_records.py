"""Records and probes as bytes: what goes in comes out, and what is none is told apart."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from controller.act.frames import FrameError
from controller.act.probes import (
    Probe,
    ProbeAnswer,
    pack_probe,
    probe_frame,
    probe_of,
    unpack_probe,
)
from controller.act.records import (
    Connection,
    Record,
    RecordKind,
    State,
    pack_record,
    record_frame,
    record_of,
    unpack_record,
)


def bits(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << count) - 1)


addresses = st.builds(lambda n: str(ipaddress.IPv4Address(n)), bits(32))
connections = st.builds(Connection, addresses, addresses, bits(8), bits(16), bits(16))
records = st.builds(
    Record,
    kind=st.sampled_from(RecordKind),
    sequence=bits(24),
    state=st.sampled_from(State),
    service=bits(8),
    origin=bits(16),
    signature=bits(32),
    binding=st.none() | bits(16),
    size_bytes=st.none() | bits(40),
    age_ticks=st.none() | bits(24),
    connection=st.none() | connections,
)
probes = st.builds(
    ProbeAnswer,
    bits(32),
    bits(8),
    bits(16),
    bits(48),
    bits(48),
    bits(32),
    bits(32),
    bits(32),
)
WEB = Connection("10.1.1.10", "10.100.0.1", 6, 1000, 80)


@given(records)
def test_a_record_comes_out_as_it_went_in(record: Record) -> None:
    assert unpack_record(pack_record(record)) == record


@given(records, bits(16), st.binary(max_size=20))
def test_a_record_survives_its_frame_and_padding(record: Record, target: int, pad: bytes) -> None:
    assert record_of(record_frame(record, target) + pad) == record


@given(probes)
def test_a_probe_comes_out_as_it_went_in(probe: ProbeAnswer) -> None:
    assert unpack_probe(pack_probe(probe)) == probe


@given(st.binary(max_size=120))
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    for parse in (record_of, unpack_record, probe_of):
        try:
            parse(data)
        except FrameError:
            continue


@given(records, st.data())
def test_a_record_cut_short_is_refused(record: Record, data: st.DataObject) -> None:
    whole = pack_record(record)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FrameError):
        unpack_record(whole[:cut])


@pytest.mark.parametrize(
    ("kind", "carried", "size"),
    [
        (RecordKind.OPEN, {"binding": 401, "connection": WEB}, 27),
        (RecordKind.STATE, {}, 12),
        (RecordKind.CLOSE, {"size_bytes": 1 << 39}, 17),
        (RecordKind.PROGRESS, {"size_bytes": 65536}, 17),
        (RecordKind.FULL, {"binding": 401, "size_bytes": 7, "age_ticks": 9}, 22),
        (RecordKind.ADOPT, {"binding": 401, "size_bytes": 7}, 19),
    ],
)
def test_every_kind_of_record_has_its_size(
    kind: RecordKind, carried: dict[str, object], size: int
) -> None:
    record = Record(kind, 5, State.ESTABLISHED, 1, 301, WEB.signature, **carried)  # type: ignore[arg-type]
    assert len(pack_record(record)) == size


def test_the_bytes_of_an_open_record_are_those_of_the_specification() -> None:
    record = Record(
        RecordKind.OPEN, 0x010203, State.OPENING, 1, 301, 0xAABBCCDD, binding=401, connection=WEB
    )
    assert pack_record(record).hex() == (
        "11010203"  # version, kind, sequence
        "9101012d"  # fields (binding, tuple), state, service, origin
        "aabbccdd"
        "0191"
        "0a01010a0a6400010603e80050"
    )


def test_a_record_travels_as_udp_between_link_local_addresses() -> None:
    frame = Ether(record_frame(Record(RecordKind.STATE, 1, State.OPENING, 1, 301, 9), 302))
    assert (frame.dst, frame.src) == ("02:75:6d:62:01:2e", "02:75:6d:62:01:2d")
    assert (frame[MPLS].label, frame[MPLS].s, frame[MPLS].ttl) == (302, 1, 64)
    ip = IP(bytes(frame[MPLS].payload))
    assert (ip.src, ip.dst, ip.ttl) == ("169.254.1.45", "169.254.1.46", 64)
    again = ip.copy()
    del again.chksum
    assert bytes(IP(bytes(again))) == bytes(ip)
    assert (ip[UDP].sport, ip[UDP].dport, ip[UDP].chksum, ip[UDP].len) == (50100, 50100, 0, 20)


def test_a_number_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="sequence 16777216 does not fit 24 bits"):
        pack_record(Record(RecordKind.STATE, 1 << 24, State.OPENING, 1, 301, 9))


@given(bits(12), bits(12), bits(32), bits(16), st.integers(0, 1400))
def test_a_probe_goes_out_with_both_labels_and_the_size_asked_for(
    own: int, target: int, number: int, source_port: int, size: int
) -> None:
    data = probe_frame(own, Probe(target, number, source_port, size))
    assert len(data) == max(size, 14 + 8 + 20 + 8 + 31)
    shims = struct.unpack_from("!II", data, 14)
    assert [(s >> 12, s >> 8 & 1, s & 0xFF) for s in shims] == [(target, 0, 64), (own, 1, 64)]
    answer = probe_of(data)
    assert (answer.id, answer.flags, answer.copy) == (number, 0, 0)
    assert probe_of(data[:12] + b"\x08\x00" + data[22:]).id == number  # as it comes back


def test_a_record_is_no_probe_and_a_probe_no_record() -> None:
    record = record_frame(Record(RecordKind.STATE, 1, State.OPENING, 1, 301, 9), 302)
    with pytest.raises(FrameError, match="probes come to 50101"):
        probe_of(record)
    with pytest.raises(FrameError, match="records come to 50100"):
        record_of(probe_frame(301, Probe(302, 1, 2)))


def test_how_long_a_probe_was_under_way_is_by_its_own_stamps() -> None:
    assert ProbeAnswer(1, 0, 0, 1_000, 1_250).round_trip_us == 250
