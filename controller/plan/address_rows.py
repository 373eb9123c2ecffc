"""Held and granted addresses → table rows: routes, ARP, 1:1 NAT. Pure.

The rows are there from the moment an address is held, so that nothing need be written when it is granted. umbra.p4
carries IPv4 only: IPv6 addresses are held at hosts and advertised, but have no rows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from controller.model import (
    ArpRow,
    DeliverRow,
    Fabric,
    FabricPlan,
    NatRow,
    Stage,
    Subdivision,
    Switch,
    TunnelRow,
)
from controller.plan.paths import next_hops


@dataclass(frozen=True, slots=True)
class PlacedAddress:
    """An address that a shadow instance or an instance has, and where that hangs: a port of a switch."""

    address: str
    mac: str
    switch: str
    port: int
    external: str | None = None  # public address, 1:1


def external_of(subdivision: Subdivision, address: str) -> str | None:
    """Public address of an internal one: it has the same place among the external addresses as among the internal ones.

    None when the subdivision has no external prefix, or for IPv6. Raises ValueError when the address is not of the
    subdivision, or when its IPv4 addresses are more than the external prefix has.
    """
    own = ipaddress.ip_address(address)
    if subdivision.external is None or own.version != 4:
        return None
    public = ipaddress.IPv4Network(subdivision.external)
    prefixes = [
        ipaddress.IPv4Network(text)
        for text in subdivision.prefixes
        if ipaddress.ip_network(text).version == 4
    ]
    place, before = None, 0
    for prefix in prefixes:
        if own in prefix:
            place = before + int(own) - int(prefix.network_address)
        before += prefix.num_addresses
    if before > public.num_addresses:
        raise ValueError(
            f"subdivision {subdivision.name}: {public} has {public.num_addresses} addresses for {before} "
            "internal ones; 1:1 NAT needs as many"
        )
    if place is None:
        raise ValueError(f"{address} is in no prefix of subdivision {subdivision.name}")
    return str(public[place])


def inside_prefixes(fabric: Fabric, subdivisions: Iterable[Subdivision]) -> tuple[str, ...]:
    """Where internal addresses are spoken: all subdivisions, and the service addresses. IPv4 only."""
    prefixes = {prefix for one in subdivisions for prefix in one.prefixes}
    prefixes |= {f"{service.address}/32" for service in fabric.services}
    return tuple(sorted(prefix for prefix in prefixes if ipaddress.ip_network(prefix).version == 4))


def with_addresses(
    plan: FabricPlan,
    fabric: Fabric,
    placed: Sequence[PlacedAddress],
    *,
    inside: Sequence[str] = (),
    external: Sequence[str] = (),
) -> FabricPlan:
    """The plan with the rows of these addresses, which replace those of an earlier call on the same base plan.

    inside: prefixes towards which no NAT is done; external: prefixes of public addresses, which lead to an edge.
    NAT rows are on every edge: there the outside begins. An address twice, or a switch that does not exist, raises
    ValueError.
    """
    own = [one for one in placed if ipaddress.ip_address(one.address).version == 4]
    _check(fabric, own)
    nat = tuple(NatRow(one.address, one.external) for one in own if one.external is not None)
    hops = next_hops(fabric)
    edges = fabric.stage(Stage.EDGE)
    nodes = []
    for node in plan.nodes:
        switch = fabric.switch(node.node)
        here = [one for one in own if one.switch == node.node]
        arp = [ArpRow(one.address, one.mac) for one in here]
        translates = bool(nat) and switch.stage is Stage.EDGE
        if (
            translates
        ):  # a neighbour outside whose link carries the external prefix asks for it there
            arp += [ArpRow(row.external, switch.mac) for row in nat]
        to_edge = [edge for edge in edges if edge.name in hops[node.node]]
        way_out = external if switch.stage is Stage.SPINE and nat else ()
        nodes.append(
            replace(
                node,
                arp=(*node.arp, *arp),
                delivers=(
                    *node.delivers,
                    *(DeliverRow(f"{one.address}/32", one.port, one.mac) for one in here),
                ),
                tunnels=(*node.tunnels, *_ways_out(way_out, to_edge)),
                nat=nat if translates else (),
                nat_inside=tuple(inside) if translates else (),
            )
        )
    return FabricPlan(tuple(nodes))


def _ways_out(external: Sequence[str], edges: Sequence[Switch]) -> tuple[TunnelRow, ...]:
    """Public prefixes lead from a spine to the first edge that it reaches."""
    if not edges:
        return ()
    return tuple(
        TunnelRow(prefix, edges[0].label, edges[0].mac)
        for prefix in external
        if ipaddress.ip_network(prefix).version == 4
    )


def _check(fabric: Fabric, placed: Sequence[PlacedAddress]) -> None:
    names = {switch.name for switch in fabric.switches}
    seen: set[str] = {host.ip for host in fabric.hosts}
    for one in placed:
        if one.switch not in names:
            raise ValueError(
                f"{one.address} is placed on {one.switch}, which is no switch of the fabric"
            )
        for address in filter(None, (one.address, one.external)):
            if address in seen:
                raise ValueError(f"{address} is used twice; give every address to one owner only")
            seen.add(address)
