"""What the benchmark of replication offers to switches, and what it understands of conntrackd."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from controller.act.records import Connection, Record, RecordKind, State, record_frame
from topologies.bench.fixture import frame
from topologies.bench.messages import Messages
from topologies.bench.replication.conntrackd import client_port, messages
from topologies.bench.replication.crossing import only_sampled
from topologies.bench.replication.offered import Frames, Offer, Work, client
from topologies.bench.replication.schedule import Pace
from topologies.bench.segments import ethernet, segment

MACS = "02:00:00:00:20:01", "02:00:00:00:00:01"
LABEL = 301
# Of conntrackd 1.4.7: a new connection of port 1024, and an acknowledgement
NEW = bytes.fromhex(
    "1020003c6b000c3a000c00000a5b01020a5b020200080005000000080005000206000000000800030400005000050004010000000008000600"
    "000078"
)
ACKNOWLEDGEMENT = bytes.fromhex("1a6800106b000c3a6b000c3a6b000c40")


@given(
    number=st.integers(0, 1_000_000),
    flags=st.sampled_from(["S", "A", "FA", "PA"]),
    size=st.integers(0, 300),
)
def test_every_frame_has_right_checksums(number: int, flags: str, size: int) -> None:
    source = client(number, sampled=bool(number % 2))
    frame = Ether(Frames(*MACS, LABEL).make(source, flags, size))
    assert (frame.dst, frame.src, frame[MPLS].label, frame[MPLS].s) == (*MACS, LABEL, 1)
    packet = frame[IP] if IP in frame else IP(bytes(frame[MPLS].payload))
    assert (packet.src, packet[TCP].sport) == source
    assert len(packet[TCP].payload) == size
    again = packet.copy()
    del again.chksum
    del again[TCP].chksum
    assert bytes(again) == bytes(packet)


@given(st.integers(0, 2_000_000), st.booleans())
def test_no_two_connections_have_the_same_client(number: int, sampled: bool) -> None:
    assert client(number, sampled) != client(number + 1, sampled)
    assert client(number, sampled) != client(number, not sampled)


def test_a_life_is_offered_in_its_order_and_as_often_as_wanted() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        work = Work(1e6, 6, sample_one_in=3, stay_one_in=2, hold_s=0.01, data_bytes=7)
        offer = Offer(ours, Frames(*MACS, LABEL), work, 100)
        while not offer.done:
            offer.send_due()
        theirs.setblocking(False)
        lives: dict[int, list[str]] = {}
        for _ in range(3 * 6 + 3):
            packet = Ether(theirs.recv(2048))[IP]
            lives.setdefault(packet.sport, []).append(str(packet[TCP].flags))
    ports = [client(100 + number, work.sampled(number))[1] for number in range(6)]
    opened = ["S", "A", "PA"]
    assert lives == {
        port: opened if number % 2 == 0 else [*opened, "FA"] for number, port in enumerate(ports)
    }
    assert list(offer.opened_ns) == [client(100, True), client(103, True)]


def test_only_the_opening_of_a_sampled_connection_is_looked_at() -> None:
    def told(kind: RecordKind, sampled: bool) -> bytes:
        connection = Connection(client(5, sampled)[0], "10.100.0.1", 6, 1029, 80)
        whole = connection if kind is RecordKind.OPEN else None
        record = Record(
            kind, 0, State.OPENING, 1, LABEL, connection.signature, 401, None, None, whole
        )
        return record_frame(record, 303)

    wanted = told(RecordKind.OPEN, True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        with only_sampled(theirs):
            for packet in (told(RecordKind.OPEN, False), told(RecordKind.ADOPT, True), wanted):
                ours.send(packet)
            assert theirs.recv(2048, socket.MSG_DONTWAIT) == wanted
        ours.send(b"anything")
        assert theirs.recv(2048, socket.MSG_DONTWAIT) == b"anything"


def test_any_run_of_messages_can_be_sent_again() -> None:
    packets = [bytes([number]) * (number + 1) for number in range(5)]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        messages = Messages(packets)
        assert [messages.send(ours, 3, 10), messages.send(ours, 1, 2)] == [2, 2]
        assert [theirs.recv(100) for _ in range(4)] == [packets[i] for i in (3, 4, 1, 2)]


def test_late_callers_get_everything_once_and_in_order() -> None:
    pace = Pace([number * 1e-5 for number in range(50)])
    given: list[int] = []
    while not pace.done:
        given += pace.due()
    assert given == list(range(50))


def test_nothing_is_due_before_its_time() -> None:
    pace = Pace([0.0, 3600.0])
    assert list(pace.due()) == [0]
    assert list(pace.due()) == []
    assert not pace.done
    assert 3000 < pace.wait_s() <= 3600


def test_the_switch_benchmarks_frames_have_the_size_that_is_told() -> None:
    assert [len(frame(1000, "A", size)) for size in (54, 64, 1400)] == [54, 64, 1400]
    packet = Ether(frame(1000, "SA", 64))
    assert (packet[TCP].sport, packet[TCP].dport, str(packet[TCP].flags)) == (1000, 80, "SA")


def test_segments_are_what_scapy_would_make() -> None:
    packet = segment(("10.0.0.1", 5), ("10.0.0.2", 80), "PA", sequence=7, payload=b"odd")
    made = IP(src="10.0.0.1", dst="10.0.0.2", id=0, ttl=64)
    made /= TCP(sport=5, dport=80, flags="PA", seq=7, window=0xFFFF) / b"odd"
    assert packet == bytes(made)
    assert Ether(ethernet(*MACS, packet))[IP].dst == "10.0.0.2"


def test_conntrackds_messages_are_told_apart_and_name_the_client() -> None:
    found = list(messages(NEW + ACKNOWLEDGEMENT + NEW))
    assert [kind for kind, _ in found] == [0, 10, 0]
    assert [len(message) for _, message in found] == [len(NEW), len(ACKNOWLEDGEMENT), len(NEW)]
    assert [client_port(message) for _, message in found] == [1024, 0, 1024]
    assert list(messages(NEW[:5])) == []
