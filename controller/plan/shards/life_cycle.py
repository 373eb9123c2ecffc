"""The life of shards: which steps are due by themselves. Pure; the pool executes them (its two-phase claims)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from controller.model import ShardState
from controller.plan.shards.state import Act, ShardSettings, ShardStep, ShardView


def due(
    views: Iterable[ShardView], routed: Collection[str], now_s: float, settings: ShardSettings
) -> Iterator[ShardStep]:
    """Confirmations, abandoned claims, and freed shards.

    routed: prefixes of shards that written routes lead to. A claim becomes good when its routes are there, and is
    given up when they did not come in time; a drained shard is freed when it is empty and nothing leads to it any more.
    """
    for view in views:
        shard = view.shard
        written = shard.prefix in routed
        age_s = now_s - shard.since_s
        if shard.state is ShardState.CLAIMING and written:
            yield step(view, now_s, Act.CONFIRM, f"routes lead to {shard.prefix}")
        elif shard.state is ShardState.CLAIMING and age_s >= settings.claim_timeout_s:
            reason = (
                f"no routes lead to {shard.prefix} after {age_s:.0f} s: the claim is given up; "
                "look whether the routers are connected"
            )
            yield step(view, now_s, Act.ABANDON, reason)
        elif empty(view) and not written:
            yield step(view, now_s, Act.FREE, f"{shard.prefix} is empty, and no route leads to it")


def empty(view: ShardView) -> bool:
    """Whether it drains and has nothing in it any more: then no route needs to lead to it."""
    return view.shard.state is ShardState.DRAINING and not view.needed


def step(view: ShardView, now_s: float, act: Act, reason: str) -> ShardStep:
    """A step of a shard that exists."""
    inputs: dict[str, float | str | None] = {
        "state": str(view.shard.state),
        "granted": view.granted,
        "held": view.held,
        "cooling": view.cooling,
        "reserved": view.reserved,
    }
    shard = view.shard
    name = shard.subdivision or ""
    return ShardStep(now_s, act, name, shard.prefix, shard.sequence, reason, inputs)
