"""Replica records for tests: what a router's plan needs to send and take them, and what comes out of a switch."""

from __future__ import annotations

import itertools
import select
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import finsy as fy
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload

from controller.act.packets import Scan, ScanMode, ScanResult
from controller.act.records import Connection, Record
from controller.model import NodePlan, PrimaryRow, SessionRow
from harness.packets import label_of
from harness.programmed import Programmed
from harness.small import B1, CLIENT_IP, R1, R2, R3, R4, VIP, WEB
from topologies.layers import ReplicaRecord, record_frame
from topologies.single import MTU, QUIET_S

NUMBER = 3  # of primary r2 in r1
GENERATION = 5
SHADOWS_SESSION, CPU_SESSION, CPU_PORT = 1, 2, 510

EVENTS = ("in_sequence", "gap", "late", "unknown", "no_place", "full", "conflict", "damaged")


def replicating(
    plan: NodePlan,
    shadows: Mapping[int, int] | None = None,
    *,
    trusted: tuple[int, ...] = (1, 2),
    generation: int = GENERATION,
    refresh_s: float = 3600.0,
) -> NodePlan:
    """The plan, and: records go to `shadows` (label → port, by default r2 through port 1), come from r2, r3 and r4."""
    shadows = {R2: 1} if shadows is None else shadows
    peers = {R2: 1, R3: 2, R4: 2} | dict(shadows)
    return replace(
        plan,
        trusted_ports=trusted,
        primaries=(
            PrimaryRow(R2, NUMBER, generation),
            PrimaryRow(R3, NUMBER + 1, generation),
            PrimaryRow(R4, 15, 15),
        ),
        sessions=(
            SessionRow(SHADOWS_SESSION, tuple((port, label) for label, port in shadows.items())),
            SessionRow(CPU_SESSION, ((CPU_PORT, 0),)),
            *(SessionRow(label, ((port, label),)) for label, port in peers.items()),
        ),
        replicate=True,
        refresh_s=refresh_s,
    )


def signature(
    client_port: int,
    *,
    client: str = CLIENT_IP,
    address: str = VIP,
    protocol: int = 6,
    service_port: int = 80,
) -> int:
    """What a connection is known by."""
    return Connection(client, address, protocol, client_port, service_port).signature


def made(kind: str, sport: int, sequence: int, /, **fields: Any) -> ReplicaRecord:
    """A record as r2 would send it about the client's connection with the web service."""
    known: dict[str, Any] = {
        "kind": kind,
        "sequence": sequence,
        "origin": R2,
        "service": WEB,
        "signature": signature(sport),
        "state": {"open": "opening", "close": "closing"}.get(kind, "established"),
    }
    if kind in ("open", "full", "give", "adopt"):
        known["binding"] = B1
    if kind == "open":
        known |= {
            "client": CLIENT_IP,
            "address": VIP,
            "client_port": sport,
            "service_port": 80,
        }
    return ReplicaRecord(**(known | fields))


def wire(record: ReplicaRecord, to: int = R1) -> bytes:
    """As it arrives on a port."""
    return bytes(record_frame(record, to))


_MARKS = itertools.count(1)
_PATIENCE_S = 10.0
_BURST = 32


def pass_through(switch: Programmed, port: int, *packets: bytes) -> list[tuple[int, bytes]]:
    """What has come out by the time that a mark does, which is sent after these packets. What other ports still
    hold comes out later, in order.
    """
    mark = b"mark %08d" % next(_MARKS)
    routed = IP(src="192.0.2.1", dst=CLIENT_IP) / UDP(sport=9, dport=9) / mark
    for packet in (*packets, bytes(Ether(src="02:00:00:00:99:01", dst=switch.plan.mac) / routed)):
        switch.device.send(port, packet)
    ends = {sock: way for way, sock in switch.device.sockets.items()}
    out: list[tuple[int, bytes]] = []
    marked = False
    while not marked:
        ready, _, _ = select.select(list(ends), [], [], _PATIENCE_S)
        assert ready, "the switch does not answer"
        came = [(ends[sock], sock.recv(MTU + 100)) for sock in ready]
        out += [(way, packet) for way, packet in came if mark not in packet]
        marked = any(mark in packet for _, packet in came)
    return out


