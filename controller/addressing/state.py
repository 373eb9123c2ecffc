"""Shards and ranges at one moment as plain values, in the shape of `serve/address_schemas`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from controller.addressing.demand import Outlooks
from controller.model import Subdivision
from controller.plan.addresses.state import RangePlan
from controller.plan.shards.aggregation import fewest
from controller.plan.shards.block import block
from controller.plan.shards.compaction import Compaction, Move
from controller.plan.shards.state import ShardView
from controller.pool.counts import Counts


def shards_state(
    subdivisions: Sequence[Subdivision],
    views: Sequence[ShardView],
    counts: Mapping[str, Counts],
    full: Mapping[str, str],
    ranges: Sequence[RangePlan],
    outlooks: Outlooks,
    fragmentation: float,
    compaction: Compaction,
    approved: Sequence[Move],
    routed: Sequence[str],
    hosts_down: Sequence[str],
    steps: Sequence[Mapping[str, Any]],
    *,
    turns: int,
    turn_ms: float,
) -> dict[str, Any]:
    """JSON-able."""
    return {
        "turns": turns,
        "turn_ms": turn_ms,
        "shards": [_shard(view, routed) for view in views],
        "subdivisions": [
            _subdivision(one, views, counts, full, ranges, outlooks) for one in subdivisions
        ],
        "fragmentation": fragmentation,
        "compaction": {
            "id": compaction.id,
            "moves": [told(one) for one in compaction.moves],
            "approved": [told(one) for one in approved],
            "routes_before": compaction.routes_before,
            "routes_after": compaction.routes_after,
            "fragmentation_after": compaction.fragmentation_after,
        },
        "hosts_down": list(hosts_down),
        "steps": [dict(one) for one in steps],
    }


def told(move: Move) -> dict[str, Any]:
    """One move of a compaction."""
    return asdict(move)


def _shard(view: ShardView, routed: Sequence[str]) -> dict[str, Any]:
    shard = view.shard
    return {
        "prefix": shard.prefix,
        "subdivision": shard.subdivision,
        "state": shard.state.value,
        "sequence": shard.sequence,
        "since_s": shard.since_s,
        "capacity": block(shard.prefix).capacity,
        "granted": view.granted,
        "held": view.held,
        "cooling": view.cooling,
        "reserved": view.reserved,
        "routed": shard.prefix in routed,
    }


def _subdivision(
    one: Subdivision,
    views: Sequence[ShardView],
    counts: Mapping[str, Counts],
    full: Mapping[str, str],
    ranges: Sequence[RangePlan],
    outlooks: Outlooks,
) -> dict[str, Any]:
    demand = outlooks.demands.get(one.name)
    expected = outlooks.expected.get(one.name)
    own = [view.shard.prefix for view in views if view.shard.subdivision == one.name]
    return {
        "name": one.name,
        "site": one.site,
        "switch": one.switch,
        "prefixes": list(one.prefixes),
        "external": one.external,
        "max_shards": one.max_shards,
        "counts": asdict(counts[one.name]),
        "routes": list(fewest(own)),
        "warm": [
            {"family": plan.family, "needed": plan.needed, "confidence": plan.confidence}
            for plan in ranges
            if plan.subdivision == one.name
        ],
        "demand": None if demand is None else asdict(demand),
        "expected_per_s": None if expected is None else expected.per_s,
        "expected_why": None if expected is None else expected.why,
        "full": full.get(one.name),
    }
