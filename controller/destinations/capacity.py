"""What a site can still take for copies: the underused resources of seed 9407539. Pure.

A router that has n connections free can take n / d new ones per second if each lasts d seconds (Little's law).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from statistics import median

from controller.destinations.settings import SiteSettings
from controller.model import Fabric, SiteResources, Stage, Switch
from controller.observe.demand import Demand

UNBOUNDED_CPS = 1e6  # of a router without a configured capacity
DURATION_S = 10.0  # of a connection, until the first ones have closed


def site_resources(
    sites: Iterable[SiteSettings],
    fabric: Fabric,
    demands: Mapping[str, Demand],
    gone: Collection[str],
    copies_cps: Mapping[str, float],
) -> tuple[SiteResources, ...]:
    """demands: router → its demand, copies' connections included. gone: routers that serve nobody.
    copies_cps: site → new connections per second that its copies take now: they are not lost to copies.

    A site all of whose routers are gone is down. One of whose routers nothing is known has nothing to spare
    but what is configured.
    """
    known = [one.mean_duration_s for one in demands.values() if one.mean_duration_s > 0]
    usual_s = median(known) if known else DURATION_S
    switches = {switch.name: switch for switch in fabric.stage(Stage.ROUTER)}
    found = []
    for site in sites:
        able = [name for name in site.routers if name not in gone]
        spare_cps = site.spare_cps
        if spare_cps is None:
            free = sum(_free_cps(switches[name], demands.get(name), usual_s) for name in able)
            spare_cps = free + copies_cps.get(site.name, 0.0)
        found.append(
            SiteResources(
                site.name,
                site.routers,
                spare_cps,
                site.room,
                site.copy_cost,
                site.traffic_cost_ms,
                up=bool(able),
            )
        )
    return tuple(found)


def _free_cps(switch: Switch, demand: Demand | None, usual_s: float) -> float:
    if switch.capacity == 0:
        return UNBOUNDED_CPS
    if demand is None:
        return 0.0
    free = max(0.0, switch.capacity - switch.threshold_available - demand.count)
    own_s = demand.mean_duration_s
    return free / (own_s if math.isfinite(own_s) and own_s > 0 else usual_s)
