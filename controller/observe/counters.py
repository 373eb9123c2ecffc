"""Counters of umbra.p4: what to ask a switch for, and what its answer means."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable

import finsy as fy

from controller.model import (
    Fabric,
    NodeCounters,
    NodePlan,
    RecordEvent,
    ReplicationCounters,
    ServiceCounters,
    Stage,
)

DROP_REASONS = (
    "malformed",
    "ttl",
    "unroutable",
    "no_target",
    "no_label",
    "refused",
    "arp",
    "untrusted",
    "stranger",
)
_EVENTS = ("opened", "closed", "expired", "refused", "unbound", "adopted", "released")
_KINDS = range(1, 8)  # of replica records
_OUTCOMES = len(RecordEvent)


def ports_of(fabric: Fabric, node: str) -> tuple[int, ...]:
    """Ports of a switch that something is connected to, ascending."""
    ports = {end.number for link in fabric.links for end in (link.a, link.b) if end.switch == node}
    ports |= {host.port.number for host in fabric.hosts if host.port.switch == node}
    return tuple(sorted(ports))


CounterEntry = fy.P4CounterEntry | fy.P4DirectCounterEntry


def requests(fabric: Fabric, plan: NodePlan) -> list[CounterEntry]:
    """What to read from one switch, in one request."""
    asked: list[CounterEntry] = []
    for port in ports_of(fabric, plan.node):
        asked.append(fy.P4CounterEntry("ports_in", index=port))
        asked.append(fy.P4CounterEntry("ports_out", index=port))
    for index in range(len(DROP_REASONS)):
        asked.append(fy.P4CounterEntry("drops", index=index))
    for row in plan.services:
        asked += [fy.P4CounterEntry(f"services_{event}", index=row.service) for event in _EVENTS]
    asked += [fy.P4CounterEntry("bindings_opened", index=row.binding) for row in plan.targets]
    if fabric.switch(plan.node).stage is not Stage.SPINE:
        asked.append(fy.P4DirectCounterEntry("service_traffic"))
        asked.append(fy.P4DirectCounterEntry("chosen"))
    return asked + replication_requests(plan)


def opened_requests(plan: NodePlan) -> list[CounterEntry]:
    """New connections of every service, and nothing else."""
    return [fy.P4CounterEntry("services_opened", index=row.service) for row in plan.services]


def redirected_requests() -> list[CounterEntry]:
    """New connections by row of the table `redirects`."""
    return [fy.P4DirectCounterEntry("redirected")]


def redirected(answer: Iterable[CounterEntry]) -> dict[tuple[int, str], int]:
    """The answer to `redirected_requests`: (service, source prefix) → new connections since the row was made."""
    found: dict[tuple[int, str], int] = {}
    for entry in answer:
        if not isinstance(entry, fy.P4DirectCounterEntry) or entry.table_entry is None:
            continue
        match = entry.table_entry.match
        if match:
            # P4Runtime leaves a prefix of length 0 out.
            number, length = match.get("client", (0, 0))
            prefix = f"{ipaddress.IPv4Address(number)}/{length}"
            found[int(match["service"]), prefix] = entry.packet_count
    return found


def replication_requests(plan: NodePlan, *, whole: bool = False) -> list[CounterEntry]:
    """What to read of replica records: those sent, and those of each primary.

    `whole`: also what `requests` asks for among other things, and records sent without shadows (by a scan).
    """
    asked: list[CounterEntry] = []
    if whole:
        asked += [
            fy.P4CounterEntry(name, index=row.service)
            for row in plan.services
            for name in ("services_adopted", "services_released")
        ]
    if plan.replicate or plan.primaries or whole:
        asked += [fy.P4CounterEntry("records_sent", index=kind) for kind in _KINDS]
    asked += [
        fy.P4CounterEntry("records_received", index=row.number * _OUTCOMES + event)
        for row in plan.primaries
        for event in RecordEvent
    ]
    return asked


def counters(
    node: str,
    time_s: float,
    plan: NodePlan,
    answer: Iterable[CounterEntry],
) -> NodeCounters:
    """The answer to `requests` as one value."""
    events: dict[int, dict[str, int]] = defaultdict(dict)
    bindings: dict[int, int] = {}
    chosen: dict[int, int] = {}
    ports_in: dict[int, tuple[int, int]] = {}
    ports_out: dict[int, tuple[int, int]] = {}
    drops: dict[str, int] = {}
    sent: dict[int, int] = {}
    received: dict[int, list[int]] = defaultdict(lambda: [0] * _OUTCOMES)
    service_of = {
        (int(ipaddress.ip_address(row.address)), row.protocol, row.port): row.service
        for row in plan.services
    }
    for entry in answer:
        packets, size = entry.packet_count, entry.byte_count
        if isinstance(entry, fy.P4DirectCounterEntry):
            match = entry.table_entry.match if entry.table_entry else None
            if not match:
                continue
            if entry.counter_id == "chosen":
                chosen[match["slot_set"]] = packets
            else:
                key = (
                    int(match["address"]),
                    int(match["protocol"]),
                    int(match["port"]),
                )
                if key in service_of:
                    events[service_of[key]] |= {"packets": packets, "bytes": size}
            continue
        index = entry.index
        if index is None:
            continue
        match entry.counter_id:
            case "ports_in":
                ports_in[index] = (packets, size)
            case "ports_out":
                ports_out[index] = (packets, size)
            case "drops":
                drops[DROP_REASONS[index]] = packets
            case "bindings_opened":
                bindings[index] = packets
            case "records_sent":
                sent[index] = packets
            case "records_received":
                received[index // _OUTCOMES][index % _OUTCOMES] = packets
            case name:
                events[index][name.removeprefix("services_")] = packets
    return NodeCounters(
        node=node,
        time_s=time_s,
        services={service: ServiceCounters(**values) for service, values in events.items()},
        bindings_opened=bindings,
        slot_sets_chosen=chosen,
        ports_in=ports_in,
        ports_out=ports_out,
        drops=drops,
        replication=ReplicationCounters(
            sent=sent,
            received={number: tuple(counts) for number, counts in received.items()},
            adopted={service: values.get("adopted", 0) for service, values in events.items()},
            released={service: values.get("released", 0) for service, values in events.items()},
        ),
    )
