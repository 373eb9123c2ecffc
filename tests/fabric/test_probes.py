"""A probe's way: stamped, to a node and back by labels, and reported; it leaves no mark on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from controller.act.probes import Probe as ToSend
from controller.model import TrainRow
from harness.packets import arriving
from harness.programmed import Make, Programmed
from harness.replicas import counted, dropped, exchange, records, replicating, table
from harness.small import CAPACITY, R1, R2, WEB
from topologies.layers import Probe, record_ip, record_mac

SPINE_1, SPINE_2, CLIENT_PORT = 1, 2, 3
QUIET, COLLECT = 1, 2
GROUP, COPIES = 1, 16


@pytest.fixture
def node(make: Make) -> Iterator[Programmed]:
    """r1, whose bursts leave through port 2."""
    with make("r1") as switch:
        trains = (TrainRow(GROUP, SPINE_2, COPIES),)
        switch.replan(replace(replicating(switch.plan), trains=trains))
        yield switch


def leaves(
    switch: Programmed,
    target: int = R2,
    *,
    number: int = 7,
    source_port: int = 4000,
    size: int = 0,
    flags: int = 0,
    group: int = 0,
    count: int = 1,
) -> list[tuple[int, bytes]]:
    """Let the switch send a probe; what comes out."""
    switch.run(switch.link.probe(ToSend(target, number, source_port, size, flags, group)))
    return switch.device.receive(count)


def back(packet: bytes) -> bytes:
    """The probe as its target sends it on: without the first label."""
    return packet[:14] + packet[18:]


def test_a_probe_leaves_with_the_time_and_two_labels(node: Programmed) -> None:
    [(port, packet)] = leaves(node)
    frame = Ether(packet)
    outer, inner = frame[MPLS], frame[MPLS].payload
    assert port in (SPINE_1, SPINE_2)
    assert (outer.label, outer.s, inner.label, inner.s) == (R2, 0, R1, 1)
    assert (frame[IP].src, frame[IP].dst, frame[UDP].dport) == (record_ip(R1), record_ip(1), 50101)
    assert (frame[Probe].id, frame[Probe].copy_number, frame[Probe].received_us) == (7, 0, 0)
    assert frame[Probe].sent_us > 0
    assert frame.dst == record_mac(R2)


def test_probes_of_many_source_ports_use_every_path(node: Programmed) -> None:
    ways = {source_port: leaves(node, source_port=source_port)[0][0] for source_port in range(8)}
    assert set(ways.values()) == {SPINE_1, SPINE_2}
    assert leaves(node, source_port=3)[0][0] == ways[3]


def test_a_probe_comes_back_to_the_controller_with_both_times(node: Programmed) -> None:
    [(port, packet)] = leaves(node, number=0xABCDEF01)
    sent_us = Ether(packet)[Probe].sent_us
    assert exchange(node, port, back(packet)) == []
    assert node.wait(lambda: len(node.probes) == 1)
    [answer] = node.probes
    assert (answer.id, answer.sent_us, answer.copy) == (0xABCDEF01, sent_us, 0)
    assert 0 < answer.received_us - answer.sent_us < 10_000_000


def test_a_probe_of_a_full_size_comes_back_whole(node: Programmed) -> None:
    [(port, packet)] = leaves(node, size=1500)
    assert len(packet) == 1500
    exchange(node, port, back(packet))
    assert node.wait(lambda: len(node.probes) == 1)


def probe_to_r1(size: int = 0, ttl: int = 63) -> bytes:
    """A probe of r2's as it arrives at r1."""
    frame = (
        Ether(src=record_mac(R2), dst=record_mac(R1))
        / MPLS(label=R1, s=0, ttl=ttl)
        / MPLS(label=R2, s=1, ttl=64)
        / IP(src=record_ip(R2), dst=record_ip(1), ttl=64)
        / UDP(sport=4000, dport=50101, chksum=0)
        / Probe(id=9, sent_us=123456)
        / bytes(size)
    )
    return bytes(frame)


@pytest.mark.parametrize("padding", [0, 1400])
def test_the_target_sends_a_probe_back_as_it_came(node: Programmed, padding: int) -> None:
    sent = probe_to_r1(padding)
    [(_, packet)] = exchange(node, SPINE_1, sent)
    frame = Ether(packet)
    assert (frame[MPLS].label, frame[MPLS].s, frame[MPLS].ttl) == (R2, 1, 62)
    assert packet[18:] == sent[22:]


