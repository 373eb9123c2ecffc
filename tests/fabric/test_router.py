"""What a packet experiences at a service router."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from controller.act.packets import ScanResult
from controller.model import Idle
from harness.packets import arriving, checksums_hold, inner, label_of, labelled, tcp, udp
from harness.programmed import Make, Programmed
from harness.replicas import signature
from harness.small import B1, B2, CAPACITY, CLIENT_IP, DNS, E1, R1, VIP, WEB, mac, weighted

SPINE_1 = 1
BACKEND_MAC = {B1: "02:00:00:20:00:01", B2: "02:00:00:20:00:02"}


def test_a_connection_is_sent_on_to_a_backend_with_this_routers_mac(router: Programmed) -> None:
    [(_, packet)] = router.device.exchange(SPINE_1, arriving(1000), 1)
    label = label_of(packet)
    assert label in BACKEND_MAC
    frame = Ether(packet)
    assert (frame.src, frame.dst) == (mac("r1"), BACKEND_MAC[label])
    assert (inner(packet).src, inner(packet).dst) == (CLIENT_IP, VIP)
    assert checksums_hold(packet)


def test_backends_share_connections_whatever_the_edges_chose(router: Programmed) -> None:
    labels = Counter(
        label_of(router.device.exchange(SPINE_1, arriving(port), 1)[0][1])
        for port in range(1000, 1000 + CAPACITY - 1)
    )
    assert labels == {B1: 2, B2: 2}


def test_a_backend_that_gets_no_new_connections_keeps_its_old_ones(router: Programmed) -> None:
    [(_, first)] = router.device.exchange(SPINE_1, arriving(1000), 1)
    label = label_of(first) or 0
    other = B1 if label == B2 else B2
    router.weights(weighted(WEB, {other: 100}))
    [(_, later)] = router.device.exchange(SPINE_1, arriving(1000, "A"), 1)
    [(_, new)] = router.device.exchange(SPINE_1, arriving(1001), 1)
    assert (label_of(later), label_of(new)) == (label, other)


def test_beyond_capacity_a_syn_is_answered_with_a_reset(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    [(_, packet)] = router.device.exchange(SPINE_1, arriving(2000), 1)
    reset = inner(packet)
    assert label_of(packet) == E1
    assert (reset.src, reset.dst, reset[TCP].sport, reset[TCP].dport) == (VIP, CLIENT_IP, 80, 2000)
    assert str(reset[TCP].flags) == "RA"
    assert reset[TCP].ack == Ether(tcp(2000))[TCP].seq + 1
    assert len(bytes(packet)) == 14 + 4 + 40
    assert checksums_hold(packet)
    seen = router.counters().services[WEB]
    assert (seen.opened, seen.refused, seen.live) == (CAPACITY, 1, CAPACITY)


def test_the_reset_is_right_for_a_syn_with_options_and_data(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    syn = labelled(R1, tcp(2000, payload=b"fast open" * 20), to="r1")
    [(_, packet)] = router.device.exchange(SPINE_1, syn, 1)
    assert len(packet) == 14 + 4 + 40
    assert checksums_hold(packet)


def test_the_reset_is_right_for_a_syn_with_ip_options(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    syn = IP(src=CLIENT_IP, dst=VIP, options=[b"\x94\x04\x00\x00"]) / TCP(
        sport=2000, dport=80, flags="S", seq=(1 << 32) - 1
    )
    [(_, packet)] = router.device.exchange(SPINE_1, labelled(R1, syn, to="r1"), 1)
    reset = inner(packet)
    assert (reset.ihl, len(packet), str(reset[TCP].flags)) == (5, 14 + 4 + 40, "RA")
    assert (reset[TCP].seq, reset[TCP].ack) == (0, 0)  # the number after 2^32 - 1 is 0
    assert checksums_hold(packet)


def test_a_full_router_still_carries_the_connections_it_has(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    for port in range(1000, 1000 + CAPACITY):
        [(_, packet)] = router.device.exchange(SPINE_1, arriving(port, "PA"), 1)
        assert label_of(packet) in BACKEND_MAC


def test_a_close_makes_room_for_a_new_connection(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    router.device.exchange(SPINE_1, arriving(1002, "FA"), 1)
    [(_, packet)] = router.device.exchange(SPINE_1, arriving(2000), 1)
    assert label_of(packet) in BACKEND_MAC
    seen = router.counters().services[WEB]
    assert (seen.opened, seen.closed, seen.refused) == (CAPACITY + 1, 1, 0)


def test_a_datagram_beyond_capacity_is_dropped_and_counted(router: Programmed) -> None:
    for port in range(1000, 1000 + CAPACITY):
        router.device.exchange(SPINE_1, arriving(port), 1)
    assert router.device.exchange(SPINE_1, labelled(R1, udp(3000), to="r1"), 0) == []
    seen = router.counters()
    assert (seen.services[DNS].refused, seen.drops["refused"]) == (1, 1)


def test_a_packet_of_an_unknown_connection_takes_the_same_way_every_time(
    router: Programmed,
) -> None:
    ways = {
        label_of(router.device.exchange(SPINE_1, arriving(4000, "A"), 1)[0][1]) for _ in range(4)
    }
    assert len(ways) == 1
    seen = router.counters().services[WEB]
    assert (seen.unbound, seen.opened) == (4, 0)


def test_idle_connections_are_expired_by_the_scan(make: Make) -> None:

    with make("r1", idle=Idle(tcp_s=600, udp_s=600, opening_s=0.3, linger_s=0.2)) as router:
        for port in (1000, 1001, 1002):
            router.device.exchange(SPINE_1, arriving(port), 1)
        router.device.exchange(SPINE_1, arriving(1002, "A"), 1)
        time.sleep(0.6)
        result = router.scan()
        assert (result.live, result.expired) == (1, 2)
        seen = router.counters().services[WEB]
        assert (seen.expired, seen.live) == (2, 1)
        assert router.scan().expired == 0


def test_connections_that_talk_during_a_scan_are_kept(make: Make) -> None:
    ports = range(1000, 1000 + CAPACITY)
    with make("r1") as router:
        router.replan(replace(router.plan, index_mask=0xFFFF))
        for port in ports:
            router.device.exchange(SPINE_1, arriving(port), 1)

        async def scan_while_they_talk() -> ScanResult:
            scan = asyncio.ensure_future(router.link.scan(0, 0x10000, timeout_s=30))
            while not scan.done():
                for port in ports:
                    router.device.send(SPINE_1, arriving(port, "A"))
                await asyncio.sleep(0.02)
            return await scan

        result = router.run(scan_while_they_talk())
        router.device.receive(None)
        seen = router.counters().services[WEB]
        assert (result.live, result.expired) == (CAPACITY, 0)
        assert (seen.expired, seen.unbound, seen.live) == (0, 0, CAPACITY)


def test_an_idle_connection_is_expired_once_although_no_backend_can_take_its_place(
    make: Make,
) -> None:
    with make("r1", idle=Idle(tcp_s=600, udp_s=600, opening_s=0.3, linger_s=600)) as router:
        plan = router.plan
        place = signature(1000) & plan.index_mask
        same_place = [p for p in range(1001, 60000) if signature(p) & plan.index_mask == place]
        router.device.exchange(SPINE_1, arriving(1000), 1)
        time.sleep(0.6)
        router.replan(replace(plan, slot_sets=()))
        for port in same_place[:3]:
            assert router.device.exchange(SPINE_1, arriving(port), 0) == []
        router.replan(plan)
        [(_, packet)] = router.device.exchange(SPINE_1, arriving(same_place[3]), 1)
        assert label_of(packet) in BACKEND_MAC
        seen = router.counters().services[WEB]
        assert (seen.opened, seen.expired, seen.refused, seen.live) == (2, 1, 0, 1)
