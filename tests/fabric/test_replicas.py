"""What a connection experiences at a shadow of its router, before and after it has to go there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from harness.packets import arriving, inner, label_of, labelled, tcp, udp
from harness.programmed import Make, Programmed
from harness.replicas import (
    counted,
    deliver,
    exchange,
    kind_of,
    made,
    others,
    received,
    records,
    replicating,
    signature,
    state_of,
    wire,
)
from harness.small import B1, B2, CAPACITY, CLIENT_IP, DNS, E1, R1, R2, R3, VIP, WEB, weighted
from topologies.layers import ReplicaRecord

SPINE_1, SPINE_2 = 1, 2


@pytest.fixture
def shadow(make: Make) -> Iterator[Programmed]:
    """r1 as a shadow of r2, with r3 for a shadow of its own. Its new connections go to b2 only."""
    with make("r1") as node:
        node.replan(replicating(node.plan, {R3: 2}))
        node.weights(weighted(WEB, {B2: 100}), weighted(DNS, {B2: 100}))
        yield node


def sent_on(switch: Programmed, packet: bytes) -> tuple[int | None, list[ReplicaRecord]]:
    """(the backend's label, records) that a packet leads to."""
    out = exchange(switch, SPINE_2, packet, least=1)
    [(_, forwarded)] = others(out)
    return label_of(forwarded), [record for _, _, record in records(out)]


def live(switch: Programmed) -> int:
    """Connections that the switch counts as its own: found by a scan."""
    return switch.scan().live


def test_a_connection_that_comes_to_a_shadow_keeps_its_backend(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("state", 1000, 1))
    backend, _ = sent_on(shadow, arriving(1000, "PA", b"go on"))
    unknown, _ = sent_on(shadow, arriving(1001, "PA", b"who is this"))
    assert (backend, unknown) == (B1, B2)


def test_a_record_itself_goes_nowhere(shadow: Programmed) -> None:
    for number, kind in enumerate(("open", "state", "progress", "close", "full", "adopt", "give")):
        assert exchange(shadow, SPINE_1, wire(made(kind, 1000, number))) == []


def test_the_first_packet_adopts_the_connection_and_tells_the_shadows_own_shadows(
    shadow: Programmed,
) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("state", 1000, 1))
    assert counted(shadow, "services_adopted", WEB) == [0]
    _, [adopted] = sent_on(shadow, arriving(1000, "A"))
    assert (kind_of(adopted), state_of(adopted)) == ("adopt", "established")
    assert (adopted.origin, adopted.signature, adopted.binding) == (R1, signature(1000), B1)
    assert (adopted.service, adopted.bytes, len(bytes(adopted))) == (WEB, 40, 19)
    assert counted(shadow, "services_adopted", WEB) == [1]
    _, more = sent_on(shadow, arriving(1000, "A"))
    assert more == []
    assert counted(shadow, "services_adopted", WEB) == [1]


def test_an_adopted_connection_goes_on_counting_its_bytes(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("progress", 1000, 1, bytes=0x30000))
    _, [adopted] = sent_on(shadow, arriving(1000, "PA", b"x" * 60))
    assert adopted.bytes == 0x30000 + 100
    _, [closed] = sent_on(shadow, arriving(1000, "FA"))
    assert (kind_of(closed), closed.bytes) == ("close", 0x30000 + 140)


def test_a_syn_that_comes_again_at_the_shadow_is_the_same_connection(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0))
    backend, [adopted] = sent_on(shadow, arriving(1000, "S"))
    assert (backend, kind_of(adopted), state_of(adopted)) == (B1, "adopt", "opening")
    assert shadow.counters().services[WEB].opened == 0


def test_a_connection_that_ends_at_the_shadow_is_closed_there(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("state", 1000, 1))
    backend, told = sent_on(shadow, arriving(1000, "FA"))
    assert backend == B1
    assert state_of(told[-1]) == "closing"
    assert live(shadow) == 0
    assert sent_on(shadow, arriving(1000, "A"))[0] == B1  # the last packets


def test_a_syn_after_the_end_is_a_new_connection(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("state", 1000, 1), made("close", 1000, 2))
    backend, [opened] = sent_on(shadow, arriving(1000, "S"))
    assert (backend, kind_of(opened)) == (B2, "open")
    seen = shadow.counters().services[WEB]
    assert (seen.opened, seen.closed, live(shadow)) == (1, 0, 1)


def test_the_last_packets_of_a_connection_that_closed_reach_its_backend(
    shadow: Programmed,
) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("state", 1000, 1), made("close", 1000, 2))
    backend, _ = sent_on(shadow, arriving(1000, "A"))
    assert backend == B1
    assert live(shadow) == 0


def test_a_datagrams_connection_is_adopted_too(shadow: Programmed) -> None:
    mark = signature(3000, protocol=17, service_port=53)
    deliver(
        shadow,
        SPINE_1,
        made(
            "open",
            3000,
            0,
            state="datagram",
            service=DNS,
            signature=mark,
            protocol=17,
            service_port=53,
        ),
    )
    backend, [adopted] = sent_on(shadow, labelled(R1, udp(3000), to="r1"))
    assert (backend, kind_of(adopted), state_of(adopted)) == (B1, "adopt", "datagram")
    assert counted(shadow, "services_adopted", DNS) == [1]


def test_replicas_take_no_capacity_until_they_are_adopted(shadow: Programmed) -> None:
    for number in range(3 * CAPACITY):
        deliver(shadow, SPINE_1, made("open", 2000 + number, number))
    assert live(shadow) == 0
    for port in range(1000, 1000 + CAPACITY - 1):
        assert sent_on(shadow, arriving(port, "S"))[0] == B2
    sent_on(shadow, arriving(2000, "A"))  # adopted: now it is full
    out = others(exchange(shadow, SPINE_2, arriving(1100, "S"), least=1))
    assert [label_of(packet) for _, packet in out] == [E1]  # a reset
    assert live(shadow) == CAPACITY


