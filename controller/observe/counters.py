"""Counters of umbra.p4: what to ask a switch for, and what its answer means."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable

import finsy as fy

from controller.model import Fabric, NodeCounters, NodePlan, ServiceCounters, Stage

DROP_REASONS = (
    "malformed",
    "ttl",
    "unroutable",
    "no_target",
    "no_label",
    "refused",
    "arp",
    "reserved",
)
_EVENTS = ("opened", "closed", "expired", "refused", "unbound")


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
    )
