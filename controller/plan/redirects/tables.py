"""Redirects → table rows and slot sets of every edge. Pure.

Only edges have them: what they choose for a new connection is stored there and at the router: no other row is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.model import Fabric, FabricPlan, RedirectRow, SlotSet, Stage
from controller.model.destinations import Standby
from controller.plan.fabric import SlotsInForce
from controller.plan.redirects.state import RedirectPlan
from controller.plan.slots import slots

CopyShares = Mapping[tuple[str, int, str], Mapping[int, float]]  # (edge, service, site) → label → %


def with_redirects(
    plan: FabricPlan,
    fabric: Fabric,
    redirects: RedirectPlan,
    standbys: Iterable[Standby],
    *,
    shares: CopyShares | None = None,
    in_force: SlotsInForce | None = None,
) -> FabricPlan:
    """The plan (made without redirects) with them. `shares`: of the routers of a copy, as the loop shifts them; equal
    where it says nothing. `in_force` keeps slots where they are. ValueError for a router that the fabric has not.
    """
    label = {router.name: router.label for router in fabric.stage(Stage.ROUTER)}
    copies = {(one.service, one.site): one for one in standbys}
    equal: dict[tuple[int, str], dict[int, float]] = {}
    for copy in redirects.slot_sets:
        routers = copies[copy].routers
        unknown = [name for name in routers if name not in label]
        if unknown or not routers:
            raise ValueError(
                f"the copy of service {copy[0]} at {copy[1]} is on {', '.join(unknown) or 'no router'}; "
                "name service routers of the fabric"
            )
        equal[copy] = {label[name]: 100 / len(routers) for name in routers}
    rows = tuple(
        RedirectRow(
            one.service,
            one.source_prefix,
            None
            if one.site == redirects.routing.primaries[one.service]
            else redirects.slot_sets[one.service, one.site],
        )
        for one in redirects.redirects
    )
    nodes = []
    for node in plan.nodes:
        if fabric.switch(node.node).stage is Stage.EDGE:
            own = []
            for copy, number in sorted(redirects.slot_sets.items()):
                share = (shares or {}).get((node.node, *copy), equal[copy])
                now = (in_force or {}).get((node.node, number))
                own.append(SlotSet(number, slots(now, share)))
            node = replace(node, slot_sets=(*node.slot_sets, *own), redirects=rows)
        nodes.append(node)
    return FabricPlan(tuple(nodes))
