"""How many addresses of a subdivision are in which state."""

from __future__ import annotations

from dataclasses import dataclass

from controller.pool.batch import Batch, queue_of
from controller.pool.schema import COOLING


@dataclass(frozen=True, slots=True)
class Counts:
    """capacity = free + held + granted + cooling + reserved, over the shards that are claimed for good.

    `draining` of the capacity lies in shards that give no more addresses; their idle addresses count as cooling.
    """

    capacity: int
    free: int
    held: int
    granted: int
    cooling: int
    reserved: int
    draining: int
    quota: int | None


def counts(batch: Batch, subdivision: str) -> Counts:
    """Raises Unknown. Costs a look at each shard and at each address that is really cooling."""
    number, quota = batch.subdivision(subdivision)
    capacity, held, granted, reserved, draining, gone = batch.connection.execute(
        "SELECT COALESCE(SUM(capacity), 0), COALESCE(SUM(held), 0), COALESCE(SUM(granted), 0), "
        "COALESCE(SUM(reserved), 0), "
        "COALESCE(SUM(CASE WHEN state = 'draining' THEN capacity END), 0), "
        "COALESCE(SUM(CASE WHEN state = 'draining' "
        "THEN capacity - held - granted - reserved END), 0) "
        "FROM shards WHERE subdivision = ? AND state != 'claiming'",
        (number,),
    ).fetchone()
    cooling = gone
    for family in (4, 6):
        (still,) = batch.connection.execute(
            f"SELECT count(*) FROM addresses WHERE queue = ? AND state = {COOLING} AND idle_s > ?",
            (queue_of(number, family), batch.cooled_s),
        ).fetchone()
        cooling += still
    free = capacity - held - granted - cooling - reserved
    return Counts(capacity, free, held, granted, cooling, reserved, draining, quota)
