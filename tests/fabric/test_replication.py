"""What a router tells its shadows of its connections, record by record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from harness.packets import arriving, checksums_hold, inner, label_of, labelled, reply, tcp, udp
from harness.programmed import Make, Programmed
from harness.replicas import (
    counted,
    exchange,
    kind_of,
    others,
    records,
    replicating,
    signature,
    state_of,
)
from harness.small import B1, B2, CAPACITY, CLIENT_IP, DNS, E1, R1, R2, R3, R4, VIP, WEB, weighted
from topologies.layers import ReplicaRecord, record_frame, record_ip, record_mac

SPINE_1 = 1
TO_CLIENT = 3


@pytest.fixture
def primary(make: Make) -> Iterator[Programmed]:
    """r1 with the shadow r2 behind its port 1."""
    with make("r1") as node:
        node.replan(replicating(node.plan))
        yield node


def told(switch: Programmed, packet: bytes, port: int = SPINE_1) -> list[ReplicaRecord]:
    """Records that a packet makes a switch send."""
    return [record for _, _, record in records(exchange(switch, port, packet))]


def test_a_syn_makes_an_open_record_that_says_all_of_the_connection(primary: Programmed) -> None:
    out = exchange(primary, SPINE_1, arriving(1000))
    [(_, packet)] = others(out)
    [(port, label, record)] = records(out)
    binding = label_of(packet)
    assert (port, label) == (1, R2)
    expected = (
        bytes.fromhex("11 000000 9101 012d".replace(" ", ""))
        + signature(1000).to_bytes(4, "big")
        + (binding or 0).to_bytes(2, "big")
        + bytes.fromhex("0a01010a 0a640001 06 03e8 0050".replace(" ", ""))
    )
    assert bytes(record)[4:] == expected[4:]
    assert bytes(record)[:1] == expected[:1]
    assert len(bytes(record)) == 27


def test_a_record_is_a_labelled_datagram_between_two_nodes(primary: Programmed) -> None:
    [(_, packet)] = [
        (port, packet)
        for port, packet in exchange(primary, SPINE_1, arriving(1000))
        if ReplicaRecord in Ether(packet)
    ]
    frame, ip = Ether(packet), inner(packet)
    assert (frame.src, frame.dst, frame.type) == (record_mac(R1), record_mac(R2), 0x8847)
    assert packet[14:18] == (R2 << 12 | 1 << 8 | 64).to_bytes(4, "big")
    assert (ip.src, ip.dst, ip.ttl) == (record_ip(R1), record_ip(R2), 64)
    assert (ip[UDP].sport, ip[UDP].dport, ip[UDP].chksum) == (50100, 50100, 0)
    assert (ip.len, ip[UDP].len, len(packet)) == (20 + 8 + 27, 8 + 27, 14 + 4 + 20 + 8 + 27)
    assert bytes(record_frame(ReplicaRecord(bytes(ip[UDP].payload)), R2)) == packet


def test_the_clients_packet_goes_on_as_it_would_without_shadows(make: Make) -> None:
    sent = [arriving(1000), arriving(1000, "A"), arriving(1000, "PA", b"x" * 900)]
    sent += [arriving(1001), arriving(1000, "FA"), labelled(R1, udp(3000), to="r1")]
    with make("r1") as alone:
        expected = [exchange(alone, SPINE_1, packet) for packet in sent]
    with make("r1") as node:
        node.replan(replicating(node.plan, {R2: 1, R3: 2, R4: 2}))
        assert [others(exchange(node, SPINE_1, packet)) for packet in sent] == expected


@pytest.mark.parametrize("shadows", [{R2: 1, R3: 2}, {R2: 1, R3: 2, R4: 2}], ids=["2", "3"])
def test_every_shadow_gets_the_same_record(make: Make, shadows: dict[int, int]) -> None:
    with make("r1") as node:
        node.replan(replicating(node.plan, shadows))
        for packet in (arriving(1000), arriving(1000, "A"), arriving(1000, "FA")):
            sent = records(exchange(node, SPINE_1, packet))
            assert {label: port for port, label, _ in sent} == shadows
            assert len({bytes(record) for _, _, record in sent}) == 1


def test_a_connection_is_told_from_its_syn_to_its_end(primary: Programmed) -> None:
    life = ("S", "A", "PA", "PA", "FA", "A", "A")
    sent = [told(primary, arriving(1000, flags, b"x" * 100)) for flags in life]
    kinds = [[(kind_of(record), state_of(record)) for record in some] for some in sent]
    assert kinds == [
        [("open", "opening")],
        [("state", "established")],
        [],
        [],
        [("close", "closing")],
        [],
        [],
    ]
    [close] = sent[4]
    assert close.bytes == 5 * 140  # every packet until the FIN: 20 + 20 + 100
    assert [len(bytes(some[0])) for some in (sent[0], sent[1], sent[4])] == [27, 12, 17]
    assert {record.signature for some in sent for record in some} == {signature(1000)}
    assert {(record.origin, record.service) for some in sent for record in some} == {(R1, WEB)}


def test_sequence_numbers_rise_by_one_over_all_connections_and_kinds(primary: Programmed) -> None:
    numbers = [
        record.sequence
        for flags in ("S", "A", "FA")
        for port in (1000, 1001, 1002)
        for record in told(primary, arriving(port, flags))
    ]
    assert len(numbers) == 9
    assert [number - numbers[0] for number in numbers] == list(range(9))


def test_a_reset_by_the_client_closes(primary: Programmed) -> None:
    told(primary, arriving(1000))
    assert [kind_of(record) for record in told(primary, arriving(1000, "R"))] == ["close"]
    assert told(primary, arriving(1000, "R")) == []


def test_a_repeated_syn_is_told_once(primary: Programmed) -> None:
    assert [kind_of(record) for record in told(primary, arriving(1000))] == ["open"]
    assert told(primary, arriving(1000)) == []


def test_ports_used_again_after_a_close_are_told_as_a_new_connection(primary: Programmed) -> None:
    for flags in ("S", "A", "FA"):
        told(primary, arriving(1000, flags))
    [again] = told(primary, arriving(1000))
    assert (kind_of(again), again.client_port) == ("open", 1000)


def test_a_datagram_opens_with_its_own_state(primary: Programmed) -> None:
    [opened] = told(primary, labelled(R1, udp(3000), to="r1"))
    assert (kind_of(opened), state_of(opened), opened.service) == ("open", "datagram", DNS)
    assert (opened.protocol, opened.service_port) == (17, 53)
    assert opened.signature == signature(3000, protocol=17, service_port=53)
    assert told(primary, labelled(R1, udp(3000), to="r1")) == []


def test_each_64_kib_make_a_progress_record(primary: Programmed) -> None:
    told(primary, arriving(1000))
    told(primary, arriving(1000, "A"))
    each = 20 + 20 + 1400
    out = exchange(primary, SPINE_1, *[arriving(1000, "A", b"x" * 1400)] * 140)
    made = [record for _, _, record in records(out)]
    assert {kind_of(record) for record in made} == {"progress"}
    totals = [40 + 40 + number * each for number in range(1, 141)]
    steps = [now for now in totals if now >> 16 != (now - each) >> 16]
    assert [record.bytes for record in made] == steps
    assert [total >> 16 for total in steps] == [1, 2, 3]


def test_a_connection_that_talks_slowly_refreshes_its_replicas(make: Make) -> None:
    with make("r1") as node:
        node.replan(replicating(node.plan, refresh_s=0.26))
        told(node, arriving(1000))
        told(node, arriving(1000, "A"))
        time.sleep(0.6)
        [refreshed] = told(node, arriving(1000, "A"))
        assert (kind_of(refreshed), refreshed.bytes) == ("progress", 120)


def test_packets_of_one_refresh_period_make_one_record(make: Make) -> None:
    with make("r1") as node:
        node.replan(replicating(node.plan, refresh_s=0.26))
        told(node, arriving(1000))
        told(node, arriving(1000, "A"))
        time.sleep(0.6)
        made = records(exchange(node, SPINE_1, *[arriving(1000, "A")] * 12))
        assert 1 <= len(made) <= 3  # not twelve: packets sent together touch few periods


def test_without_shadows_nothing_is_told(make: Make) -> None:
    with make("r1") as node:
        node.replan(replace(replicating(node.plan), replicate=False))
        assert [told(node, arriving(1000, flags)) for flags in ("S", "A", "FA")] == [[], [], []]
        assert counted(node, "records_sent", *range(16)) == [0] * 16


def test_a_connection_that_is_refused_or_has_no_place_is_not_told(primary: Programmed) -> None:
    assert told(primary, arriving(4000, "A")) == []
    for port in range(1000, 1000 + CAPACITY):
        told(primary, arriving(port))
    out = exchange(primary, SPINE_1, arriving(2000))
    assert records(out) == []
    assert label_of(out[0][1]) == E1  # the reset


def test_what_is_sent_is_counted_by_kind(primary: Programmed) -> None:
    for flags in ("S", "A", "FA"):
        told(primary, arriving(1000, flags))
    told(primary, arriving(1001))
    assert counted(primary, "records_sent", *range(8)) == [0, 2, 1, 1, 0, 0, 0, 0]


def test_a_reset_by_the_service_at_an_edge_closes_the_peers_replica(make: Make) -> None:
    with make("e1") as edge:
        edge.replan(replicating(edge.plan))
        [opened] = told(edge, tcp(7000), TO_CLIENT)
        assert (kind_of(opened), opened.origin) == ("open", E1)
        assert opened.binding in (R1, R2)
        out = exchange(edge, 1, labelled(E1, reply(7000, "RA"), to="e1"))
        [(_, _, closed)] = records(out)
        [(port, packet)] = others(out)
        assert (kind_of(closed), closed.signature) == ("close", signature(7000))
        assert (port, inner(packet).src, inner(packet).dst) == (TO_CLIENT, VIP, CLIENT_IP)
        assert checksums_hold(packet)


def test_an_answer_that_only_passes_an_edge_makes_no_record(make: Make) -> None:
    with make("e1") as edge:
        edge.replan(replicating(edge.plan))
        told(edge, tcp(7000), TO_CLIENT)
        for flags in ("SA", "A", "FA"):
            assert told(edge, labelled(E1, reply(7000, flags), to="e1"), 1) == []


def test_the_records_binding_is_the_one_that_was_chosen(primary: Programmed) -> None:
    for port, wanted in ((1000, B1), (1001, B2)):
        primary.weights(weighted(WEB, {wanted: 100}))
        [opened] = told(primary, arriving(port))
        assert opened.binding == wanted


def test_a_record_is_forwarded_by_a_spine_like_any_labelled_packet(make: Make) -> None:
    with make("s1") as spine:
        spine.replan(replace(spine.plan, trusted_ports=(1, 2, 3)))
        sent = bytes(record_frame(ReplicaRecord(kind="state", origin=R1), R2))
        [(port, packet)] = exchange(spine, 2, sent)
        assert port == 3
        assert (packet[:14], packet[18:]) == (sent[:14], sent[18:])
        assert packet[17] == sent[17] - 1
