"""From a predicted demand to the addresses that shards must have. Pure."""

from __future__ import annotations

import math

from controller.plan.shards.demand import Demand
from controller.plan.shards.state import Need


def need_of(
    demand: Demand,
    family: int,
    *,
    share: float = 1.0,
    warm: int = 0,
    cooling: int = 0,
    quota: int | None = None,
) -> Need:
    """share: of the instances that take an address of this family. warm: addresses held ahead (the range that is
    needed). cooling: addresses that were released and may not be given yet. quota: no more can be granted.
    """
    instances = demand.instances.high * share
    if quota is not None:
        instances = min(instances, float(quota))
    low, high = demand.instances.low * share, demand.instances.high * share
    why = (
        f"{demand.instances.expected * share:.0f} instances expected, {low:.0f} to {high:.0f} "
        f"({demand.model}), {warm} warm, {cooling} cooling"
    )
    score = demand.score * share
    if quota is not None and high > 0:
        score *= min(1.0, quota / high)
    return Need(demand.subdivision, family, math.ceil(instances) + warm + cooling, score, why)