def exchange(
    switch: Programmed, port: int, *packets: bytes, least: int = 0
) -> list[tuple[int, bytes]]:
    """Everything that comes out for these packets. They go in a few at a time: of a burst some may be lost.

    What other ports still hold when the mark is out (BMv2 has a thread for each) is waited for: until `least` packets
    that are no records have come, and then as long as the switch has shown that it may take.
    """
    out: list[tuple[int, bytes]] = []
    took_s = 0.0
    for start in range(0, max(1, len(packets)), _BURST):
        begun_s = time.monotonic()
        out += pass_through(switch, port, *packets[start : start + _BURST])
        took_s = max(took_s, time.monotonic() - begun_s)
    quiet_s = max(QUIET_S, 5.0 * took_s)
    out += switch.device.receive(0, quiet_s=quiet_s)
    deadline_s = time.monotonic() + _PATIENCE_S
    while len(others(out)) < least and time.monotonic() < deadline_s:
        out += switch.device.receive(1, quiet_s=quiet_s)
    return out


def deliver(switch: Programmed, port: int, *told: ReplicaRecord, to: int = R1) -> None:
    """Hand records to a switch; nothing comes out for them."""
    out = pass_through(switch, port, *[wire(record, to) for record in told])
    assert out == [], "a record leads to no packet"


def records(out: Iterable[tuple[int, bytes]]) -> list[tuple[int, int | None, ReplicaRecord]]:
    """(port, label, record) of each replica record that came out of a switch, in order."""
    found = []
    for port, packet in out:
        record = Ether(packet).getlayer(ReplicaRecord)
        if isinstance(record, ReplicaRecord):
            assert isinstance(record.payload, NoPayload), "bytes after the record"
            found.append((port, label_of(packet), record))
    return found


def others(out: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """What came out and is no replica record."""
    return [(port, packet) for port, packet in out if ReplicaRecord not in Ether(packet)]


def kind_of(record: ReplicaRecord) -> str:
    """The name of a record's kind."""
    return str(record.sprintf("%ReplicaRecord.kind%"))


def state_of(record: ReplicaRecord) -> str:
    """The name of a record's state."""
    return str(record.sprintf("%ReplicaRecord.state%"))


def counted(switch: Programmed, name: str, *indices: int) -> list[int]:
    """Packets of an indexed counter."""
    asked = [fy.P4CounterEntry(name, index=index) for index in indices]
    found = {entry.index: entry.packet_count for entry in switch.run(switch.link.read(asked))}
    return [found[index] for index in indices]


def received(switch: Programmed, number: int = NUMBER) -> dict[str, int]:
    """What became of the records of a primary; events that never happened are left out."""
    counts = counted(switch, "records_received", *range(number * 8, number * 8 + 8))
    return {name: count for name, count in zip(EVENTS, counts, strict=True) if count}


def dropped(switch: Programmed) -> dict[str, int]:
    """Drops by reason, without those that never happened."""
    return {reason: count for reason, count in switch.counters().drops.items() if count}


def scanned(
    switch: Programmed,
    mode: ScanMode,
    *,
    session: int = 0,
    origins: int = 0xFFFF,
    generation: int = 0,
    owner: int = 0,
    stop: int | None = None,
) -> ScanResult:
    """One scan of the whole table."""
    size = switch.plan.index_mask + 1 if stop is None else stop
    scan = Scan(mode, session, origins, generation, owner)
    return switch.run(switch.link.scan(0, size, scan, timeout_s=10.0))


def table(switch: Programmed, origins: int = 0xFFFF) -> dict[int, Record]:
    """The connection table as the switch shows it: signature → entry.

    `origins`: owned connections (1), replicas of number n (1 << n).
    """
    found: list[Record] = []
    size = switch.plan.index_mask + 1
    scan = Scan(ScanMode.FULL, session=CPU_SESSION, origins=origins)
    result = switch.run(switch.link.scan(0, size, scan, records=found, timeout_s=10.0))
    entries = {record.signature: record for record in found}
    assert len(found) == len(entries) == result.sent, "each connection is told once"
    return entries


def said(entries: Mapping[int, Record]) -> dict[int, tuple[int | None, int, str, int | None]]:
    """What must be the same at a primary and its shadow: (binding, service, state, bytes) of each connection."""
    return {
        key: (entry.binding, entry.service, entry.state.name, entry.size_bytes)
        for key, entry in entries.items()
    }
