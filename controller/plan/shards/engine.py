"""The sharding engine: needs and shards → steps, and what is routed (seed 9055112, section 2). Pure, deterministic.

    shards = min(maximum, ceil(max(score, addresses with the spare) / addresses of a shard))

(The seed rounds down, which would leave the last part of the demand without addresses.) Growing is immediate: a
draining shard of its own is taken back first, then free blocks are claimed, contiguous ones first, the highest score
first. Shrinking waits until fewer were needed for `release_after_s`, and then drains the least used.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from controller.model import Shard, ShardState, Subdivision
from controller.plan.shards import life_cycle
from controller.plan.shards.block import block
from controller.plan.shards.contiguous import select_contiguous
from controller.plan.shards.space import Space
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


def plan_shards(
    needs: Sequence[Need],
    views: Sequence[ShardView],
    subdivisions: Mapping[str, Subdivision],
    routed: Collection[str],
    excess: Mapping[Key, Excess],
    now_s: float,
    settings: ShardSettings,
    moving: Collection[str] = (),
) -> tuple[ShardPlan, dict[Key, Excess]]:
    """The plan, and what to remember for the next one (`excess`).

    views: all shards that are not free. moving: shards that an approved compaction empties: they are neither
    taken back nor drained twice. A subdivision that no need names keeps its shards.
    """
    own: dict[Key, list[ShardView]] = {}
    for view in views:
        if view.shard.subdivision is not None:
            family = block(view.shard.prefix).family
            own.setdefault((view.shard.subdivision, family), []).append(view)
    steps = list(life_cycle.due(views, routed, now_s, settings))
    given_up = {one.prefix for one in steps if one.act in (Act.ABANDON, Act.FREE)}
    space: Space | None = None
    claims: list[Shard] = []
    counts: dict[Key, int] = {}
    after = dict(excess)
    claimed: dict[str, int] = {}  # shards of both families, per subdivision
    for (name, _), held in own.items():
        claimed[name] = claimed.get(name, 0) + sum(
            view.shard.prefix not in given_up for view in held
        )
    for need in sorted(needs, key=lambda one: (-one.score, one.subdivision, one.family)):
        subdivision = subdivisions.get(need.subdivision)
        if subdivision is None:
            continue
        key = (need.subdivision, need.family)
        mine = [view for view in own.get(key, ()) if view.shard.prefix not in given_up]
        active = [view for view in mine if view.active and view.shard.prefix not in moving]
        wanted = counts[key] = shards_needed(need, subdivision, settings)
        if wanted < len(active):
            drained, after[key] = _fewer(need, active, wanted, excess.get(key), now_s, settings)
            steps += drained
            continue
        after.pop(key, None)
        lacking = wanted - len(active)
        back = list(_taken_back(mine, moving, lacking, need, now_s))
        steps += back
        lacking -= len(back)
        room = max(0, subdivision.max_shards - claimed.get(need.subdivision, 0))
        if lacking <= 0:
            continue
        if space is None:
            space = free_space(subdivisions.values(), views)
        found = _claims(space, need, subdivision, mine, min(lacking, room), now_s, settings)
        claimed[need.subdivision] = claimed.get(need.subdivision, 0) + len(found)
        for one in found:
            steps.append(one)
            claims.append(Shard(one.prefix, need.subdivision, ShardState.CLAIMING, 0, now_s))
        if len(found) < lacking:
            steps.append(_short(need, lacking - len(found), room, subdivision, now_s))
    plan = ShardPlan(
        tuple(steps),
        (*_kept(views, steps), *claims),
        counts,
        None if space is None else space.fragmentation(),
    )
    return plan, after


def shards_needed(need: Need, subdivision: Subdivision, settings: ShardSettings) -> int:
    """How many shards serve the need, the maximum at most. No need, no shard."""
    bits = settings.bits(need.subdivision)
    capacity = (1 << bits) - (2 if need.family == 4 else 1)
    with_spare = need.addresses * (1.0 + settings.spare_share)
    wanted = max(need.score, with_spare)
    return min(subdivision.max_shards, math.ceil(wanted / capacity))


def free_space(subdivisions: Iterable[Subdivision], views: Iterable[ShardView]) -> Space:
    """What of the subdivisions' supernets is free."""
    supernets = {prefix for one in subdivisions for prefix in one.prefixes}
    return Space(map(block, supernets), (block(view.shard.prefix) for view in views))


