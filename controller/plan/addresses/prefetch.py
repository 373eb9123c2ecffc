"""How much room shards have, and from which of them held addresses are released (seed 9055112, section 3). Pure.

The emptiest shard comes first: it can be given back soonest, and the traffic stays within few routes. In which
shards addresses are held the pool decides (`grants.hold`): in the fullest, where the seed gives every shard an equal
part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.model import ShardState
from controller.plan.shards.block import block
from controller.plan.shards.state import ShardView

GIVING = (ShardState.ASSIGNED, ShardState.PREFETCHED)


@dataclass(frozen=True, slots=True)
class Part:
    """count addresses of one shard, to hold or to release."""

    prefix: str
    count: int


def room(views: Sequence[ShardView]) -> int:
    """How many addresses are idle in shards that give addresses."""
    return sum(_idle(view) for view in views)


def to_release(views: Sequence[ShardView], count: int) -> tuple[Part, ...]:
    """Which held addresses are released: of draining shards first, then of the emptiest."""
    order = sorted(
        views,
        key=lambda one: (
            one.shard.state in GIVING,
            one.granted,
            -block(one.shard.prefix).start,
        ),
    )
    return _parts([(view, view.held) for view in order], count)


def _idle(view: ShardView) -> int:
    if view.shard.state not in GIVING:
        return 0
    used = view.granted + view.held + view.cooling + view.reserved
    return max(0, block(view.shard.prefix).capacity - used)


def _parts(order: Sequence[tuple[ShardView, int]], count: int) -> tuple[Part, ...]:
    parts = []
    for view, most in order:
        take = min(most, count)
        if take > 0:
            parts.append(Part(view.shard.prefix, take))
            count -= take
    return tuple(parts)
