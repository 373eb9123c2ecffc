"""NodePlan → P4Runtime entities of umbra.p4, in the order in which they must be made."""

from __future__ import annotations

import math
from collections.abc import Iterator

import finsy as fy

from controller.model import NodePlan, RedirectRow, SlotSet, TargetRow

TICK_S = 65536e-6  # the data plane's unit of time
ARP_REQUEST = 1
DIGEST = "connection_t"

# Make before break: what is referred to comes before what refers to it; deleted in the reverse order.
TABLE_ORDER = (
    "node",
    "trusted_ports",
    "primaries",
    "arp",
    "labels",
    "routes",
    "nat_inside",
    "nat_out",
    "nat_in",
    "binding_targets",
    "slots",
    "redirects",
    "origins",
    "services",
)


def ticks(seconds: float) -> int:
    """Seconds in ticks: at least one, at most a quarter of the 24-bit clock.

    Replicas wait twice as long, and an age beyond half the clock would count as young.
    """
    return max(1, min(0x3FFFFE, round(seconds / TICK_S)))


def refresh_mask(seconds: float) -> int:
    """Ones above the bits of the refresh period, which is the power of two ticks that is nearest to `seconds`."""
    bits = max(0, min(22, round(math.log2(max(seconds, TICK_S) / TICK_S))))
    return 0xFFFFFF & -(1 << bits)


def slot_set_entry(slot_set: SlotSet) -> fy.P4TableEntry:
    """The one-shot action set of a slot set: 100 members of weight 1, in order."""
    return fy.P4TableEntry(
        "slots",
        match=fy.Match(slot_set=slot_set.id),
        action=fy.IndirectAction(
            [(1, fy.Action("bind", target=label)) for label in slot_set.slots]
        ),
    )


def target_entry(target: TargetRow) -> fy.P4TableEntry:
    """What a binding means: a one-shot set with a member for each place that it may lead to."""
    return fy.P4TableEntry(
        "binding_targets",
        match=fy.Match(binding=target.binding),
        action=fy.IndirectAction(
            [(1, fy.Action("steer", label=hop.label, mac=hop.mac)) for hop in target.hops]
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
            refresh_mask=refresh_mask(plan.refresh_s),
            replicate=int(plan.replicate),
            translate=int(bool(plan.nat)),
        ),
    )


def _nat_entries(plan: NodePlan) -> Iterator[fy.P4TableEntry]:
    for prefix in plan.nat_inside:
        yield fy.P4TableEntry(
            "nat_inside", match=fy.Match(prefix=prefix), action=fy.Action("inside")
        )
    for row in plan.nat:
        yield fy.P4TableEntry(
            "nat_out",
            match=fy.Match(internal=row.internal),
            action=fy.Action("to_external", address=row.external),
        )
    for row in plan.nat:
        yield fy.P4TableEntry(
            "nat_in",
            match=fy.Match(external=row.external),
            action=fy.Action("to_internal", address=row.internal),
        )


def redirect_entry(row: RedirectRow) -> fy.P4TableEntry:
    """Another slot set for new connections from a prefix. P4Runtime has no field for a prefix of length 0."""
    match = fy.Match(service=row.service)
    if not row.prefix.endswith("/0"):
        match["client"] = row.prefix
    action = (
        fy.Action("keep_slot_set")
        if row.slot_set is None
        else fy.Action("use_slot_set", slot_set=row.slot_set)
    )
    return fy.P4TableEntry("redirects", match=match, action=action)


def entries(plan: NodePlan) -> Iterator[fy.P4TableEntry]:
    """All entries of a switch, in `TABLE_ORDER` (without the default entry of `node`)."""
    for port in plan.trusted_ports:
        yield fy.P4TableEntry("trusted_ports", match=fy.Match(port=port), action=fy.Action("trust"))
    for primary in plan.primaries:
        yield fy.P4TableEntry(
            "primaries",
            match=fy.Match(origin=primary.origin),
            action=fy.Action("accept_from", number=primary.number, generation=primary.generation),
        )
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
    yield from _nat_entries(plan)
    for target in plan.targets:
        yield target_entry(target)
    for slot_set in plan.slot_sets:
        yield slot_set_entry(slot_set)
    for redirect in plan.redirects:
        yield redirect_entry(redirect)
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
