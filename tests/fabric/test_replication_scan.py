"""How a shadow comes to hold what its primary holds: scans that send, and scans that sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from controller.act.packets import Scan, ScanMode
from controller.model import PrimaryRow
from controller.resilience.resync import OWNED
from harness.packets import arriving, label_of
from harness.programmed import Make, Programmed
from harness.replicas import (
    GENERATION,
    NUMBER,
    counted,
    deliver,
    exchange,
    kind_of,
    made,
    others,
    received,
    records,
    replicating,
    said,
    scanned,
    signature,
    table,
)
from harness.small import B1, B2, R1, R2, R3, WEB, weighted
from topologies.layers import ReplicaRecord

SPINE_1, SPINE_2 = 1, 2
OF_R2, OF_R3 = 1 << NUMBER, 1 << NUMBER + 1


@pytest.fixture
def node(make: Make) -> Iterator[Programmed]:
    """r1 without a limit, shadow of r2 and r3, with r2 for a shadow of its own."""
    with make("r1") as switch:
        switch.replan(replace(replicating(switch.plan), capacity=0))
        yield switch


def talk(switch: Programmed, *packets: bytes) -> list[tuple[int, bytes]]:
    """Everything that comes out for these packets, in order."""
    return exchange(switch, SPINE_1, *packets)


def full(switch: Programmed, to: int = R2, origins: int = OWNED) -> list[ReplicaRecord]:
    """A FULL scan for one shadow; the records that came out."""
    result = scanned(switch, ScanMode.FULL, session=to, origins=origins)
    sent = records(switch.device.receive(result.sent))
    assert {label for _, label, _ in sent} <= {to}
    assert result.sent == len(sent)
    return [record for _, _, record in sent]


def newer(switch: Programmed) -> None:
    """A new generation for the replicas of every primary."""
    rows = [replace(row, generation=GENERATION + 1) for row in switch.plan.primaries]
    switch.replan(replace(switch.plan, primaries=tuple(rows)))


def test_the_table_can_be_seen_entry_by_entry(node: Programmed) -> None:
    node.weights(weighted(WEB, {B2: 100}))
    talk(node, arriving(1000), arriving(1000, "A"), arriving(1001), arriving(1000, "PA", b"x" * 50))
    talk(node, arriving(1002), arriving(1002, "A"), arriving(1002, "FA"))
    entries = table(node)
    assert said(entries) == {
        signature(1000): (B2, WEB, "ESTABLISHED", 40 + 40 + 90),
        signature(1001): (B2, WEB, "OPENING", 40),
        signature(1002): (B2, WEB, "CLOSING", 120),
    }
    assert {entry.origin for entry in entries.values()} == {R1}
    assert all((entry.age_ticks or 0) < 600 for entry in entries.values())


def test_a_full_scan_sends_every_owned_connection_once_and_says_how_many(node: Programmed) -> None:
    deliver(node, SPINE_2, *[made("open", 5000 + n, n) for n in range(4)])
    talk(node, *[arriving(1000 + n) for n in range(40)])
    sent = full(node)
    assert {record.signature for record in sent} == {signature(1000 + n) for n in range(40)}
    assert [record.sequence for record in sent] == list(range(40))
    assert {kind_of(record) for record in sent} == {"full"}
    assert counted(node, "records_sent", 1, 5) == [40, 40]


def test_a_scan_does_not_disturb_the_running_numbers(node: Programmed) -> None:
    [(_, _, before)] = records(talk(node, arriving(1000)))
    full(node)
    [(_, _, after)] = records(talk(node, arriving(1001)))
    assert after.sequence == before.sequence + 1


# (origins, connections that are sent, by client port)
ASKED = [
    (OWNED, [1000, 1001]),
    (OF_R2, [2000]),
    (OF_R3, [3000]),
    (OF_R2 | OF_R3, [2000, 3000]),
    (0xFFFF, [1000, 1001, 2000, 3000]),
    (0, []),
]


def test_a_scan_is_about_whose_connections_it_is_asked_for(node: Programmed) -> None:
    deliver(node, SPINE_2, made("open", 2000, 0), made("open", 3000, 0, origin=R3))
    talk(node, arriving(1000), arriving(1001))
    for origins, ports in ASKED:
        sent = full(node, R3, origins)
        assert {record.signature for record in sent} == {signature(port) for port in ports}


def test_connections_that_share_an_index_are_all_sent(node: Programmed) -> None:
    node.replan(replace(node.plan, index_mask=0))  # four entries, all at index 0
    talk(node, *[arriving(1000 + n) for n in range(4)])
    assert {record.signature for record in full(node)} == {signature(1000 + n) for n in range(4)}


def test_pieces_of_a_scan_are_the_whole(node: Programmed) -> None:
    talk(node, *[arriving(1000 + n) for n in range(30)])
    seen: list[int] = []
    for start in range(0, 256, 64):
        scan = Scan(ScanMode.FULL, session=R2, origins=OWNED)
        result = node.run(node.link.scan(start, start + 64, scan))
        sent = records(node.device.receive(result.sent))
        assert len(sent) == result.sent
        seen += [record.signature for _, _, record in sent]
    assert sorted(seen) == sorted(signature(1000 + n) for n in range(30))


def test_a_scan_that_sends_counts_the_living_as_any_other(node: Programmed) -> None:
    talk(node, *[arriving(1000 + n) for n in range(7)])
    talk(node, arriving(1003, "FA"))
    deliver(node, SPINE_2, made("open", 5000, 0))
    for mode, session in ((ScanMode.EXPIRE, 0), (ScanMode.FULL, R2), (ScanMode.GIVE, R2)):
        assert scanned(node, mode, session=session).live == 6
        node.device.receive(None)


def test_what_a_shadow_holds_for_a_primary_is_given_back(node: Programmed) -> None:
    deliver(node, SPINE_2, made("open", 5000, 0), made("progress", 5000, 1, bytes=1 << 17))
    talk(node, arriving(1000))
    result = scanned(node, ScanMode.GIVE, session=R2, origins=OF_R2)
    [(port, label, given)] = records(node.device.receive(1))
    assert (result.sent, port, label, kind_of(given)) == (1, 1, R2, "give")
    assert (given.signature, given.binding, given.bytes) == (signature(5000), B1, 1 << 17)


def life(ports: range) -> list[bytes]:
    """Connections in every state: opening, established with some kilobytes, closed."""
    packets = []
    for number, port in enumerate(ports):
        packets.append(arriving(port))
        if number % 3 != 0:
            packets.append(arriving(port, "A"))
            packets += [arriving(port, "PA", b"x" * 1400)] * (number % 5)
        if number % 3 == 2:
            packets.append(arriving(port, "FA"))
    return packets


def frames(out: list[tuple[int, bytes]]) -> list[bytes]:
    """Records as they are on the wire."""
    return [packet for _, packet in out if ReplicaRecord in Ether(packet)]


@pytest.mark.parametrize("lost_pct", [0, 1, 10, 50])
def test_after_one_scan_the_shadow_holds_what_the_primary_holds(make: Make, lost_pct: int) -> None:
    told: list[bytes] = []
    with make("r1") as primary:
        primary.replan(replace(replicating(primary.plan), capacity=0))
        for start in range(1000, 1120, 20):
            told += frames(talk(primary, *life(range(start, start + 20))))
        result = scanned(primary, ScanMode.FULL, session=R2, origins=OWNED)
        resent = frames(primary.device.receive(result.sent))
        truth = said(table(primary, OWNED))
    assert len(truth) == len(resent) == 120
    every = 100 // lost_pct if lost_pct else len(told) + 1
    kept = [frame for number, frame in enumerate(told, 1) if number % every]
    with make("r2") as shadow:
        plan = replace(shadow.plan, primaries=(PrimaryRow(R1, 1, 7),), replicate=False)
        shadow.replan(replace(replicating(plan), primaries=plan.primaries, replicate=False))
        assert exchange(shadow, SPINE_1, *kept) == []
        before = table(shadow, 1 << 1)
        assert len(before) <= 120
        newer_plan = replace(shadow.plan, primaries=(PrimaryRow(R1, 1, 8),))
        shadow.replan(newer_plan)
        assert exchange(shadow, SPINE_1, *resent) == []
        seen = received(shadow, 1)
        assert seen["full"] == len(resent)
        assert sum(seen.get(name, 0) for name in ("in_sequence", "gap")) == len(kept)
        assert ("gap" in seen) == (lost_pct > 0)
        scanned(shadow, ScanMode.SWEEP, origins=1 << 1, generation=8)
        assert said(table(shadow, 1 << 1)) == truth
        assert table(shadow, OWNED) == {}


def test_a_connection_that_the_primary_no_longer_has_is_swept(node: Programmed) -> None:
    deliver(node, SPINE_2, *[made("open", 5000 + n, n) for n in range(6)])
    newer(node)
    deliver(node, SPINE_2, *[made("full", 5000 + n, n) for n in (1, 4)])
    swept = scanned(node, ScanMode.SWEEP, origins=OF_R2, generation=GENERATION + 1)
    assert swept.sent == 4
    assert table(node).keys() == {signature(5001), signature(5004)}


def test_what_is_told_during_a_resync_is_not_swept(node: Programmed) -> None:
    deliver(node, SPINE_2, made("open", 5000, 0), made("open", 5001, 1))
    newer(node)
    deliver(node, SPINE_2, made("open", 5002, 2), made("state", 5001, 3))
    assert scanned(node, ScanMode.SWEEP, origins=OF_R2, generation=GENERATION + 1).sent == 1
    assert table(node).keys() == {signature(5001), signature(5002)}


def test_a_sweep_touches_neither_other_primaries_replicas_nor_owned_connections(
    node: Programmed,
) -> None:
    deliver(node, SPINE_2, made("open", 2000, 0), made("open", 3000, 0, origin=R3))
    talk(node, arriving(1000), arriving(2001))
    deliver(node, SPINE_2, made("open", 4000, 1))
    talk(node, arriving(4000, "A"))  # adopted
    assert scanned(node, ScanMode.SWEEP, origins=OF_R2 | OWNED, generation=9).sent == 1
    kept = {signature(port) for port in (1000, 2001, 3000, 4000)}
    assert table(node).keys() == kept
    assert scanned(node, ScanMode.EXPIRE).live == 3


def test_a_sweep_of_the_generation_in_force_frees_nothing(node: Programmed) -> None:
    deliver(node, SPINE_2, *[made("open", 5000 + n, n) for n in range(6)])
    assert scanned(node, ScanMode.SWEEP, origins=OF_R2, generation=GENERATION).sent == 0
    assert len(table(node)) == 6


def test_what_is_disowned_is_neither_live_nor_lost(node: Programmed) -> None:
    deliver(node, SPINE_2, made("open", 2000, 0), made("open", 3000, 0, origin=R3))
    talk(node, arriving(1000), arriving(1001), arriving(1001, "A"), arriving(1002))
    talk(node, arriving(1002, "FA"))
    before = said(table(node))
    result = scanned(node, ScanMode.DISOWN, owner=NUMBER + 1)
    assert (result.sent, result.live) == (3, 0)
    assert table(node, OWNED) == {}
    assert table(node, OF_R2).keys() == {signature(2000)}
    of_r3 = {signature(port) for port in (1000, 1001, 1002, 3000)}
    assert table(node, OF_R3).keys() == of_r3
    assert said(table(node)) == before
    assert counted(node, "services_released", WEB) == [2], "the closing one was not live"
    assert scanned(node, ScanMode.EXPIRE).live == 0
    assert scanned(node, ScanMode.DISOWN, owner=NUMBER + 1).sent == 0


def test_a_disowned_connection_that_comes_again_is_adopted(node: Programmed) -> None:
    node.weights(weighted(WEB, {B2: 100}))
    talk(node, arriving(1000), arriving(1000, "A"))
    scanned(node, ScanMode.DISOWN, owner=NUMBER)
    node.weights(weighted(WEB, {B1: 100}))
    out = talk(node, arriving(1000, "PA", b"x"))
    [(_, _, told)] = records(out)
    assert (kind_of(told), told.binding) == ("adopt", B2)
    assert [label_of(packet) for _, packet in others(out)] == [B2]
    assert scanned(node, ScanMode.EXPIRE).live == 1


def test_a_disowned_connection_is_owned_again_when_it_is_given_back(node: Programmed) -> None:
    talk(node, arriving(1000), arriving(1001))
    scanned(node, ScanMode.DISOWN, owner=NUMBER)
    deliver(node, SPINE_2, made("give", 1000, 0, age=1), made("full", 1001, 1, age=0))
    assert table(node, OWNED).keys() == {signature(1000)}
    assert table(node, OF_R2).keys() == {signature(1001)}
    assert scanned(node, ScanMode.EXPIRE).live == 1


def test_records_of_a_scan_are_labelled_datagrams_like_all_others(node: Programmed) -> None:
    talk(node, arriving(1000))
    scanned(node, ScanMode.FULL, session=R3, origins=OWNED)
    [(port, packet)] = node.device.receive(1)
    frame = Ether(packet)
    assert (port, label_of(packet), len(packet)) == (2, R3, 46 + 22)
    assert (frame[UDP].len, frame[UDP].dport) == (8 + 22, 50100)