def test_a_probe_leaves_no_mark_at_its_target(node: Programmed) -> None:
    out = [exchange(node, SPINE_1, probe_to_r1())[0] for _ in range(3)]
    assert records(out) == []
    assert table(node) == {}
    assert node.scan().live == 0
    assert counted(node, "services_unbound", 0) == [3]
    seen = node.counters()
    assert (seen.services[WEB].opened, seen.services[WEB].unbound) == (0, 0)
    assert dropped(node) == {}


def test_a_full_router_sends_probes_back_all_the_same(node: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        exchange(node, SPINE_1, arriving(port))
    [(_, packet)] = exchange(node, SPINE_1, probe_to_r1())
    assert Probe in Ether(packet)
    assert node.counters().services[WEB].refused == 0


def test_a_probe_for_another_node_passes_as_any_labelled_packet(make: Make) -> None:
    with make("s1") as spine:
        spine.replan(replace(spine.plan, trusted_ports=(1, 2, 3)))
        sent = probe_to_r1()
        [(port, packet)] = exchange(spine, 3, sent)
        assert port == 2
        assert (packet[:17], packet[18:]) == (sent[:17], sent[18:])
        assert packet[17] == sent[17] - 1


def test_quiet_probes_are_counted_and_collected_once(node: Programmed) -> None:
    for _ in range(3):
        [(port, packet)] = leaves(node, flags=QUIET)
        assert exchange(node, port, back(packet)) == []
    [(port, packet)] = leaves(node, flags=COLLECT, number=1)
    exchange(node, port, back(packet))
    [(port, packet)] = leaves(node, flags=COLLECT, number=2)
    exchange(node, port, back(packet))
    assert node.wait(lambda: len(node.probes) == 2)
    first, second = node.probes
    assert (first.id, first.count, second.id, second.count) == (1, 3, 2, 0)
    assert first.max_us <= first.sum_us <= 3 * first.max_us
    assert first.max_us > 0
    assert (second.sum_us, second.max_us) == (0, 0)


def test_a_probe_that_does_not_collect_leaves_the_counts(node: Programmed) -> None:
    [(port, packet)] = leaves(node, flags=QUIET)
    exchange(node, port, back(packet))
    for number, flags in enumerate((0, COLLECT)):
        [(port, packet)] = leaves(node, flags=flags, number=number)
        exchange(node, port, back(packet))
    assert node.wait(lambda: len(node.probes) == 2)
    assert [answer.count for answer in node.probes] == [1, 1]


def test_a_burst_is_copies_with_numbers_out_of_one_port(node: Programmed) -> None:
    out = leaves(node, group=GROUP, size=200, count=COPIES)
    assert {port for port, _ in out} == {SPINE_2}
    probes = [Ether(packet)[Probe] for _, packet in out]
    assert sorted(probe.copy_number for probe in probes) == list(range(1, COPIES + 1))
    assert len({probe.sent_us for probe in probes}) == 1
    assert {len(packet) for _, packet in out} == {200}
    assert {Ether(packet)[MPLS].label for _, packet in out} == {R2}


def test_a_burst_that_comes_back_quietly_is_counted_whole(node: Programmed) -> None:
    out = leaves(node, group=GROUP, flags=QUIET, count=COPIES)
    assert exchange(node, SPINE_2, *[back(packet) for _, packet in out]) == []
    [(port, packet)] = leaves(node, flags=COLLECT)
    exchange(node, port, back(packet))
    assert node.wait(lambda: len(node.probes) == 1)
    assert node.probes[0].count == COPIES


UNLABELLED = probe_to_r1()[:12] + b"\x08\x00" + probe_to_r1()[22:]
FORGERIES = [
    ("from a client", CLIENT_PORT, probe_to_r1(), "untrusted"),
    ("back, from a client", CLIENT_PORT, back(probe_to_r1()), "untrusted"),
    ("unlabelled, from a client", CLIENT_PORT, UNLABELLED, "untrusted"),
    ("unlabelled", SPINE_1, UNLABELLED, "untrusted"),
    ("cut short", SPINE_1, probe_to_r1()[:60], "malformed"),
    ("label's ttl 1", SPINE_1, probe_to_r1(ttl=1), "ttl"),
]


def test_probes_that_cannot_be_trusted_are_dropped_and_counted(node: Programmed) -> None:
    expected: Counter[str] = Counter()
    for description, port, frame, reason in FORGERIES:
        assert exchange(node, port, frame) == [], description
        expected[reason] += 1
        assert dropped(node) == expected, description
    assert node.probes == []


def test_a_probe_to_a_node_that_cannot_be_reached_is_dropped_and_counted(node: Programmed) -> None:
    assert leaves(node, 999, count=0) == []
    assert dropped(node) == {"no_label": 1}
