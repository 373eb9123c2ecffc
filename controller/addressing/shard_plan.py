"""The sharding engine over both families, whose shards may differ in size. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from controller.model import Shard, Subdivision
from controller.plan.shards.block import block
from controller.plan.shards.engine import plan_shards
from controller.plan.shards.state import (
    Act,
    Excess,
    Key,
    Need,
    ShardPlan,
    ShardSettings,
    ShardStep,
    ShardView,
)
from controller.pool.occupancy import Occupancy


def views_of(rows: Sequence[Occupancy]) -> list[ShardView]:
    """What the pool says of its shards, in the planners' words."""
    return [ShardView(row.shard, row.granted, row.held, row.cooling, row.reserved) for row in rows]


def plan_families(
    needs: Sequence[Need],
    views: Sequence[ShardView],
    subdivisions: Mapping[str, Subdivision],
    routed: Collection[str],
    excess: Mapping[Key, Excess],
    now_s: float,
    settings: Mapping[int, ShardSettings],
    moving: Collection[str] = (),
) -> tuple[ShardPlan, dict[Key, Excess]]:
    """As `plan_shards`, family by family. A subdivision's maximum holds for both together, IPv4 first."""
    steps: list[ShardStep] = []
    routed_shards: list[Shard] = []
    needed: dict[Key, int] = {}
    after = dict(excess)
    claimed: dict[str, int] = {}
    fragmentation: float | None = None
    for family in sorted(settings):
        own = [view for view in views if block(view.shard.prefix).family == family]
        others: dict[str, int] = dict(claimed)
        for view in views:
            name = view.shard.subdivision or ""
            if block(view.shard.prefix).family != family:
                others[name] = others.get(name, 0) + 1
        bounded = {
            name: replace(one, max_shards=max(0, one.max_shards - others.get(name, 0)))
            for name, one in subdivisions.items()
        }
        plan, after = plan_shards(
            [need for need in needs if need.family == family],
            own,
            bounded,
            routed,
            after,
            now_s,
            settings[family],
            moving,
        )
        steps += plan.steps
        routed_shards += plan.routed
        needed |= plan.needed
        for one in plan.steps:
            if one.act is Act.CLAIM:
                claimed[one.subdivision] = claimed.get(one.subdivision, 0) + 1
        if plan.fragmentation is not None:
            fragmentation = plan.fragmentation
    return ShardPlan(tuple(steps), tuple(routed_shards), needed, fragmentation), after
