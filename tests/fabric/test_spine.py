"""What a packet experiences at a spine."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from harness.packets import checksums_hold, inner, label_of, labelled, reply, tcp
from harness.programmed import Programmed
from harness.small import B1, B2, CLIENT_IP, E1, R1, R2, VIP, mac

TO_E1, TO_R1, TO_R2, TO_B1 = 1, 2, 3, 4


@pytest.mark.parametrize(("label", "port"), [(R1, TO_R1), (R2, TO_R2), (E1, TO_E1)])
def test_a_labelled_packet_goes_to_its_node_with_its_macs(
    spine: Programmed, label: int, port: int
) -> None:
    sent = labelled(label, tcp(1000), to="r1", ttl=63)
    [(out, packet)] = spine.device.exchange(TO_E1, sent, 1)
    assert out == port
    assert packet[:12] == sent[:12]
    assert packet[17] == 62
    assert packet[18:] == sent[18:]


def test_the_last_hop_to_a_backend_takes_the_label_off(spine: Programmed) -> None:
    sent = labelled(B1, tcp(1000), to="r1")
    [(port, packet)] = spine.device.exchange(TO_R1, sent, 1)
    assert port == TO_B1
    assert packet[:12] == sent[:12]
    assert label_of(packet) is None
    assert packet[14:] == sent[18:]


def test_an_inner_packet_that_is_not_ipv4_is_carried_as_it_is(spine: Programmed) -> None:
    sent = labelled(R1, tcp(1000), to="r1")[:18] + b"\x60" + bytes(range(60))
    [(port, packet)] = spine.device.exchange(TO_E1, sent, 1)
    assert port == TO_R1
    assert packet[18:] == sent[18:]


def test_a_label_that_is_not_the_last_is_carried_as_it_is(spine: Programmed) -> None:
    whole = bytearray(labelled(R1, tcp(1000), to="r1"))
    whole[16] &= 0xFE  # bottom of stack off
    [(port, packet)] = spine.device.exchange(TO_E1, bytes(whole), 1)
    assert port == TO_R1
    assert packet[18:] == bytes(whole[18:])


def test_a_backends_answer_goes_straight_to_the_clients_edge(spine: Programmed) -> None:
    sent = Ether(src="02:00:00:20:00:01", dst=mac("s1")) / reply(1000)
    [(port, packet)] = spine.device.exchange(TO_B1, bytes(sent), 1)
    assert port == TO_E1
    assert label_of(packet) == E1
    assert Ether(packet).dst == mac("e1")
    assert (inner(packet).src, inner(packet).dst) == (VIP, CLIENT_IP)
    assert checksums_hold(packet)


def test_spines_do_not_carry_for_each_other_when_there_is_no_link(spine: Programmed) -> None:
    assert spine.device.exchange(TO_R1, labelled(B2, tcp(1000), to="r1"), 0) == []
    assert spine.counters().drops["no_label"] == 1


def test_hosts_talk_to_each_other_by_routes(spine: Programmed) -> None:
    sent = Ether(dst=mac("s1")) / IP(src=CLIENT_IP, dst="10.2.1.10") / TCP(sport=5, dport=22)
    [(port, packet)] = spine.device.exchange(TO_E1, bytes(sent), 1)
    assert port == TO_B1
    assert Ether(packet).dst == "02:00:00:20:00:01"
    assert checksums_hold(packet)
