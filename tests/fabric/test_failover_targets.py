"""What connections experience at an edge when the label of their router moves to its shadows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from controller.model import Hop, LabelRow, TargetRow
from harness.packets import inner, label_of, tcp
from harness.programmed import Make, Programmed
from harness.replicas import signature
from harness.small import R1, R2, R3, WEB, mac, weighted

TO_CLIENT = 3
MAC_3 = "02:00:00:00:09:01"
PORTS = range(1000, 1060)
SHADOWS = TargetRow(R1, (Hop(R2, mac("r2")), Hop(R3, MAC_3)))


@pytest.fixture
def edge(make: Make) -> Iterator[Programmed]:
    """e1 with 60 connections bound to r1, and paths to r2 and r3."""
    with make("e1") as node:
        node.replan(replace(node.plan, labels=(*node.plan.labels, LabelRow(R3, (1, 2), False))))
        node.weights(weighted(WEB, {R1: 100}))
        assert set(went(node, "S").values()) == {R1}
        yield node


def went(edge: Programmed, flags: str) -> dict[int, int | None]:
    """Client port → label that a packet of each connection leaves with."""
    for port in PORTS:
        edge.device.send(TO_CLIENT, tcp(port, flags))
    out = edge.device.receive(len(PORTS))
    return {inner(packet)[TCP].sport: label_of(packet) for _, packet in out}


def test_one_write_moves_every_connection_to_a_shadow(edge: Programmed) -> None:
    edge.run(edge.link.write_targets([SHADOWS]))
    after = went(edge, "A")
    assert after.keys() == set(PORTS)
    share = Counter(after.values())
    assert set(share) == {R2, R3}
    assert min(share.values()) >= 15


def test_each_connection_goes_to_one_shadow_the_same_from_every_edge(edge: Programmed) -> None:
    edge.run(edge.link.write_targets([SHADOWS]))
    expected = {port: SHADOWS.hops[(signature(port) >> 8) % 2].label for port in PORTS}
    assert went(edge, "A") == expected
    assert went(edge, "PA") == expected


def test_packets_carry_the_shadows_mac(edge: Programmed) -> None:
    edge.run(edge.link.write_targets([SHADOWS]))
    for port in PORTS:
        edge.device.send(TO_CLIENT, tcp(port, "A"))
    macs = {label_of(packet): Ether(packet).dst for _, packet in edge.device.receive(len(PORTS))}
    assert macs == {R2: mac("r2"), R3: MAC_3}


def test_connections_return_when_the_label_does(edge: Programmed) -> None:
    edge.run(edge.link.write_targets([SHADOWS]))
    went(edge, "A")
    edge.run(edge.link.write_targets([TargetRow(R1, (Hop(R1, mac("r1")),))]))
    assert set(went(edge, "A").values()) == {R1}
    assert edge.counters().services[WEB].opened == len(PORTS)


def test_both_paths_are_used_to_each_shadow(edge: Programmed) -> None:
    """The bits that choose a shadow are not those that choose a path."""
    edge.run(edge.link.write_targets([SHADOWS]))
    for port in PORTS:
        edge.device.send(TO_CLIENT, tcp(port, "A"))
    ways = Counter((label_of(packet), out) for out, packet in edge.device.receive(len(PORTS)))
    assert set(ways) == {(R2, 1), (R2, 2), (R3, 1), (R3, 2)}
    assert min(ways.values()) >= 5
