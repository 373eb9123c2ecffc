"""Joining what has become scattered: moves of lightly used shards, as a plan that a person may approve. Pure.

A move claims a free block beside the subdivision's other shards and drains the shard that lies apart: no
instance changes its address, the shard empties as its instances end. A move is proposed only if there are fewer
routes afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from controller.model import ShardState, Subdivision
from controller.plan.shards.block import Block, block, merged
from controller.plan.shards.contiguous import select_contiguous
from controller.plan.shards.engine import free_space
from controller.plan.shards.life_cycle import step
from controller.plan.shards.space import Space
from controller.plan.shards.state import Act, ShardSettings, ShardStep, ShardView


@dataclass(frozen=True, slots=True)
class Move:
    """in_use: addresses of the source that instances have, or that cool down: it lasts until they are back."""

    subdivision: str
    source: str
    target: str
    in_use: int
    reason: str


@dataclass(frozen=True, slots=True)
class Compaction:
    """id: of exactly these moves; a person approves it by that. routes, fragmentation: before, and after them."""

    id: str
    moves: tuple[Move, ...]
    routes_before: int
    routes_after: int
    fragmentation_before: float
    fragmentation_after: float


def compaction(
    views: Sequence[ShardView], subdivisions: Mapping[str, Subdivision], settings: ShardSettings
) -> Compaction:
    """What could be joined. No moves: nothing would be gained."""
    space = free_space(subdivisions.values(), views)
    fragmentation_before = space.fragmentation()
    own: dict[tuple[str, int], list[ShardView]] = {}
    number: dict[str, int] = {}
    for view in views:
        name = view.shard.subdivision
        if name in subdivisions and name is not None:
            own.setdefault((name, block(view.shard.prefix).family), []).append(view)
            number[name] = number.get(name, 0) + 1
    moves: list[Move] = []
    before = after = 0
    for (name, _), mine in sorted(own.items()):
        subdivision = subdivisions[name]
        blocks = [block(view.shard.prefix) for view in mine if _stays(view)]
        before += len(merged(blocks))
        for view in sorted(mine, key=lambda one: (one.needed, one.shard.prefix)):
            if number[name] >= subdivision.max_shards:
                break  # the target is one shard more for a while
            source = block(view.shard.prefix)
            target = _better(space, view, source, blocks, subdivision, settings)
            if target is None:
                continue
            routes = len(merged(blocks))
            blocks = [one for one in blocks if one != source] + [target]
            number[name] += 1
            reason = (
                f"{name} is reached by {routes} routes, and by {len(merged(blocks))} when {target} "
                f"takes the place of {source}, of whose {source.capacity} addresses {view.needed} are in use"
            )
            moves.append(Move(name, str(source), str(target), view.needed, reason))
        after += len(merged(blocks))
    for move in moves:
        space.give(block(move.source))
    text = ",".join(f"{move.subdivision}:{move.source}>{move.target}" for move in moves)
    name = blake2b(text.encode(), digest_size=6).hexdigest() if moves else ""
    return Compaction(
        name, tuple(moves), before, after, fragmentation_before, space.fragmentation()
    )


def moving(
    approved: Sequence[Move], views: Sequence[ShardView], routed: Collection[str], now_s: float
) -> tuple[tuple[ShardStep, ...], frozenset[str]]:
    """The next steps of approved moves, and the shards that they empty (`engine.plan_shards`: moving).

    First the target is claimed; when routes lead to it (the engine confirms it then) the source drains. A move whose
    source is gone is done.
    """
    present = {view.shard.prefix: view for view in views}
    steps: list[ShardStep] = []
    sources: set[str] = set()
    for move in approved:
        source, target = present.get(move.source), present.get(move.target)
        if source is None or source.shard.subdivision != move.subdivision:
            continue
        sources.add(move.source)
        if target is None:
            if source.active:
                steps.append(
                    ShardStep(now_s, Act.CLAIM, move.subdivision, move.target, 0, move.reason)
                )
        elif (
            move.target in routed
            and target.shard.subdivision == move.subdivision
            and target.shard.state in (ShardState.ASSIGNED, ShardState.PREFETCHED)
            and source.shard.state in (ShardState.ASSIGNED, ShardState.PREFETCHED)
        ):
            steps.append(step(source, now_s, Act.DRAIN, move.reason))
    return tuple(steps), frozenset(sources)


def _stays(view: ShardView) -> bool:
    return view.active or view.needed > 0


def _better(
    space: Space,
    view: ShardView,
    source: Block,
    blocks: Sequence[Block],
    subdivision: Subdivision,
    settings: ShardSettings,
) -> Block | None:
    """The free block, taken from `space`, that makes the routes fewer when it replaces the source."""
    if view.shard.state not in (ShardState.ASSIGNED, ShardState.PREFETCHED):
        return None
    if view.needed > settings.light_share * source.capacity or len(blocks) < 2:
        return None
    others = [one for one in blocks if one != source]
    supernets = [one for one in map(block, subdivision.prefixes) if one.family == source.family]
    found = select_contiguous(space, others, supernets, source.bits, 1, subdivision.max_shards)
    if not found:
        return None
    if len(merged([*others, found[0]])) < len(merged(blocks)):
        return found[0]
    space.give(found[0])
    return None
