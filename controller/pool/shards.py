"""The life of shards in the pool: two-phase claims, draining, giving back."""

from __future__ import annotations

import ipaddress
import json

from controller.model import Shard, ShardState, Subdivision
from controller.pool.batch import SHARD, Batch, ShardRow, expect, shard_of, shard_row
from controller.pool.errors import Full, Refused
from controller.pool.schema import COOLING, HELD
from controller.pool.space import Block, block, same_tagged, tag

NAME_MOST = 256


def register(batch: Batch, subdivision: Subdivision) -> None:
    """Make a subdivision known, or change it; what is granted beyond a lowered quota stays. Raises Refused when a shard
    of it would lie outside.
    """
    prefixes = [block(each).prefix for each in subdivision.prefixes]
    if not subdivision.name.isprintable() or not 1 <= len(subdivision.name) <= NAME_MOST:
        raise Refused(f"subdivision {subdivision.name[:40]!r}: give it 1 to {NAME_MOST} characters")
    if subdivision.quota is not None and subdivision.quota < 0:
        raise Refused(
            f"{subdivision.name}: a quota of {subdivision.quota} is none: 0 or more, or no quota"
        )
    batch.connection.execute(
        "INSERT INTO subdivisions (name, prefixes, site, switch, max_shards, quota, external) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
        "prefixes = excluded.prefixes, site = excluded.site, switch = excluded.switch, "
        "max_shards = excluded.max_shards, quota = excluded.quota, external = excluded.external",
        (
            subdivision.name,
            json.dumps(prefixes),
            subdivision.site,
            subdivision.switch,
            subdivision.max_shards,
            subdivision.quota,
            subdivision.external,
        ),
    )
    for shard in _of(batch, batch.subdivision(subdivision.name)[0]):
        _within(shard.prefix, prefixes, subdivision.name)


def claim(batch: Batch, prefix: str, subdivision: str, claimant: str) -> Shard:
    """Phase one: nobody else can have the shard now. The same claim again is the same claim.

    Raises Unknown, Refused when it overlaps another or lies outside the subdivision, Full beyond max_shards.
    """
    wanted = block(prefix)
    number, _ = batch.subdivision(subdivision)
    for other in _overlapping(batch, wanted):
        (by,) = batch.connection.execute(
            "SELECT claimant FROM shards WHERE id = ?", (other.id,)
        ).fetchone()
        same = (other.prefix, other.subdivision, by) == (wanted.prefix, number, claimant)
        if same and other.state is ShardState.CLAIMING:
            return shard_of(other, subdivision)
        raise Refused(
            f"{wanted.prefix} overlaps shard {other.prefix} ({other.state}): choose another"
        )
    prefixes, most = batch.connection.execute(
        "SELECT prefixes, max_shards FROM subdivisions WHERE id = ?", (number,)
    ).fetchone()
    _within(wanted.prefix, json.loads(prefixes), subdivision)
    if wanted.capacity < 1:
        raise Refused(f"{wanted.prefix} has no address to grant: choose a larger one")
    if len(_of(batch, number)) >= most:
        raise Full(f"{subdivision} has its {most} shards: raise max_shards, or drain one")
    _refuse_same_tag(batch, wanted)
    batch.connection.execute(
        "INSERT INTO shards (prefix, family, low, high, first, capacity, subdivision, state, "
        "claimant, sequence, since_s) VALUES (?, ?, ?, ?, ?, ?, ?, 'claiming', ?, ?, ?)",
        (
            wanted.prefix,
            wanted.family,
            wanted.low,
            wanted.high,
            wanted.first,
            wanted.capacity,
            number,
            claimant,
            batch.next_sequence(),
            batch.wall_s,
        ),
    )
    return shard_of(batch.shard(wanted.prefix), subdivision)


def confirm(batch: Batch, prefix: str, sequence: int) -> Shard:
    """Phase two: the routes are written; its addresses can be granted. Raises Unknown, Refused."""
    shard = _in_state(batch, prefix, sequence, ShardState.CLAIMING)
    return _change(batch, shard, ShardState.ASSIGNED)


def abandon(batch: Batch, prefix: str, sequence: int) -> None:
    """Give a claim up. Raises Unknown, Refused."""
    shard = _in_state(batch, prefix, sequence, ShardState.CLAIMING)
    batch.connection.execute("DELETE FROM shards WHERE id = ?", (shard.id,))


def drain(batch: Batch, prefix: str, sequence: int) -> Shard:
    """It gives no more addresses; what it holds warm goes cold. Raises Unknown, Refused."""
    shard = _in_state(batch, prefix, sequence, ShardState.ASSIGNED, ShardState.PREFETCHED)
    held = batch.connection.execute(
        f"UPDATE addresses SET state = {COOLING}, sequence = ?, since_s = ?, idle_s = ? "
        f"WHERE id BETWEEN ? AND ? AND state = {HELD}",
        (batch.next_sequence(), batch.wall_s, batch.now_s, shard.first_id, shard.last_id),
    ).rowcount
    batch.count(shard.id, held=-held, cooling=held)
    _queue(batch, shard, None)
    return _change(batch, shard, ShardState.DRAINING)


