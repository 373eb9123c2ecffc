"""What becomes of records that are lost, late, repeated, or not what they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness.packets import arriving, label_of, labelled, tcp
from harness.programmed import Make, Programmed
from harness.replicas import (
    deliver,
    dropped,
    exchange,
    made,
    others,
    received,
    replicating,
    table,
    wire,
)
from harness.small import B1, B2, CLIENT_IP, R1, R2, R3, STRANGER, VIP, WEB, weighted
from topologies.layers import ReplicaRecord, record_frame

SPINE_1, SPINE_2, CLIENT_PORT = 1, 2, 3


@pytest.fixture
def shadow(make: Make) -> Iterator[Programmed]:
    """r1 as a shadow of r2; its new connections go to b2 only."""
    with make("r1") as node:
        node.replan(replicating(node.plan, {R3: 2}))
        node.weights(weighted(WEB, {B2: 100}))
        yield node


def backend(switch: Programmed, sport: int, flags: str = "A") -> int | None:
    """Where a packet of the client's is sent."""
    [(_, out)] = others(exchange(switch, SPINE_2, arriving(sport, flags), least=1))
    return label_of(out)


# (description, the number that is expected, records, what is counted, is the connection known afterwards)
STREAMS = [
    ("in order", 0, "open 0, state 1, progress 2", {"in_sequence": 3}, True),
    ("a first number that is higher", 0, "open 500, state 501", {"gap": 1, "in_sequence": 1}, True),
    ("one lost", 7, "open 7, progress 9", {"in_sequence": 1, "gap": 1}, True),
    ("many lost", 7, "open 7, state 900", {"in_sequence": 1, "gap": 1}, True),
    ("the open lost", 7, "state 8", {"gap": 1, "unknown": 1}, False),
    ("closed unseen", 7, "close 7", {"in_sequence": 1, "unknown": 1}, False),
    ("repeated", 7, "open 7, open 7, state 8", {"in_sequence": 2, "late": 1}, True),
    ("overtaken", 7, "state 8, open 7", {"gap": 1, "unknown": 1, "late": 1}, True),
    ("over the end of numbers", 0xFFFFFF, "open 16777215, state 0", {"in_sequence": 2}, True),
    ("lost over the end", 0xFFFFFF, "open 0, state 2", {"gap": 2}, True),
    ("late over the end", 1, "open 16777215, state 0", {"late": 1, "in_sequence": 1}, True),
    ("by a scan", 7, "full 0, full 1, full 7", {"full": 3}, True),
    ("a scan amid others", 7, "open 7, full 77, state 8", {"in_sequence": 2, "full": 1}, True),
]


def test_gaps_repetitions_and_strays_are_counted(shadow: Programmed) -> None:
    for number, (description, expected, stream, counted, known) in enumerate(STREAMS):
        client_port = 1000 + number
        deliver(shadow, SPINE_1, made("state", 999, (expected - 1) % (1 << 24)))
        before = Counter(received(shadow))
        for one in stream.split(", "):
            kind, sequence = one.split()
            deliver(shadow, SPINE_1, made(kind, client_port, int(sequence)))
        assert Counter(received(shadow)) - before == counted, description
        assert backend(shadow, client_port) == (B1 if known else B2), description


def test_primaries_are_counted_apart(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("open", 1001, 0, origin=R3))
    deliver(shadow, SPINE_1, made("state", 1000, 1), made("state", 1001, 5, origin=R3))
    assert received(shadow, 3) == {"in_sequence": 2}
    assert received(shadow, 4) == {"in_sequence": 1, "gap": 1}


def test_a_repeated_open_does_not_undo_what_came_after_it(shadow: Programmed) -> None:
    opened = made("open", 1000, 0)
    deliver(shadow, SPINE_1, opened, made("state", 1000, 1), made("close", 1000, 2), opened)
    assert received(shadow) == {"in_sequence": 3, "late": 1}
    assert backend(shadow, 1000, "S") == B2  # a SYN after the end is a new connection


