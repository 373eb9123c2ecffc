"""Fabric and shares → the desired contents of every switch's tables. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.model import (
    ArpRow,
    DeliverRow,
    Fabric,
    FabricPlan,
    Hop,
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
from controller.plan.replicas import (
    Generations,
    Numbers,
    Shadows,
    fabric_ports,
    primary_numbers,
    primary_rows,
    refresh_s,
    session_rows,
    train_rows,
)
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
    shadows: Shadows | None = None,
    targets: Mapping[str, Sequence[str]] | None = None,
    generations: Generations | None = None,
    numbers: Numbers | None = None,
) -> FabricPlan:
    """The desired state. `shares` default to `base_shares`; `in_force` keeps slots where they are.

    shadows: switch → its shadows (routers; for edges their peers), which get its replica records.
    targets: router that is dead or drained → the shadows that stand in for it.
    generations, numbers: (holder, primary) → generation of its replicas, and the number they carry there (default:
    `primary_numbers` of nothing before).
    """
    wanted = {**base_shares(fabric), **(shares or {})}
    hops = next_hops(fabric)
    shadowed = shadows or {}
    numbered = primary_numbers(fabric, shadowed, numbers)
    edge_targets = target_rows(fabric, targets or {})
    return FabricPlan(
        tuple(
            replace(
                _node(
                    fabric,
                    switch,
                    hops[switch.name],
                    idle,
                    sample_one_in,
                    wanted,
                    in_force or {},
                    edge_targets,
                ),
                trusted_ports=fabric_ports(fabric, switch.name),
                primaries=primary_rows(fabric, switch.name, shadowed, numbered, generations or {}),
                sessions=session_rows(fabric, switch, shadowed, hops[switch.name]),
                trains=train_rows(switch, fabric_ports(fabric, switch.name)),
                replicate=any(name in hops[switch.name] for name in shadowed.get(switch.name, ())),
                refresh_s=refresh_s(idle),
            )
            for switch in fabric.switches
        )
    )


def target_rows(fabric: Fabric, targets: Mapping[str, Sequence[str]]) -> tuple[TargetRow, ...]:
    """What every edge's bindings mean: each router itself, or the shadows that stand in for it (`targets`)."""
    hops = {router.name: Hop(router.label, router.mac) for router in fabric.stage(Stage.ROUTER)}
    return tuple(
        TargetRow(
            router.label, tuple(hops[name] for name in targets.get(router.name) or (router.name,))
        )
        for router in fabric.stage(Stage.ROUTER)
    )


def _node(
    fabric: Fabric,
    switch: Switch,
    hops: Mapping[str, tuple[int, ...]],
    idle: Idle,
    sample_one_in: int,
    shares: Shares,
    in_force: SlotsInForce,
    edge_targets: tuple[TargetRow, ...],
) -> NodePlan:
    sets: list[SlotSet] = []
    targets: tuple[TargetRow, ...] = ()
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
                else _backend_shares(fabric, switch, service)
            )
            number = slot_set_id(service)
            sets.append(SlotSet(number, slots(in_force.get((switch.name, number)), share)))
        if switch.stage is Stage.EDGE:
            targets = edge_targets
        else:
            targets = tuple(TargetRow(b.label, (Hop(b.label, b.mac),)) for b in fabric.backends)
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
        targets=targets,
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


def _backend_shares(fabric: Fabric, router: Switch, service: Service) -> dict[int, float]:
    """Equal among the service's backends at the router's site; where that has none, among all."""
    backends = [fabric.backend(name) for name in service.backends]
    near = [one for one in backends if fabric.switch(one.port.switch).site == router.site]
    chosen = near or backends
    return {one.label: 100 / len(chosen) for one in chosen}


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
