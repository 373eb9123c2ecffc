"""Which routers of a copy get which part of its new connections. Pure."""

from __future__ import annotations

from collections.abc import Collection

from controller.destinations.copies import Copies
from controller.model import Fabric, Stage
from controller.plan.redirects.state import RedirectPlan
from controller.plan.redirects.tables import CopyShares
from controller.plan.routes_shares import shares
from controller.plan.routes_state import RoutesState, ServiceView


def copy_shares(
    plan: RedirectPlan,
    copies: Copies,
    fabric: Fabric,
    routes: RoutesState,
    gone: Collection[str],
) -> CopyShares:
    """(edge, service, site) → label → percent: equal parts for those that are not gone, shifted to their shadows as
    the loop shifts any other service's. A copy all of whose routers are gone is left out.
    """
    edges = tuple(edge.name for edge in fabric.stage(Stage.EDGE))
    labels = {router.name: router.label for router in fabric.stage(Stage.ROUTER)}
    found: dict[tuple[str, int, str], dict[int, float]] = {}
    for (service, site), number in plan.slot_sets.items():
        able = tuple(name for name in copies[service, site].routers if name not in gone)
        if not able:
            continue
        made = shares((ServiceView(number, able),), edges, labels, routes)
        for (edge, _), own in made.items():
            found[edge, service, site] = {label: float(pct) for label, pct in own.items()}
    return found