def test_a_close_of_an_earlier_life_that_comes_late_does_not_end_the_new_one(
    shadow: Programmed,
) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0, binding=B2), made("state", 1000, 1))
    deliver(shadow, SPINE_1, made("open", 1000, 3), made("close", 1000, 2))
    assert received(shadow) == {"in_sequence": 2, "gap": 1, "late": 1}
    assert backend(shadow, 1000, "S") == B1  # a repeated SYN of a connection that lives
    assert shadow.scan().live == 1


def test_a_connection_that_ended_does_not_live_again_by_a_record_that_does_not_say_where_it_goes(
    shadow: Programmed,
) -> None:
    """The OPEN of the next life is lost: what follows it must not bring back the earlier binding."""
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("close", 1000, 1))
    deliver(shadow, SPINE_1, made("state", 1000, 3), made("progress", 1000, 4))
    assert received(shadow) == {"in_sequence": 3, "gap": 1, "unknown": 2}
    assert backend(shadow, 1000, "S") == B2  # a SYN after the end is a new connection


@pytest.mark.parametrize("kind", ["full", "give"])
def test_old_news_of_one_primary_does_not_replace_fresh_news_of_another(
    shadow: Programmed, kind: str
) -> None:
    deliver(shadow, SPINE_1, made("adopt", 1000, 0, origin=R3))
    deliver(shadow, SPINE_1, made(kind, 1000, 0, binding=B2, age=5000))
    assert received(shadow, 3) == {"full": 1, "conflict": 1}
    assert backend(shadow, 1000) == B1


def test_fresh_news_of_one_primary_replaces_old_news_of_another(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("full", 1000, 0, origin=R3, age=5000, binding=B2))
    deliver(shadow, SPINE_1, made("full", 1000, 0, age=20))
    assert received(shadow, 3) == {"full": 1}
    assert backend(shadow, 1000) == B1


def test_a_sender_that_begins_anew_is_followed(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, *[made("open", 1000 + n, 90 + n) for n in range(3)])
    deliver(shadow, SPINE_1, *[made("open", 2000 + n, n) for n in range(3)])
    assert received(shadow) == {"gap": 1, "in_sequence": 4, "late": 1}
    assert [backend(shadow, 2000 + n) for n in range(3)] == [B1] * 3


def test_every_sequenced_record_counts_once_as_in_sequence_gap_or_late(shadow: Programmed) -> None:
    numbers = [0, 1, 5, 3, 3, 6, 9, 4, 10]
    for number in numbers:
        deliver(shadow, SPINE_1, made("state", 1000 + number, number))
    seen = received(shadow)
    assert seen["in_sequence"] + seen["gap"] + seen["late"] == len(numbers)


# (description, the frame, the reason it is dropped for); the untrusted port is the client's
def forged(**fields: int) -> bytes:
    """An OPEN record with other fields."""
    return wire(made("open", 1000, 0, **fields))


GOOD = wire(made("open", 1000, 0))
UNLABELLED = bytes(record_frame(made("open", 1000, 0), R1, labelled=False))
FORGERIES = [
    ("from a client's port", CLIENT_PORT, GOOD, "untrusted"),
    ("from a client's port, unlabelled", CLIENT_PORT, UNLABELLED, "untrusted"),
    (
        "to another node, from a client's port",
        CLIENT_PORT,
        wire(made("open", 1000, 0), R2),
        "untrusted",
    ),
    ("of a stranger", SPINE_1, forged(origin=STRANGER), "stranger"),
    ("of this very router", SPINE_1, forged(origin=R1), "stranger"),
    ("of nobody", SPINE_1, forged(origin=0), "stranger"),
    ("of version 0", SPINE_1, forged(version=0), "malformed"),
    ("of version 2", SPINE_1, forged(version=2), "malformed"),
    ("of a connection that is free", SPINE_1, forged(state=0), "malformed"),
    (
        "of no kind",
        SPINE_1,
        wire(ReplicaRecord(GOOD[46:47].replace(b"\x11", b"\x10") + GOOD[47:])),
        "malformed",
    ),
    ("of an unknown kind", SPINE_1, wire(ReplicaRecord(b"\x1f" + GOOD[47:])), "malformed"),
    ("with an unknown state", SPINE_1, forged(state=9), "malformed"),
    ("for a label that nobody has", SPINE_1, wire(made("open", 1000, 0), 999), "no_label"),
    ("with a wrong IPv4 checksum", SPINE_1, GOOD[:28] + b"\0\0" + GOOD[30:], "malformed"),
    *[
        (f"cut to {size} bytes", SPINE_1, GOOD[:size], "malformed")
        for size in (72, 60, 58, 47, 46, 40)
    ],
]


