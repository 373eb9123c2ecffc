"""Fabric and shares → the desired contents of every switch's tables. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from controller.model import (
    ArpRow,
    DeliverRow,
    Fabric,
    FabricPlan,
    Idle,
    LabelRow,
    NodePlan,
    Service,
    ServiceRow,
    SlotSet,
    Stage,
    Switch,
    TargetRow,
    TunnelRow,
)
from controller.plan.paths import next_hops
from controller.plan.slots import slots

PROTOCOLS = {"tcp": 6, "udp": 17}

Shares = Mapping[tuple[str, int], Mapping[int, float]]  # (edge, service id) → label → percent
SlotsInForce = Mapping[tuple[str, int], Sequence[int]]  # (switch, slot set) → 100 labels


def slot_set_id(service: Service) -> int:
    """Number of a service's primary slot set; the fifteen after it are for redirects."""
    return service.id * 16


def gateway(switch: Switch) -> str | None:
    """The address that hosts on this switch use as their gateway: the first of the subnet."""
    if switch.subnet is None:
        return None
    return str(ipaddress.ip_network(switch.subnet)[1])


def base_shares(fabric: Fabric) -> dict[tuple[str, int], dict[int, float]]:
    """Shares without any shift: every edge spreads a service equally over its primary routers."""
    label = {switch.name: switch.label for switch in fabric.switches}
    return {
        (edge.name, service.id): {
            label[router]: 100 / len(service.routers) for router in service.routers
        }
        for edge in fabric.stage(Stage.EDGE)
        for service in fabric.services
    }


def fabric_plan(
    fabric: Fabric,
    *,
    idle: Idle,
    sample_one_in: int = 1,
    shares: Shares | None = None,
    in_force: SlotsInForce | None = None,
) -> FabricPlan:
    """The desired state. `shares` default to `base_shares`; `in_force` keeps slots where they are."""
    wanted = {**base_shares(fabric), **(shares or {})}
    hops = next_hops(fabric)
    return FabricPlan(
        tuple(
            _node(
                fabric,
                switch,
                hops[switch.name],
                idle,
                sample_one_in,
                wanted,
                in_force or {},
            )
            for switch in fabric.switches
        )
    )


def _node(
    fabric: Fabric,
    switch: Switch,
    hops: Mapping[str, tuple[int, ...]],
    idle: Idle,
    sample_one_in: int,
    shares: Shares,
    in_force: SlotsInForce,
) -> NodePlan:
    sets: list[SlotSet] = []
    targets: list[TargetRow] = []
    services: tuple[ServiceRow, ...] = ()
    if switch.stage is not Stage.SPINE:
        services = tuple(
            ServiceRow(s.address, PROTOCOLS[s.protocol], s.port, s.id, slot_set_id(s))
            for s in fabric.services
        )
        for service in fabric.services:
            share = (
                shares[switch.name, service.id]
                if switch.stage is Stage.EDGE
                else _backend_shares(fabric, service)
            )
            number = slot_set_id(service)
            sets.append(SlotSet(number, slots(in_force.get((switch.name, number)), share)))
        if switch.stage is Stage.EDGE:
            targets = [TargetRow(r.label, r.label, r.mac) for r in fabric.stage(Stage.ROUTER)]
        else:
            targets = [TargetRow(b.label, b.label, b.mac) for b in fabric.backends]
    here = gateway(switch)
    return NodePlan(
        node=switch.name,
        mac=switch.mac,
        label=switch.label,
        index_mask=switch.table_size - 1,
        capacity=switch.capacity,
        idle=idle,
        sample_one_in=sample_one_in,
        services=services,
        origins=services if switch.stage is Stage.EDGE else (),
        slot_sets=tuple(sets),
        targets=tuple(targets),
        labels=_labels(fabric, switch, hops),
        delivers=tuple(
            DeliverRow(f"{host.ip}/32", host.port.number, host.mac)
            for host in fabric.hosts
            if host.port.switch == switch.name
        ),
        tunnels=tuple(
            TunnelRow(other.subnet, other.label, other.mac)
            for other in fabric.switches
            if other.subnet is not None and other.name in hops
        ),
        arp=(ArpRow(here, switch.mac),) if here else (),
    )


def _backend_shares(fabric: Fabric, service: Service) -> dict[int, float]:
    return {fabric.backend(name).label: 100 / len(service.backends) for name in service.backends}


def _labels(
    fabric: Fabric, switch: Switch, hops: Mapping[str, tuple[int, ...]]
) -> tuple[LabelRow, ...]:
    rows = [
        LabelRow(other.label, hops[other.name], pop=False)
        for other in fabric.switches
        if other.name in hops
    ]
    for backend in fabric.backends:
        if backend.port.switch == switch.name:
            rows.append(LabelRow(backend.label, (backend.port.number,), pop=True))
        elif backend.port.switch in hops:
            rows.append(LabelRow(backend.label, hops[backend.port.switch], pop=False))
    return tuple(rows)
