"""What a packet of an instance with an external address experiences at an edge: 1:1 NAT, and ARP for held addresses."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import finsy as fy
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from controller.model import FabricPlan
from controller.plan.address_rows import PlacedAddress, with_addresses
from harness.packets import checksums_hold, inner, label_of, labelled, tcp
from harness.programmed import Programmed, programmed
from harness.small import CLIENT_IP, CLIENT_MAC, E1, R1, R2, VIP, mac, small_fabric, small_plan

TO_CLIENT, TO_HOST = 3, 4
ONE, ONE_OUTSIDE, ONE_MAC = "10.3.0.5", "198.51.100.5", "02:00:0a:03:00:05"
TWO, TWO_OUTSIDE, TWO_MAC = "10.3.0.6", "198.51.100.6", "02:00:0a:03:00:06"
INSIDE = ("10.3.0.0/16", f"{VIP}/32")
PLACED = (
    PlacedAddress(ONE, ONE_MAC, "e1", TO_HOST, ONE_OUTSIDE),
    PlacedAddress(TWO, TWO_MAC, "e1", TO_HOST, TWO_OUTSIDE),
    PlacedAddress("10.3.0.7", "02:00:0a:03:00:07", "e1", TO_HOST),
)


@pytest.fixture(scope="module")
def edge(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programmed]:
    """e1 with two instances on port 4 that have external addresses, and one that has none. One for all tests: NAT
    remembers nothing but its counters.
    """
    with programmed(kind, "e1", tmp_path_factory.mktemp("nat")) as node:
        whole = FabricPlan((small_plan("e1"),))
        plan = with_addresses(whole, small_fabric(), PLACED, inside=INSIDE)
        node.replan(plan.node("e1"))
        yield node


def frame(packet: Packet) -> bytes:
    """As a host sends it to its gateway."""
    return bytes(Ether(src=CLIENT_MAC, dst=mac("e1")) / packet)


def crossed(edge: Programmed, port: int, packet: Packet) -> tuple[int, Packet]:
    """Where the packet comes out, and what of it; its checksums must be right."""
    [(out, came)] = edge.device.exchange(port, frame(packet), 1)
    assert checksums_hold(came)
    assert icmp_checksum_holds(inner(came))
    return out, inner(came)


def icmp_checksum_holds(packet: Packet) -> bool:
    """True as well for what is no ICMP."""
    if ICMP not in packet:
        return True
    again = packet.copy()
    del again[ICMP].chksum
    return bytes(IP(bytes(again))) == bytes(packet)


def counted(edge: Programmed, counter: str) -> dict[int, tuple[int, int]]:
    """Packets and bytes of every row of a table."""
    found = edge.run(edge.link.read([fy.P4DirectCounterEntry(counter)]))
    return {
        int(next(iter(dict(one.table_entry.match).values()))): (one.packet_count, one.byte_count)
        for one in found
    }


@pytest.mark.parametrize(
    "transport",
    [
        TCP(sport=5000, dport=443, flags="PA", seq=7) / b"hello",
        UDP(sport=5000, dport=443) / b"hello!",
        ICMP(type=8, id=7, seq=1) / bytes(56),
    ],
    ids=["tcp", "udp", "echo"],
)
def test_a_conversation_with_the_outside_has_the_external_address(
    edge: Programmed, transport: Packet
) -> None:
    out, there = crossed(edge, TO_HOST, IP(src=ONE, dst=CLIENT_IP) / transport)
    assert (out, there.src, there.dst, there.ttl) == (TO_CLIENT, ONE_OUTSIDE, CLIENT_IP, 63)
    assert bytes(there.payload)[-5:] == bytes(transport)[-5:]
    out, back = crossed(edge, TO_CLIENT, IP(src=CLIENT_IP, dst=ONE_OUTSIDE) / transport)
    assert (out, back.src, back.dst) == (TO_HOST, CLIENT_IP, ONE)


def test_checksums_are_right_for_any_words(edge: Programmed) -> None:
    rng = random.Random(1624)
    for length in range(60):
        transport = rng.choice((TCP, UDP))(sport=rng.randrange(1, 65536), dport=9)
        packet = IP(src=ONE, dst=CLIENT_IP, id=rng.randrange(65536)) / transport
        _, there = crossed(edge, TO_HOST, packet / rng.randbytes(length))
        assert there.src == ONE_OUTSIDE


def test_the_instance_gets_its_packets_with_its_mac(edge: Programmed) -> None:
    [(port, packet)] = edge.device.exchange(
        TO_CLIENT, frame(IP(src=CLIENT_IP, dst=ONE_OUTSIDE) / ICMP()), 1
    )
    assert (port, Ether(packet).dst, Ether(packet).src) == (TO_HOST, ONE_MAC, mac("e1"))


def test_a_datagram_without_checksum_stays_without(edge: Programmed) -> None:
    packet = IP(src=ONE, dst=CLIENT_IP) / UDP(sport=1, dport=2, chksum=0) / b"x"
    [(_, came)] = edge.device.exchange(TO_HOST, frame(packet), 1)
    assert inner(came)[UDP].chksum == 0


def test_a_datagram_whose_checksum_comes_to_zero_carries_ones(edge: Programmed) -> None:
    # The two bytes of data make the sum of all words that matter, with the external address, all ones.
    base = IP(src=ONE_OUTSIDE, dst=CLIENT_IP) / UDP(sport=1, dport=2) / b"\0\0"
    short = IP(bytes(base))[UDP].chksum
    data = Raw(short.to_bytes(2, "big"))
    packet = IP(src=ONE, dst=CLIENT_IP) / UDP(sport=1, dport=2) / data
    [(_, came)] = edge.device.exchange(TO_HOST, frame(packet), 1)
    assert (inner(came).src, inner(came)[UDP].chksum) == (ONE_OUTSIDE, 0xFFFF)


def test_both_directions_are_counted_by_address(edge: Programmed) -> None:
    before_out, before_in = counted(edge, "nat_out_traffic"), counted(edge, "nat_in_traffic")
    for _ in range(3):
        crossed(edge, TO_HOST, IP(src=ONE, dst=CLIENT_IP) / UDP(sport=1, dport=2))
    crossed(edge, TO_CLIENT, IP(src=CLIENT_IP, dst=TWO_OUTSIDE) / UDP(sport=1, dport=2))
    crossed(edge, TO_HOST, IP(src=ONE, dst=TWO) / UDP(sport=1, dport=2))  # inside: not counted
    size = 14 + 20 + 8
    out, into = counted(edge, "nat_out_traffic"), counted(edge, "nat_in_traffic")
    assert _more(out, before_out) == {_number(ONE): (3, 3 * size), _number(TWO): (0, 0)}
    assert _more(into, before_in) == {_number(ONE_OUTSIDE): (0, 0), _number(TWO_OUTSIDE): (1, size)}


def _more(
    now: dict[int, tuple[int, int]], before: dict[int, tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    return {
        key: (packets - before[key][0], n - before[key][1]) for key, (packets, n) in now.items()
    }


def _number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))), "big")


def test_instances_talk_to_each_other_by_their_own_addresses(edge: Programmed) -> None:
    out, there = crossed(edge, TO_HOST, IP(src=ONE, dst=TWO) / TCP(sport=1, dport=2))
    assert (out, there.src, there.dst) == (TO_HOST, ONE, TWO)


def test_an_instance_may_call_another_by_its_external_address(edge: Programmed) -> None:
    out, there = crossed(edge, TO_HOST, IP(src=ONE, dst=TWO_OUTSIDE) / TCP(sport=1, dport=2))
    assert (out, there.src, there.dst) == (TO_HOST, ONE_OUTSIDE, TWO)
    out, back = crossed(edge, TO_HOST, IP(src=TWO, dst=ONE_OUTSIDE) / TCP(sport=2, dport=1))
    assert (out, back.src, back.dst) == (TO_HOST, TWO_OUTSIDE, ONE)


def test_an_instance_without_external_address_is_left_as_it_is(edge: Programmed) -> None:
    _, there = crossed(edge, TO_HOST, IP(src="10.3.0.7", dst=CLIENT_IP) / TCP(sport=1, dport=2))
    assert there.src == "10.3.0.7"


def test_an_instance_on_another_switch_is_translated_as_well(edge: Programmed) -> None:
    packet = IP(src=ONE, dst=CLIENT_IP) / TCP(sport=1, dport=2) / b"data"
    [(port, came)] = edge.device.exchange(1, labelled(E1, packet, to="e1"), 1)
    assert (port, label_of(came), inner(came).src) == (TO_CLIENT, None, ONE_OUTSIDE)
    assert checksums_hold(came)


def test_an_instance_is_a_client_of_a_service_like_any_other(edge: Programmed) -> None:
    packet = IP(src=ONE, dst=VIP) / TCP(sport=1000, dport=80, flags="S")
    [(_, came)] = edge.device.exchange(TO_HOST, frame(packet), 1)
    assert label_of(came) in (R1, R2)
    assert inner(came).src == ONE


def test_later_fragments_and_options_are_translated(edge: Programmed) -> None:
    fragment = IP(src=ONE, dst=CLIENT_IP, frag=5, proto=17) / Raw(b"later data")
    [(_, came)] = edge.device.exchange(TO_HOST, frame(fragment), 1)
    assert (inner(came).src, bytes(inner(came).payload)) == (ONE_OUTSIDE, b"later data")
    first = IP(src=ONE, dst=CLIENT_IP, flags="MF") / UDP(sport=1, dport=2, len=60, chksum=0x1234)
    [(_, came)] = edge.device.exchange(TO_HOST, frame(first / b"12345678"), 1)
    # The datagram's checksum covers what this packet does not have: the change alone must be right (RFC 1624).
    before, after = _words(ONE), _words(ONE_OUTSIDE)
    assert _fold(inner(came)[UDP].chksum + after) == _fold(0x1234 + before)
    optional = IP(src=ONE, dst=CLIENT_IP, options=[b"\x94\x04\0\0"]) / TCP(sport=1, dport=2)
    assert crossed(edge, TO_HOST, optional)[1].src == ONE_OUTSIDE


def _words(address: str) -> int:
    return (_number(address) >> 16) + (_number(address) & 0xFFFF)


def _fold(number: int) -> int:
    while number > 0xFFFF:
        number = (number & 0xFFFF) + (number >> 16)
    return number


@pytest.mark.parametrize(("error_type", "code"), [(3, 4), (3, 3), (11, 0), (12, 0)])
def test_an_icmp_error_quotes_the_packet_as_its_sender_knows_it(
    edge: Programmed, error_type: int, code: int
) -> None:
    sent = IP(src=ONE_OUTSIDE, dst="203.0.113.9", ttl=7) / TCP(sport=1, dport=2, seq=99)
    error = IP(src=CLIENT_IP, dst=ONE_OUTSIDE) / ICMP(type=error_type, code=code) / bytes(sent)[:28]
    _, there = crossed(edge, TO_CLIENT, error)
    quoted = there[IPerror]
    assert (there.dst, quoted.src, quoted.dst) == (ONE, ONE, "203.0.113.9")
    assert IP(bytes(quoted)[:20]).chksum == _chksum(bytes(quoted)[:20])
    received = IP(src=CLIENT_IP, dst=ONE, ttl=7) / TCP(sport=1, dport=2, seq=99)
    error = IP(src=ONE, dst=CLIENT_IP) / ICMP(type=error_type, code=code) / bytes(received)[:28]
    _, there = crossed(edge, TO_HOST, error)
    quoted = there[IPerror]
    assert (there.src, quoted.src, quoted.dst) == (ONE_OUTSIDE, CLIENT_IP, ONE_OUTSIDE)
    assert quoted[TCPerror].seq == 99
    assert IP(bytes(quoted)[:20]).chksum == _chksum(bytes(quoted)[:20])


def _chksum(header: bytes) -> int:
    packet = IP(header)
    del packet.chksum
    return int(IP(bytes(packet)).chksum)


def test_an_icmp_error_that_quotes_something_else_keeps_its_quotation(edge: Programmed) -> None:
    sent = IP(src="203.0.113.1", dst="203.0.113.9") / UDP(sport=1, dport=2)
    error = IP(src=CLIENT_IP, dst=ONE_OUTSIDE) / ICMP(type=3, code=1) / bytes(sent)
    _, there = crossed(edge, TO_CLIENT, error)
    assert (there[IPerror].src, there[IPerror].dst) == ("203.0.113.1", "203.0.113.9")


def test_short_icmp_messages_go_through(edge: Programmed) -> None:
    for body in (b"", b"\x03", b"\x03\x01\0\0", bytes(27)):
        _, there = crossed_raw(edge, IP(src=ONE, dst=CLIENT_IP, proto=1) / Raw(body))
        assert (there.src, bytes(there)[20:]) == (ONE_OUTSIDE, body)


def crossed_raw(edge: Programmed, packet: Packet) -> tuple[int, Packet]:
    """Without a look at ICMP's checksum."""
    [(out, came)] = edge.device.exchange(TO_HOST, frame(packet), 1)
    size = 14 + len(packet)
    return out, inner(came[:size])