def test_connections_are_adopted_beyond_capacity_all_the_same(shadow: Programmed) -> None:
    for number in range(3):
        deliver(shadow, SPINE_1, made("open", 2000 + number, number))
    for port in range(1000, 1000 + CAPACITY):
        sent_on(shadow, arriving(port, "S"))
    for number in range(3):
        assert sent_on(shadow, arriving(2000 + number, "A"))[0] == B1
    assert live(shadow) == CAPACITY + 3
    assert shadow.counters().services[WEB].refused == 0


def test_a_connection_moves_back_when_its_router_adopts_it_again(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0))
    sent_on(shadow, arriving(1000, "A"))
    assert live(shadow) == 1
    deliver(shadow, SPINE_1, made("adopt", 1000, 1, bytes=5000))
    assert live(shadow) == 0
    assert counted(shadow, "services_released", WEB) == [1]
    backend, [adopted] = sent_on(shadow, arriving(1000, "A"))
    assert (backend, kind_of(adopted), adopted.bytes) == (B1, "adopt", 5040)
    assert counted(shadow, "services_adopted", WEB) == [2]


def test_a_closed_connection_that_another_adopts_is_not_counted_twice(shadow: Programmed) -> None:
    sent_on(shadow, arriving(1000, "S"))
    sent_on(shadow, arriving(1000, "FA"))
    deliver(shadow, SPINE_1, made("adopt", 1000, 0, state="closing"))
    assert counted(shadow, "services_released", WEB) == [0]
    assert live(shadow) == 0


def test_an_owned_connection_is_not_given_up_for_older_information(shadow: Programmed) -> None:
    sent_on(shadow, arriving(1000, "S"))
    sent_on(shadow, arriving(1000, "A"))
    deliver(shadow, SPINE_1, made("full", 1000, 0, binding=B1, age=0x7000, bytes=9))
    assert received(shadow) == {"full": 1, "conflict": 1}
    backend, told = sent_on(shadow, arriving(1000, "A"))
    assert (backend, told) == (B2, [])
    assert live(shadow) == 1
    assert counted(shadow, "services_released", WEB) == [0]


def test_an_old_syn_out_of_a_hung_routers_queue_moves_no_connection(shadow: Programmed) -> None:
    sent_on(shadow, arriving(1000, "S"))
    sent_on(shadow, arriving(1000, "A"))
    time.sleep(0.4)  # several ticks: the record is younger than what is known
    deliver(shadow, SPINE_1, made("open", 1000, 0, binding=B1))
    assert received(shadow) == {"in_sequence": 1, "conflict": 1}
    backend, told = sent_on(shadow, arriving(1000, "A"))
    assert (backend, told) == (B2, [])
    assert live(shadow) == 1


def test_an_owned_connection_is_given_up_for_fresher_information(make: Make) -> None:
    with make("r1") as node:
        node.replan(replicating(node.plan, {R3: 2}))
        sent_on(node, arriving(1000, "S"))
        time.sleep(0.4)  # several ticks
        deliver(node, SPINE_1, made("full", 1000, 0, age=1, bytes=9))
        assert counted(node, "services_released", WEB) == [1]
        assert live(node) == 0


def test_what_is_given_is_owned_and_counted_at_once(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("give", 1000, 0, bytes=700, age=2))
    assert received(shadow) == {"full": 1}
    assert (live(shadow), counted(shadow, "services_adopted", WEB)) == (1, [1])
    backend, told = sent_on(shadow, arriving(1000, "A"))
    assert (backend, told) == (B1, [])
    _, [closed] = sent_on(shadow, arriving(1000, "FA"))
    assert closed.bytes == 780


def test_what_is_given_twice_is_counted_once(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, *[made("give", 1000, number) for number in range(3)])
    assert (live(shadow), counted(shadow, "services_adopted", WEB)) == (1, [1])


def test_a_replica_that_is_given_becomes_owned(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("open", 1000, 0), made("give", 1000, 0))
    assert live(shadow) == 1
    _, told = sent_on(shadow, arriving(1000, "A"))
    assert told == []


def test_a_closed_connection_that_is_given_is_not_counted_as_live(shadow: Programmed) -> None:
    deliver(shadow, SPINE_1, made("give", 1000, 0, state="closing"))
    assert live(shadow) == 0
    assert sent_on(shadow, arriving(1000, "A"))[0] == B1
    assert live(shadow) == 0


def test_an_edge_sends_another_edges_client_to_the_same_router(make: Make) -> None:
    with make("e1") as edge:
        edge.replan(replicating(edge.plan))
        edge.weights(weighted(WEB, {R2: 100}))
        deliver(edge, 1, made("open", 7000, 0, binding=R1), made("state", 7000, 1), to=E1)
        out = exchange(edge, 3, tcp(7000, "A"))
        [(_, packet)] = others(out)
        assert label_of(packet) == R1
        assert (inner(packet).src, inner(packet).dst) == (CLIENT_IP, VIP)
        assert [kind_of(record) for _, _, record in records(out)] == ["adopt"]


def test_a_switch_without_shadows_of_its_own_adopts_in_silence(make: Make) -> None:
    with make("r1") as node:
        node.replan(replace(replicating(node.plan), replicate=False))
        deliver(node, SPINE_1, made("open", 1000, 0))
        assert sent_on(node, arriving(1000, "A"))[1] == []
        assert counted(node, "services_adopted", WEB) == [1]
