"""What of the edges' plan comes from redirects: rows by source prefix, and the slot sets of copies.

It is laid over every plan of the fabric, so that whoever changes the plan keeps it; and written at once when it
changes, slot sets before the rows that lead to them, and after them when they go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.layer_writer import LayerDriver, LayerWriter
from controller.model import Fabric, FabricPlan, Idle, NodePlan, RedirectRow, Stage, Standby
from controller.plan.fabric import fabric_plan
from controller.plan.redirects.numbers import PER_SERVICE
from controller.plan.redirects.state import RedirectPlan
from controller.plan.redirects.tables import CopyShares, with_redirects

InForce = Mapping[tuple[str, int], tuple[int, ...]]


class RedirectRows:
    """Set with `lead`, then `write`."""

    def __init__(self, fabric: Fabric, driver: LayerDriver) -> None:
        self._fabric = fabric
        self._writer = LayerWriter(driver)
        self._edges = tuple(edge.name for edge in fabric.stage(Stage.EDGE))
        blank = fabric_plan(fabric, idle=Idle())
        self._blank = FabricPlan(
            tuple(replace(node, slot_sets=()) for node in blank.nodes if node.node in self._edges)
        )
        self._nodes: Mapping[str, NodePlan] = {node.node: node for node in self._blank.nodes}
        self._written: Mapping[str, NodePlan] | None = None
        self._in_force: dict[tuple[str, int], tuple[int, ...]] = {}
        self._made_from: object = None

    @property
    def rows(self) -> tuple[RedirectRow, ...]:
        """Of the table `redirects`, the same on every edge."""
        return self._nodes[self._edges[0]].redirects if self._edges else ()

    @property
    def pending(self) -> bool:
        """Whether something changed since the last write that succeeded."""
        return self._written != self._nodes or self._writer.doubtful

    def start_from(self, in_force: InForce) -> None:
        """Slot sets as read back from the switches: slots stay where they are."""
        self._in_force = {
            key: tuple(labels) for key, labels in in_force.items() if key[1] % PER_SERVICE
        }

    def lead(self, plan: RedirectPlan, standbys: Iterable[Standby], shares: CopyShares) -> None:
        """From now on these redirects to these copies. Raises ValueError for a router that the fabric has not."""
        copies = tuple(standbys)
        made_from = (plan.redirects, plan.slot_sets, copies, shares)
        if made_from == self._made_from:
            return
        made = with_redirects(
            self._blank, self._fabric, plan, copies, shares=shares, in_force=self._in_force
        )
        self._made_from = made_from
        self._nodes = {node.node: node for node in made.nodes}
        self._in_force |= {
            (node.node, one.id): one.slots for node in made.nodes for one in node.slot_sets
        }

    def over(self, plan: FabricPlan) -> FabricPlan:
        """The plan with these rows instead of those that an earlier call put there."""
        return FabricPlan(tuple(map(self.node, plan.nodes)))

    def node(self, plan: NodePlan) -> NodePlan:
        """As `over`, for one switch."""
        own = self._nodes.get(plan.node)
        if own is None:
            return plan
        services = tuple(one for one in plan.slot_sets if one.id % PER_SERVICE == 0)
        return replace(plan, slot_sets=(*services, *own.slot_sets), redirects=own.redirects)

    async def write(self) -> list[tuple[str, str]]:
        """Write what changed; tells the edges that are up and did not take it."""
        nodes = self._nodes
        failed = await self._writer.write(self.node)
        if not failed:
            self._written = nodes
        return failed