def undrain(batch: Batch, prefix: str, sequence: int) -> Shard:
    """It gives addresses again. Raises Unknown, Refused."""
    shard = _in_state(batch, prefix, sequence, ShardState.DRAINING)
    changed = _change(batch, shard, ShardState.ASSIGNED)
    again = batch.shard(prefix)
    _queue(batch, again, again.queue)
    return changed


def free(batch: Batch, prefix: str, sequence: int) -> None:
    """Give a drained shard back, its routes withdrawn. Raises Unknown; Refused while an address of it is granted,
    reserved or cooling.
    """
    shard = _in_state(batch, prefix, sequence, ShardState.DRAINING)
    granted, reserved = batch.connection.execute(
        "SELECT granted, reserved FROM shards WHERE id = ?", (shard.id,)
    ).fetchone()
    (cooling,) = batch.connection.execute(
        f"SELECT count(*) FROM addresses WHERE id BETWEEN ? AND ? AND state = {COOLING} AND idle_s > ?",
        (shard.first_id, shard.last_id, batch.cooled_s),
    ).fetchone()
    if granted or reserved or cooling:
        raise Refused(
            f"{shard.prefix}: {granted} addresses are granted, {reserved} reserved, {cooling} cooling: wait for them"
        )
    batch.connection.execute(
        "DELETE FROM addresses WHERE id BETWEEN ? AND ?", (shard.first_id, shard.last_id)
    )
    batch.connection.execute("DELETE FROM shards WHERE id = ?", (shard.id,))


def _change(batch: Batch, shard: ShardRow, state: ShardState) -> Shard:
    batch.connection.execute(
        "UPDATE shards SET state = ?, sequence = ?, since_s = ? WHERE id = ?",
        (state.value, batch.next_sequence(), batch.wall_s, shard.id),
    )
    (name,) = batch.connection.execute(
        "SELECT name FROM subdivisions WHERE id = ?", (shard.subdivision,)
    ).fetchone()
    return shard_of(batch.shard(shard.prefix), name)


def _queue(batch: Batch, shard: ShardRow, queue: int | None) -> None:
    batch.connection.execute(
        "UPDATE addresses SET queue = ? WHERE id BETWEEN ? AND ?",
        (queue, shard.first_id, shard.last_id),
    )


def _in_state(batch: Batch, prefix: str, sequence: int, *states: ShardState) -> ShardRow:
    shard = batch.shard(block(prefix).prefix)
    if shard.state not in states:
        wanted = " or ".join(states)
        raise Refused(f"shard {shard.prefix} is {shard.state}, not {wanted}: look again")
    expect(sequence, shard.sequence, f"shard {shard.prefix}")
    return shard


def _of(batch: Batch, subdivision: int) -> list[ShardRow]:
    rows = batch.connection.execute(
        f"SELECT {SHARD} FROM shards WHERE subdivision = ?", (subdivision,)
    )
    return [shard_row(row) for row in rows.fetchall()]


def _overlapping(batch: Batch, wanted: Block) -> list[ShardRow]:
    """Shards do not overlap one another: only the one that begins before it, and those that begin in it."""
    rows = batch.connection.execute(
        f"SELECT {SHARD} FROM shards WHERE family = ?1 AND low <= ?3 AND high >= ?2 AND low >= "
        "COALESCE((SELECT max(low) FROM shards WHERE family = ?1 AND low <= ?2), ?2)",
        (wanted.family, wanted.low, wanted.high),
    )
    return [shard_row(row) for row in rows.fetchall()]


def _refuse_same_tag(batch: Batch, wanted: Block) -> None:
    """Two IPv6 shards of different /108 must not share MAC addresses (see space.mac_of)."""
    if wanted.family != 6:
        return
    rows = batch.connection.execute("SELECT prefix, first FROM shards WHERE family = 6").fetchall()
    for prefix, first in rows:
        if tag(first) == tag(wanted.first) and not same_tagged(first, wanted.first):
            raise Refused(f"{wanted.prefix} would have MAC addresses of {prefix}: choose another")


def _within(prefix: str, prefixes: list[str], subdivision: str) -> None:
    network = ipaddress.ip_network(prefix)
    for each in prefixes:
        outer = ipaddress.ip_network(each)
        if outer.version == network.version and network.subnet_of(outer):  # type: ignore[arg-type]
            return
    listed = ", ".join(prefixes)
    raise Refused(f"{prefix} lies outside {subdivision} ({listed}): choose a shard within it")
