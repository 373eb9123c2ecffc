"""How many addresses of each shard are in which state: what the sharding engine looks at."""

from __future__ import annotations

from dataclasses import dataclass

from controller.model import Shard
from controller.pool.batch import SHARD, shard_of, shard_row
from controller.pool.pool import Pool
from controller.pool.schema import COOLING
from controller.pool.space import OFFSET_BITS


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Of one shard. cooling: released, and not to be given yet."""

    shard: Shard
    granted: int
    held: int
    cooling: int
    reserved: int


def occupancy(pool: Pool) -> list[Occupancy]:
    """All shards that are not free, by family and address, from one snapshot. Raises Unavailable."""
    with pool.reading() as batch:
        shards = batch.connection.execute(
            f"SELECT {SHARD}, (SELECT name FROM subdivisions d WHERE d.id = subdivision), "
            "granted, held, reserved FROM shards ORDER BY family, low"
        ).fetchall()
        cooling = dict(
            batch.connection.execute(
                f"SELECT id >> {OFFSET_BITS}, count(*) FROM addresses "
                f"WHERE state = {COOLING} AND idle_s > ? GROUP BY 1",
                (batch.cooled_s,),
            ).fetchall()
        )
    found = []
    for *fields, name, granted, held, reserved in shards:
        row = shard_row(tuple(fields))
        shard = shard_of(row, name)
        found.append(Occupancy(shard, granted, held, cooling.get(row.id, 0), reserved))
    return found