def test_an_external_address_without_an_owner_leads_nowhere(edge: Programmed) -> None:
    before = edge.counters().drops["unroutable"]
    packet = frame(IP(src=CLIENT_IP, dst="198.51.100.99") / UDP())
    assert edge.device.exchange(TO_CLIENT, packet, 0) == []
    assert edge.counters().drops["unroutable"] == before + 1


def test_when_nat_is_given_up_the_addresses_show(edge: Programmed) -> None:
    plan = edge.plan
    edge.replan(replace(plan, nat=(), nat_inside=()))
    _, there = crossed(edge, TO_HOST, IP(src=ONE, dst=CLIENT_IP) / TCP(sport=1, dport=2))
    assert there.src == ONE
    edge.replan(plan)
    assert crossed(edge, TO_HOST, there / b"!")[1].src == ONE_OUTSIDE


@pytest.mark.parametrize(("asked", "answer"), [(ONE, ONE_MAC), (ONE_OUTSIDE, mac("e1"))])
def test_arp_for_a_held_address_is_answered_by_the_switch(
    edge: Programmed, asked: str, answer: str
) -> None:
    ask = Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=CLIENT_MAC, psrc=CLIENT_IP, pdst=asked
    )
    [(_, packet)] = edge.device.exchange(TO_CLIENT, bytes(ask), 1)
    assert (Ether(packet)[ARP].hwsrc, Ether(packet)[ARP].psrc) == (answer, asked)


def test_a_held_address_that_announces_itself_is_told_its_own_mac(edge: Programmed) -> None:
    announcement = Ether(src=ONE_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=ONE_MAC, psrc=ONE, hwdst="00:00:00:00:00:00", pdst=ONE
    )
    [(port, packet)] = edge.device.exchange(TO_HOST, bytes(announcement), 1)
    assert (port, Ether(packet).dst, Ether(packet)[ARP].hwsrc) == (TO_HOST, ONE_MAC, ONE_MAC)


def test_clients_of_services_notice_nothing_of_nat(edge: Programmed) -> None:
    sent = tcp(1000)
    [(_, packet)] = edge.device.exchange(TO_CLIENT, sent, 1)
    assert bytes(inner(packet)[TCP]) == bytes(Ether(sent)[TCP])
    assert (inner(packet).src, inner(packet).dst) == (CLIENT_IP, VIP)
