"""Whether the file keeps the pool's invariants (docs/address-pool.md), checked row by row."""

from __future__ import annotations

import sqlite3

from controller.pool.schema import COOLING, GRANTED, HELD, RESERVED
from controller.pool.space import OFFSET_BITS

_CHECKS = {
    "an address lies in no shard": (
        f"SELECT a.id FROM addresses a LEFT JOIN shards s ON s.id = a.id >> {OFFSET_BITS} "
        f"WHERE s.id IS NULL OR (a.id & {(1 << OFFSET_BITS) - 1}) >= s.capacity"
    ),
    "two shards overlap": (
        "SELECT prefix FROM (SELECT prefix, low, lag(high) OVER "
        "(PARTITION BY family ORDER BY low) AS before FROM shards) WHERE before >= low"
    ),
    "an owner has two addresses of a family": (
        f"SELECT owner FROM addresses WHERE state = {GRANTED} GROUP BY owner, family "
        "HAVING count(*) > 1"
    ),
    "a shard's counts are not those of its addresses": (
        "SELECT s.prefix FROM shards s LEFT JOIN (SELECT id >> "
        f"{OFFSET_BITS} AS shard, sum(state = {HELD}) AS held, sum(state = {GRANTED}) AS granted, "
        f"sum(state = {COOLING}) AS cooling, sum(state = {RESERVED}) AS reserved FROM addresses "
        "GROUP BY 1) a ON a.shard = s.id WHERE s.held != COALESCE(a.held, 0) OR "
        "s.granted != COALESCE(a.granted, 0) OR s.cooling != COALESCE(a.cooling, 0) OR "
        "s.reserved != COALESCE(a.reserved, 0)"
    ),
    "an address below the first unused one has no row": (
        f"SELECT s.prefix FROM shards s WHERE s.next_offset != (SELECT count(*) FROM addresses a "
        f"WHERE a.id >= s.id << {OFFSET_BITS} AND a.id < (s.id << {OFFSET_BITS}) + s.next_offset)"
    ),
    "an address waits in the wrong queue": (
        f"SELECT a.id FROM addresses a JOIN shards s ON s.id = a.id >> {OFFSET_BITS} "
        f"WHERE a.state IN ({HELD}, {COOLING}) AND a.queue IS NOT CASE WHEN s.state IN "
        "('assigned', 'prefetched') THEN s.subdivision * 2 + (s.family = 6) END"
    ),
    "an address is warm in a shard that gives none": (
        f"SELECT a.id FROM addresses a JOIN shards s ON s.id = a.id >> {OFFSET_BITS} "
        f"WHERE a.state = {HELD} AND s.state IN ('claiming', 'draining')"
    ),
    "a claimed shard is used before it is confirmed": (
        f"SELECT s.prefix FROM shards s JOIN addresses a ON s.id = a.id >> {OFFSET_BITS} "
        f"WHERE s.state = 'claiming' AND a.state IN ({HELD}, {GRANTED}, {COOLING})"
    ),
    "a sequence number is from the future": (
        "SELECT id FROM addresses WHERE sequence > (SELECT sequence FROM pool)"
    ),
}


def audit(connection: sqlite3.Connection) -> list[str]:
    """Violations, and what violates; empty when all is well. O(addresses in use)."""
    found = []
    for told, query in _CHECKS.items():
        rows = connection.execute(query).fetchmany(10)
        if rows:
            found.append(f"{told}: {', '.join(str(row[0]) for row in rows)}")
    for (said,) in connection.execute("PRAGMA integrity_check(10)").fetchall():
        if said != "ok":
            found.append(f"the file is damaged: {said}")
    return found
