"""What of the fabric's plan comes from addresses: routes of shards; routes, ARP and 1:1 NAT of held and granted ones.

It is laid over every plan of the fabric, so that whoever changes the plan keeps these rows; and written at once when it
changes, make before break. The same translations go to a Linux NAT host, where there is one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from controller.act.errors import describe
from controller.act.nat import NatFailed
from controller.addressing.row_cache import RowCache
from controller.addressing.settings import HostPlace
from controller.layer_writer import LayerDriver, LayerWriter
from controller.model import Fabric, FabricPlan, Idle, NatRow, NodePlan, Shard, Subdivision
from controller.plan.address_rows import (
    PlacedAddress,
    external_of,
    inside_prefixes,
)
from controller.plan.fabric import fabric_plan
from controller.plan.shard_routes import (
    Attachment,
    ShardRouteError,
    shard_rows,
    with_shards,
)
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)
WRITE, NAT = "address rows", "NAT host"


class Nat(Protocol):
    """What is needed of a Linux NAT host."""

    async def reconcile(self, rows: Iterable[NatRow], inside: Iterable[str]) -> int: ...


class Rows:
    """Shards and placed addresses, and the rows that follow. Change `shards` or place addresses, then `write`."""

    def __init__(
        self,
        fabric: Fabric,
        subdivisions: Sequence[Subdivision],
        attachments: Sequence[Attachment],
        driver: LayerDriver,
        troubles: Troubles,
        nat: Nat | None = None,
    ) -> None:
        self.routed: frozenset[str] = frozenset()  # shards that written routes lead to
        self._fabric = fabric
        self._subdivisions = {one.name: one for one in subdivisions}
        self._attachments = tuple(attachments)
        self._driver = driver
        self._writer = LayerWriter(driver)
        self._troubles = troubles
        self._nat = nat
        self._base = fabric_plan(fabric, idle=Idle())
        self._inside = inside_prefixes(fabric, subdivisions)
        external = [one.external for one in subdivisions if one.external is not None]
        self._cache = RowCache(self._base, fabric, self._inside, external)
        self._dirty: dict[str, str | None] = {}  # changed address → the external one that it had
        self._shards: tuple[Shard, ...] = ()
        self._placed: dict[str, PlacedAddress] = {}
        self._nodes: Mapping[str, NodePlan] = {}
        self._writing = asyncio.Lock()
        self._changed = 1  # how often something changed; the first plan counts
        self._built = 0  # which of these the plan has
        self._written = 0  # which of these the switches have
        self._at: dict[str, int] = {}  # address → the change that placed it

    @property
    def shards(self) -> tuple[Shard, ...]:
        """That routes are to lead to."""
        return self._shards

    @property
    def pending(self) -> bool:
        """Whether something changed since the last write that succeeded."""
        return self._written < self._changed or self._writer.doubtful

    @property
    def placed(self) -> Mapping[str, PlacedAddress]:
        """Held and granted addresses that have rows."""
        return self._placed

    def lead_to(self, shards: Iterable[Shard]) -> None:
        """The shards that routes are to lead to. Raises ShardRouteError: then everything stays as it was."""
        wanted = tuple(shards)
        if [one.prefix for one in wanted] == [one.prefix for one in self._shards]:
            self._shards = wanted  # states do not show in rows
            return
        shard_rows(self._fabric, tuple(self._subdivisions.values()), wanted, self._attachments)
        self._shards = wanted
        self._changed += 1

    def place(self, address: str, mac: str, host: HostPlace) -> None:
        """This address is behind that host."""
        before = self._placed.get(address)
        if before is not None and (before.mac, before.switch, before.port) == (
            mac,
            host.switch,
            host.port,
        ):
            return
        external = external_of(self._subdivisions[host.subdivision], address)
        placed = PlacedAddress(address, mac, host.switch, host.port, external)
        self._dirty.setdefault(address, before.external if before is not None else external)
        self._placed[address] = placed
        self._changed += 1
        self._at[address] = self._changed

    def settled(self, address: str) -> bool:
        """Whether the rows of an address are written: nobody need wait for them."""
        return self._at.get(address, self._changed) <= self._written

    def remove(self, addresses: Iterable[str]) -> None:
        """These have no rows any more."""
        for address in addresses:
            self._at.pop(address, None)
            before = self._placed.pop(address, None)
            if before is not None:
                self._dirty.setdefault(address, before.external)
                self._changed += 1

    def over(self, plan: FabricPlan) -> FabricPlan:
        """The plan with these rows instead of those that an earlier call put there."""
        return FabricPlan(tuple(map(self.node, plan.nodes)))

    def node(self, plan: NodePlan) -> NodePlan:
        """As `over`, for one switch."""
        if self._built < self._changed:
            self._build()
        own = self._nodes.get(plan.node)
        if own is None:
            return plan
        return replace(
            plan,
            arp=own.arp,
            delivers=own.delivers,
            tunnels=own.tunnels,
            nat=own.nat,
            nat_inside=own.nat_inside,
        )

    def _build(self) -> None:
        rows = shard_rows(
            self._fabric, tuple(self._subdivisions.values()), self._shards, self._attachments
        )
        changed, self._dirty = self._dirty, {}
        again = [self._placed[address] for address in changed if address in self._placed]
        self._cache.change(changed, again)
        plan = with_shards(self._base, rows)
        self._nodes = {node.node: self._cache.over(node) for node in plan.nodes}
        self._built = self._changed

    async def write(self) -> bool:
        """Write what changed before this call; False when some switch that is up did not take it.

        Whoever calls while another write is under way shares the next one. A switch that is down gets it when it
        is back.
        """
        asked = self._changed
        async with self._writing:
            if self._written >= asked and not self._writer.doubtful:
                return True
            covered, shards = self._changed, self._shards
            try:
                failed, _ = await asyncio.gather(self._writer.write(self.node), self._translate())
            except (ShardRouteError, ValueError) as error:
                self._troubles.fail(WRITE, error)
                return False
            if failed:
                self._troubles.begin(WRITE, "; ".join(f"{name}: {why}" for name, why in failed))
                return False
            self._troubles.end(WRITE)
            self._written = covered
            up = {name for name, status in self._driver.status().items() if status.up}
            self.routed = frozenset(one.prefix for one in shards if self._reached(one, up))
            return True

    def _reached(self, shard: Shard, up: set[str]) -> bool:
        """Whether its own switch has its rows; an IPv6 shard has none."""
        subdivision = self._subdivisions.get(shard.subdivision or "")
        home = subdivision.switch if subdivision is not None else None
        return home is None or ":" in shard.prefix or home in up

    async def _translate(self) -> None:
        if self._nat is None:
            return
        rows = [
            NatRow(one.address, one.external)
            for one in self._placed.values()
            if one.external is not None
        ]
        try:
            await self._nat.reconcile(rows, self._inside)
        except (NatFailed, OSError) as error:
            self._troubles.begin(NAT, describe(error))
        else:
            self._troubles.end(NAT)
