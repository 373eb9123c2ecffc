"""NodePlan → P4Runtime entities of umbra.p4, in the order in which they must be made."""

from __future__ import annotations

from collections.abc import Iterator

import finsy as fy

from controller.model import NodePlan, SlotSet

TICK_S = 65536e-6  # the data plane's unit of time
ARP_REQUEST = 1
DIGEST = "connection_t"

# Make before break: what is referred to comes before what refers to it; deleted in the reverse order.
TABLE_ORDER = (
    "node",
    "arp",
    "labels",
    "routes",
    "binding_targets",
    "slots",
    "redirects",
    "origins",
    "services",
)


def ticks(seconds: float) -> int:
    """Seconds in ticks: at least one, at most half the 24-bit clock (beyond, an age would count as young)."""
    return max(1, min(0x7FFFFE, round(seconds / TICK_S)))


def slot_set_entry(slot_set: SlotSet) -> fy.P4TableEntry:
    """The one-shot action set of a slot set: 100 members of weight 1, in order."""
    return fy.P4TableEntry(
        "slots",
        match=fy.Match(slot_set=slot_set.id),
        action=fy.IndirectAction(
            [(1, fy.Action("bind", target=label)) for label in slot_set.slots]
        ),
    )


def node_entry(plan: NodePlan) -> fy.P4TableEntry:
    """The default entry of table `node`: who this switch is."""
    return fy.P4TableEntry(
        "node",
        is_default_action=True,
        action=fy.Action(
            "configure",
            mac=plan.mac,
            label=plan.label,
            index_mask=plan.index_mask,
            capacity=plan.capacity,
            established_idle=ticks(plan.idle.tcp_s),
            datagram_idle=ticks(plan.idle.udp_s),
            opening_idle=ticks(plan.idle.opening_s),
            linger=ticks(plan.idle.linger_s),
            sample_mask=plan.sample_one_in - 1,
        ),
    )


def entries(plan: NodePlan) -> Iterator[fy.P4TableEntry]:
    """All entries of a switch, in `TABLE_ORDER` (without the default entry of `node`)."""
    for arp in plan.arp:
        yield fy.P4TableEntry(
            "arp",
            match=fy.Match(operation=ARP_REQUEST, address=arp.address),
            action=fy.Action("arp_reply", mac=arp.mac),
        )
    for row in plan.labels:
        action = "pop_forward" if row.pop else "forward"
        yield fy.P4TableEntry(
            "labels",
            match=fy.Match(label=row.label),
            action=fy.IndirectAction([(1, fy.Action(action, port=port)) for port in row.ports]),
        )
    for deliver in plan.delivers:
        yield fy.P4TableEntry(
            "routes",
            match=fy.Match(prefix=deliver.prefix),
            action=fy.Action("deliver", port=deliver.port, mac=deliver.mac),
        )
    for tunnel in plan.tunnels:
        yield fy.P4TableEntry(
            "routes",
            match=fy.Match(prefix=tunnel.prefix),
            action=fy.Action("tunnel", label=tunnel.label, mac=tunnel.mac),
        )
    for target in plan.targets:
        yield fy.P4TableEntry(
            "binding_targets",
            match=fy.Match(binding=target.binding),
            action=fy.Action("steer", label=target.label, mac=target.mac),
        )
    for slot_set in plan.slot_sets:
        yield slot_set_entry(slot_set)
    for origin in plan.origins:
        yield fy.P4TableEntry(
            "origins",
            match=fy.Match(address=origin.address, protocol=origin.protocol, port=origin.port),
            action=fy.Action("set_origin", service=origin.service),
        )
    for service in plan.services:
        yield fy.P4TableEntry(
            "services",
            match=fy.Match(address=service.address, protocol=service.protocol, port=service.port),
            action=fy.Action("set_service", service=service.service, slot_set=service.slot_set),
        )
