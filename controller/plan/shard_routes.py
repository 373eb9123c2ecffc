"""Shards → routes in the P4 routers: the subdivision's switch delivers, every other one tunnels to it. Pure.

A shard has routes from its claim, which is confirmed when they are written, until it is free again (seed 9055112, 2
and 4). The P4 program routes IPv4; IPv6 shards are advertised by BGP, and have no rows here.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from controller.model import (
    DeliverRow,
    Fabric,
    FabricPlan,
    NodePlan,
    Shard,
    ShardState,
    Subdivision,
    TunnelRow,
)
from controller.plan.paths import next_hops
from controller.plan.shards.aggregation import fewest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ShardRouteError(ValueError):
    """Shards and fabric contradict each other."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What lies behind a port of a switch: the host that a prefix lives on, or a real router.

    A subdivision's instances may hang on one port (a machine) or on many; each prefix is then given its own
    attachment, down to one address. `prefix` 0.0.0.0/0 behind a real router is the way out of the fabric.
    """

    prefix: str
    switch: str
    port: int
    mac: str


@dataclass(frozen=True, slots=True)
class ShardRows:
    """Rows that a switch gets besides those of the fabric."""

    delivers: tuple[DeliverRow, ...]
    tunnels: tuple[TunnelRow, ...]


def routed_prefixes(shards: Iterable[Shard]) -> Mapping[str, tuple[str, ...]]:
    """Subdivision → IPv4 prefixes of its shards, neighbours joined to the fewest."""
    by_subdivision: dict[str, list[str]] = defaultdict(list)
    for shard in shards:
        claimed = shard.state is not ShardState.FREE and shard.subdivision is not None
        if claimed and _version(shard.prefix) == 4:
            by_subdivision[shard.subdivision or ""].append(shard.prefix)
    return {name: fewest(prefixes) for name, prefixes in sorted(by_subdivision.items())}


def shard_rows(
    fabric: Fabric,
    subdivisions: Sequence[Subdivision],
    shards: Iterable[Shard],
    attachments: Sequence[Attachment] = (),
) -> Mapping[str, ShardRows]:
    """Switch → its rows for shards and for what is attached.

    A switch that cannot reach the subdivision's has no row for it. ShardRouteError names a shard of an unknown
    subdivision, a subdivision without a switch of this fabric, or prefixes in two places.
    """
    switches = {switch.name: switch for switch in fabric.switches}
    home = _homes(subdivisions, routed_prefixes(shards), switches)
    for one in attachments:
        if one.switch not in switches:
            raise ShardRouteError(f"{one.prefix} hangs on {one.switch}, which is no switch here")
    _check(fabric, home, attachments)
    hops = next_hops(fabric)
    result: dict[str, ShardRows] = {}
    for name in switches:
        delivers = tuple(
            DeliverRow(one.prefix, one.port, one.mac)
            for one in sorted(attachments, key=lambda one: _order(one.prefix))
            if one.switch == name and _version(one.prefix) == 4
        )
        behind = {prefix: there for prefix, there in home.items() if there != name}
        behind |= {
            one.prefix: one.switch
            for one in attachments
            if one.switch != name
            and _version(one.prefix) == 4
            # What lies inside a shard of the same switch goes there with it.
            and not any(
                there == one.switch and _within(one.prefix, shard) for shard, there in home.items()
            )
        }
        tunnels = tuple(
            TunnelRow(prefix, switches[behind[prefix]].label, switches[behind[prefix]].mac)
            for prefix in sorted(behind, key=_order)
            if behind[prefix] in hops[name]
        )
        result[name] = ShardRows(delivers, tunnels)
    return result


def with_shards(plan: FabricPlan, rows: Mapping[str, ShardRows]) -> FabricPlan:
    """The plan with these rows. ShardRouteError if a switch would have two rows for one prefix."""
    return FabricPlan(tuple(_with(node, rows.get(node.node)) for node in plan.nodes))


def _with(node: NodePlan, rows: ShardRows | None) -> NodePlan:
    if rows is None:
        return node
    delivers, tunnels = (*node.delivers, *rows.delivers), (*node.tunnels, *rows.tunnels)
    prefixes = [row.prefix for row in delivers] + [row.prefix for row in tunnels]
    if len(prefixes) != len(set(prefixes)):
        twice = sorted({prefix for prefix in prefixes if prefixes.count(prefix) > 1})
        raise ShardRouteError(f"{node.node}: two routes for {', '.join(twice)}")
    return replace(node, delivers=delivers, tunnels=tunnels)


def _homes(
    subdivisions: Sequence[Subdivision],
    prefixes: Mapping[str, Sequence[str]],
    switches: Mapping[str, object],
) -> Mapping[str, str]:
    """Prefix → the switch that it is delivered at."""
    known = {one.name: one for one in subdivisions}
    home: dict[str, str] = {}
    for name, own in prefixes.items():
        if name not in known:
            raise ShardRouteError(f"shard {own[0]} belongs to subdivision {name}, which is unknown")
        switch = known[name].switch
        if switch is None or switch not in switches:
            raise ShardRouteError(
                f"subdivision {name} has shards, and its switch ({switch}) is none of this fabric: name one"
            )
        home |= dict.fromkeys(own, switch)
    return home


def _check(fabric: Fabric, home: Mapping[str, str], attachments: Sequence[Attachment]) -> None:
    """Nothing in two places: shards among themselves, shards and subnets of switches, attachments."""
    ordered = sorted((ipaddress.ip_network(prefix) for prefix in home), key=_network_order)
    for first, second in pairwise(ordered):
        if first.version == second.version and first.overlaps(second):
            raise ShardRouteError(f"shards {first} and {second} overlap")
    for switch in fabric.switches:
        for prefix in home:
            if switch.subnet is not None and _overlap(prefix, switch.subnet):
                raise ShardRouteError(f"shard {prefix} overlaps the subnet of switch {switch.name}")
    places = [one.prefix for one in attachments]
    for prefix in places:
        if places.count(prefix) > 1:
            raise ShardRouteError(f"{prefix} is attached in two places")


def _overlap(first: str, second: str) -> bool:
    a, b = ipaddress.ip_network(first), ipaddress.ip_network(second)
    return a.version == b.version and a.overlaps(b)


def _within(inner: str, outer: str) -> bool:
    return _overlap(inner, outer) and _length(inner) >= _length(outer)


def _length(prefix: str) -> int:
    return ipaddress.ip_network(prefix).prefixlen


def _version(prefix: str) -> int:
    return ipaddress.ip_network(prefix).version


def _order(prefix: str) -> tuple[int, int, int]:
    return _network_order(ipaddress.ip_network(prefix))


def _network_order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