def _fewer(
    need: Need,
    active: Sequence[ShardView],
    wanted: int,
    before: Excess | None,
    now_s: float,
    settings: ShardSettings,
) -> tuple[list[ShardStep], Excess]:
    """Drain what was not needed for long enough; shards that are only being claimed count as active, but stay."""
    if before is None or now_s < before.since_s:
        return [], Excess(now_s, wanted)
    if now_s - before.since_s < settings.release_after_s:
        return [], Excess(before.since_s, max(before.most, wanted))
    kept = max(before.most, wanted)
    # The least used first; among equals the last, so that what stays is contiguous from its beginning.
    idle = sorted(
        (view for view in active if view.shard.state is not ShardState.CLAIMING),
        key=lambda view: (view.needed, view.held, -block(view.shard.prefix).start),
    )
    drained = [
        life_cycle.step(
            view,
            now_s,
            Act.DRAIN,
            f"{need.subdivision} has {len(active)} shards and needed at most {kept} in the last "
            f"{now_s - before.since_s:.0f} s: {view.shard.prefix} ({view.granted} granted) gives no new addresses",
        )
        for view in idle[: max(0, len(active) - kept)]
    ]
    return drained, Excess(now_s, wanted)


def _taken_back(
    mine: Sequence[ShardView], moving: Collection[str], count: int, need: Need, now_s: float
) -> Iterator[ShardStep]:
    """Draining shards that are wanted again, the fullest first."""
    draining = [
        view
        for view in mine
        if view.shard.state is ShardState.DRAINING and view.shard.prefix not in moving
    ]
    draining.sort(key=lambda view: (-view.needed, block(view.shard.prefix).start))
    for view in draining[: max(0, count)]:
        reason = f"{need.subdivision} needs {view.shard.prefix} again: {_told(need)}"
        yield life_cycle.step(view, now_s, Act.UNDRAIN, reason)


def _claims(
    space: Space,
    need: Need,
    subdivision: Subdivision,
    mine: Sequence[ShardView],
    count: int,
    now_s: float,
    settings: ShardSettings,
) -> list[ShardStep]:
    supernets = [one for one in map(block, subdivision.prefixes) if one.family == need.family]
    if not supernets or count <= 0:
        return []
    blocks = select_contiguous(
        space,
        [block(view.shard.prefix) for view in mine],
        supernets,
        settings.bits(need.subdivision),
        count,
        subdivision.max_shards,
    )
    return [
        ShardStep(
            now_s,
            Act.CLAIM,
            need.subdivision,
            str(one),
            0,
            f"{need.subdivision} has {len(mine)} shards and needs {len(blocks)} more: {_told(need)}",
            _inputs(need),
        )
        for one in blocks
    ]


def _short(
    need: Need, lacking: int, room: int, subdivision: Subdivision, now_s: float
) -> ShardStep:
    if room < lacking:
        remedy = f"its maximum is {subdivision.max_shards}: raise max_shards"
    else:
        remedy = "its supernets have no free block: add a prefix, or approve a compaction"
    reason = f"{need.subdivision} lacks {lacking} shards ({_told(need)}); {remedy}"
    return ShardStep(now_s, Act.SHORT, need.subdivision, "", 0, reason, _inputs(need))


def _told(need: Need) -> str:
    why = f" ({need.why})" if need.why else ""
    return f"{need.addresses} addresses are needed{why}, demand score {need.score:.0f}"


def _inputs(need: Need) -> dict[str, float | str | None]:
    return {"addresses": need.addresses, "score": round(need.score, 3), "why": need.why}


def _kept(views: Iterable[ShardView], steps: Iterable[ShardStep]) -> Iterator[Shard]:
    """Shards that routes must lead to: all but those given up and those that are empty and drained."""
    gone = {one.prefix for one in steps if one.act in (Act.ABANDON, Act.FREE)}
    back = {one.prefix for one in steps if one.act is Act.UNDRAIN}
    for view in views:
        prefix = view.shard.prefix
        if prefix in back:
            yield replace(view.shard, state=ShardState.ASSIGNED)
        elif prefix not in gone and not life_cycle.empty(view):
            yield view.shard
