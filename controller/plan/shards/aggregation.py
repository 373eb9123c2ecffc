"""The fewest prefixes that lead to shards: what routers are told. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from controller.model import Shard, ShardState
from controller.plan.shards.block import Block, block, merged


def fewest(prefixes: Iterable[str]) -> tuple[str, ...]:
    """The fewest prefixes that cover exactly what these cover: neighbours are joined, what lies in another left out."""
    return tuple(str(one) for one in merged(map(block, prefixes)))


def advertised(shards: Iterable[Shard]) -> dict[str, tuple[str, ...]]:
    """Subdivision → the fewest prefixes that lead to its shards. Of different subdivisions nothing is joined."""
    own: dict[str, list[Block]] = {}
    for shard in shards:
        if shard.subdivision is not None and shard.state is not ShardState.FREE:
            own.setdefault(shard.subdivision, []).append(block(shard.prefix))
    return {name: tuple(map(str, merged(blocks))) for name, blocks in sorted(own.items())}
