"""What a packet experiences at an edge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from harness.packets import checksums_hold, inner, label_of, labelled, reply, tcp, udp
from harness.programmed import Programmed
from harness.replicas import dropped
from harness.small import B1, CLIENT_IP, CLIENT_MAC, DNS, E1, R1, R2, VIP, WEB, mac, weighted

TO_CLIENT = 3
LABEL_OF_ROUTER = {R1: "r1", R2: "r2"}


def open_connections(edge: Programmed, ports: range) -> dict[int, int]:
    """Send a SYN from each port; which label did each get?"""
    for port in ports:
        edge.device.send(TO_CLIENT, tcp(port))
    out = edge.device.receive(len(ports))
    return {inner(packet)[TCP].sport: label_of(packet) or 0 for _, packet in out}


def test_a_syn_leaves_with_the_label_and_mac_of_a_router(edge: Programmed) -> None:
    sent = tcp(1000)
    [(port, packet)] = edge.device.exchange(TO_CLIENT, sent, 1)
    label = label_of(packet)
    assert port in (1, 2)
    assert label in LABEL_OF_ROUTER
    frame = Ether(packet)
    assert (frame.dst, frame.src) == (mac(LABEL_OF_ROUTER[label]), mac("e1"))
    assert inner(packet).ttl == Ether(sent)[IP].ttl - 1
    assert bytes(inner(packet)[TCP]) == bytes(Ether(sent)[TCP])
    assert checksums_hold(packet)


def test_equal_weights_send_half_of_the_connections_to_each_router(edge: Programmed) -> None:
    share = Counter(open_connections(edge, range(2000, 2100)).values())
    assert share == {R1: 50, R2: 50}


def test_weights_hold_exactly_for_new_connections(edge: Programmed) -> None:
    edge.weights(weighted(WEB, {R1: 70, R2: 30}))
    share = Counter(open_connections(edge, range(2000, 2200)).values())
    assert abs(share[R1] - 140) <= 2
    assert sum(share.values()) == 200


def test_a_change_of_weights_moves_no_connection(edge: Programmed) -> None:
    before = open_connections(edge, range(3000, 3060))
    edge.weights(weighted(WEB, {R2: 100}))
    for port in before:
        edge.device.send(TO_CLIENT, tcp(port, "A"))
    after = {
        inner(packet)[TCP].sport: label_of(packet) for _, packet in edge.device.receive(len(before))
    }
    assert after == before
    assert R1 in before.values()
    assert set(open_connections(edge, range(4000, 4020)).values()) == {R2}


def test_connections_to_one_router_use_both_spines(edge: Programmed) -> None:
    edge.weights(weighted(WEB, {R1: 100}))
    for port in range(5000, 5040):
        edge.device.send(TO_CLIENT, tcp(port))
    ports = Counter(port for port, _ in edge.device.receive(40))
    assert set(ports) == {1, 2}
    [(path, _)] = edge.device.exchange(TO_CLIENT, tcp(5000, "A"), 1)
    [(again, _)] = edge.device.exchange(TO_CLIENT, tcp(5000, "A"), 1)
    assert path == again


def test_a_datagram_opens_and_the_next_follows_it(edge: Programmed) -> None:
    [(_, first)] = edge.device.exchange(TO_CLIENT, udp(6000), 1)
    edge.weights(weighted(DNS, {R1 if label_of(first) == R2 else R2: 100}))
    [(_, second)] = edge.device.exchange(TO_CLIENT, udp(6000), 1)
    assert label_of(second) == label_of(first)
    assert bytes(inner(second)[UDP]) == bytes(Ether(udp(6000))[UDP])


def test_an_answer_reaches_the_client_without_a_label(edge: Programmed) -> None:
    [(port, packet)] = edge.device.exchange(1, labelled(E1, reply(1000), to="e1"), 1)
    assert port == TO_CLIENT
    assert label_of(packet) is None
    assert Ether(packet).dst == CLIENT_MAC
    assert checksums_hold(packet)


def test_the_gateway_answers_arp(edge: Programmed) -> None:
    ask = Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=CLIENT_MAC, psrc=CLIENT_IP, pdst="10.1.1.1"
    )
    [(port, packet)] = edge.device.exchange(TO_CLIENT, bytes(ask), 1)
    answer = Ether(packet)[ARP]
    assert port == TO_CLIENT
    assert (answer.op, answer.hwsrc, answer.psrc) == (2, mac("e1"), "10.1.1.1")
    assert (answer.hwdst, answer.pdst) == (CLIENT_MAC, CLIENT_IP)


def test_ports_used_again_after_a_close_are_a_new_connection(edge: Programmed) -> None:
    [(_, first)] = edge.device.exchange(TO_CLIENT, tcp(7000), 1)
    edge.device.exchange(TO_CLIENT, tcp(7000, "FA"), 1)
    other = R1 if label_of(first) == R2 else R2
    edge.weights(weighted(WEB, {other: 100}))
    [(_, last_ack)] = edge.device.exchange(TO_CLIENT, tcp(7000, "A"), 1)
    [(_, again)] = edge.device.exchange(TO_CLIENT, tcp(7000), 1)
    assert label_of(last_ack) == label_of(first)
    assert label_of(again) == other
    seen = edge.counters().services[WEB]
    assert (seen.opened, seen.closed, seen.live) == (2, 1, 1)


def test_a_reset_by_the_service_closes_the_connection(edge: Programmed) -> None:
    edge.device.exchange(TO_CLIENT, tcp(7100), 1)
    edge.device.exchange(1, labelled(E1, reply(7100, "RA"), to="e1"), 1)
    assert edge.counters().services[WEB].live == 0


def test_resets_of_other_connections_and_repeated_closes_change_no_count(edge: Programmed) -> None:
    for port in (7150, 7151):
        edge.device.exchange(TO_CLIENT, tcp(port), 1)
    edge.device.exchange(TO_CLIENT, tcp(7152, "R"), 1)
    edge.device.exchange(1, labelled(E1, reply(7152, "RA"), to="e1"), 1)
    assert edge.counters().services[WEB].live == 2
    for flags in ("FA", "FA", "A", "R"):
        edge.device.exchange(TO_CLIENT, tcp(7150, flags), 1)
    edge.device.exchange(1, labelled(E1, reply(7150, "RA"), to="e1"), 1)
    seen = edge.counters().services[WEB]
    assert (seen.opened, seen.closed, seen.live) == (2, 1, 1)


def test_a_repeated_syn_is_the_same_connection(edge: Programmed) -> None:
    labels = [label_of(edge.device.exchange(TO_CLIENT, tcp(7200), 1)[0][1]) for _ in range(3)]
    assert len(set(labels)) == 1
    assert edge.counters().services[WEB].opened == 1


def test_every_new_connection_is_reported(edge: Programmed) -> None:
    labels = open_connections(edge, range(8000, 8005))
    assert edge.wait(lambda: len(edge.digests) == 5)
    assert {d["client_port"]: d["binding"] for d in edge.digests} == labels
    assert {d["service"] for d in edge.digests} == {WEB}


# (description, packet of the client, the reason it is dropped for)
DROPPED = [
    ("ttl 1", tcp(9000, ttl=1), "ttl"),
    ("bad checksum", tcp(9000, chksum=0x1234), "malformed"),
    ("cut inside TCP", tcp(9000)[:40], "malformed"),
    ("version 5", tcp(9000, version=5), "malformed"),
    ("header too short", tcp(9000, ihl=3), "malformed"),
    ("label of a client", labelled(999, reply(1), to="e1"), "untrusted"),
    ("old label of a client", labelled(B1, reply(1), to="e1", ttl=1), "untrusted"),
    ("no route", bytes(Ether(dst=mac("e1")) / IP(dst="192.0.2.1") / UDP()), "unroutable"),
    ("not IPv4", bytes(Ether(type=0x86DD) / (b"\0" * 60)), "malformed"),
    ("ARP for another", bytes(Ether() / ARP(op=1, pdst="10.1.1.99")), "arp"),
    ("fragment", tcp(9000, "S", frag=5), "unroutable"),
]


def test_what_cannot_be_forwarded_is_dropped_and_counted(edge: Programmed) -> None:
    expected: Counter[str] = Counter()
    for description, packet, reason in DROPPED:
        assert edge.device.exchange(TO_CLIENT, packet, 0) == [], description
        expected[reason] += 1
        assert dropped(edge) == expected, description
    assert edge.counters().services[WEB].opened == 0


def test_a_service_without_routers_drops_and_counts(edge: Programmed) -> None:
    edge.replan(replace(edge.plan, targets=()))
    assert edge.device.exchange(TO_CLIENT, tcp(9100), 0) == []
    assert edge.counters().drops["no_target"] == 1


def test_ip_options_are_carried(edge: Programmed) -> None:
    sent = bytes(
        Ether(src=CLIENT_MAC, dst=mac("e1"))
        / IP(src=CLIENT_IP, dst=VIP, options=[b"\x94\x04\x00\x00"])
        / TCP(sport=9200, dport=80, flags="S")
    )
    [(_, packet)] = edge.device.exchange(TO_CLIENT, sent, 1)
    assert label_of(packet) in LABEL_OF_ROUTER
    assert checksums_hold(packet)
