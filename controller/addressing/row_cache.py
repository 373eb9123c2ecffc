"""Rows of placed addresses, kept per switch: a change costs what changed, however many addresses there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.model import ArpRow, DeliverRow, Fabric, FabricPlan, NatRow, NodePlan, TunnelRow
from controller.plan.address_rows import PlacedAddress, with_addresses


@dataclass(slots=True)
class _Own:
    """Of one switch, by address. ways_out: tunnels of public prefixes, as long as anything is translated."""

    arp: dict[str, ArpRow] = field(default_factory=dict)
    delivers: dict[str, DeliverRow] = field(default_factory=dict)
    nat: dict[str, NatRow] = field(default_factory=dict)
    ways_out: tuple[TunnelRow, ...] = ()


class RowCache:
    """What `with_addresses` gives for all placed addresses, made from what it gives for those that changed."""

    def __init__(
        self, base: FabricPlan, fabric: Fabric, inside: Sequence[str], external: Sequence[str]
    ) -> None:
        self._blank = FabricPlan(
            tuple(replace(node, arp=(), delivers=(), tunnels=()) for node in base.nodes)
        )
        self._fabric = fabric
        self._inside = tuple(inside)
        self._external = tuple(external)
        self._own = {node.node: _Own() for node in base.nodes}
        self._translated: set[str] = set()

    def change(self, gone: Mapping[str, str | None], placed: Iterable[PlacedAddress]) -> None:
        """gone: addresses without rows from now on, with their external ones. Raises ValueError as `with_addresses`."""
        new = [one for one in placed if ":" not in one.address]
        plan = with_addresses(
            self._blank, self._fabric, new, inside=self._inside, external=self._external
        )
        for address, external in gone.items():
            self._translated.discard(address)
            for own in self._own.values():
                own.arp.pop(address, None)
                own.delivers.pop(f"{address}/32", None)
                if own.nat.pop(address, None) is not None and external is not None:
                    own.arp.pop(external, None)
        self._translated |= {one.address for one in new if one.external is not None}
        for node in plan.nodes:
            own = self._own[node.node]
            own.arp |= {row.address: row for row in node.arp}
            own.delivers |= {row.prefix: row for row in node.delivers}
            own.nat |= {row.internal: row for row in node.nat}
            own.ways_out = node.tunnels or own.ways_out

    def over(self, plan: NodePlan) -> NodePlan:
        """A switch's plan with these rows besides its own."""
        own = self._own[plan.node]
        return replace(
            plan,
            arp=(*plan.arp, *own.arp.values()),
            delivers=(*plan.delivers, *own.delivers.values()),
            tunnels=(*plan.tunnels, *(own.ways_out if self._translated else ())),
            nat=tuple(own.nat.values()),
            nat_inside=self._inside if own.nat else (),
        )