def test_records_that_cannot_be_trusted_are_dropped_counted_and_change_nothing(
    shadow: Programmed,
) -> None:
    expected: Counter[str] = Counter()
    for description, port, frame, reason in FORGERIES:
        assert exchange(shadow, port, frame) == [], description
        expected[reason] += 1
        assert dropped(shadow) == expected, description
    assert received(shadow) == {}
    assert table(shadow) == {}
    assert backend(shadow, 1000) == B2
    deliver(shadow, SPINE_1, made("open", 1001, 0))
    assert received(shadow) == {"in_sequence": 1}  # their numbers did not count either


def test_a_record_whose_connection_is_not_the_one_it_is_signed_for_is_damaged(
    shadow: Programmed,
) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0, client_port=1001))
    assert received(shadow) == {"in_sequence": 1, "damaged": 1}
    assert [backend(shadow, port) for port in (1000, 1001)] == [B2, B2]


def test_padding_behind_a_record_is_no_part_of_it(shadow: Programmed) -> None:
    exchange(shadow, SPINE_1, wire(made("open", 1000, 0)) + bytes(11))
    assert received(shadow) == {"in_sequence": 1}
    assert backend(shadow, 1000) == B1


def test_a_labelled_packet_of_a_client_goes_nowhere(shadow: Programmed) -> None:
    for frame in (
        arriving(1000),
        labelled(R2, tcp(1000), to="r1"),
        labelled(B1, tcp(1000), to="r1"),
        bytes(Ether(type=0x8847) / MPLS(label=R1, s=0, ttl=9) / MPLS(label=B1, s=1, ttl=9) / IP()),
    ):
        assert exchange(shadow, CLIENT_PORT, frame) == []
    assert dropped(shadow) == {"untrusted": 4}
    assert shadow.counters().services[WEB].opened == 0


def test_a_clients_own_datagram_to_the_records_port_is_an_ordinary_packet(make: Make) -> None:
    with make("e1") as edge:
        edge.replan(replicating(edge.plan))
        for port in (50100, 50101):
            frame = (
                Ether(dst=edge.plan.mac)
                / IP(src=CLIENT_IP, dst="10.2.1.10")
                / UDP(sport=50100, dport=port)
                / Raw(b"\x11" * 40)
            )
            [(out, packet)] = exchange(edge, CLIENT_PORT, bytes(frame))
            assert out in (1, 2)
            assert bytes(packet[-40:]) == b"\x11" * 40
        frame = (
            Ether(dst=edge.plan.mac) / IP(src=CLIENT_IP, dst=VIP) / UDP(sport=50100, dport=50100)
        )
        assert exchange(edge, CLIENT_PORT, bytes(frame)) == []
        assert dropped(edge) == {"unroutable": 1}


def test_when_all_places_are_taken_a_replica_is_counted_and_left_out(make: Make) -> None:
    with make("r1") as node:
        node.replan(replace(replicating(node.plan), index_mask=0))  # four entries
        node.weights(weighted(WEB, {B2: 100}))
        deliver(node, SPINE_1, *[made("open", 1000 + n, n) for n in range(6)])
        assert received(node) == {"in_sequence": 6, "no_place": 2}
        assert [backend(node, 1000 + n) for n in range(6)] == [B1] * 4 + [B2] * 2
