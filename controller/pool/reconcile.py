"""Compares the pool with the world. The world is right about what runs; the pool is right about what it promised
since the look began.

First only reading, so that grants go on; then each change by itself, and only if its row is still as it was read. An
absence must be seen twice, by looks that began at least `gap_s` apart, before anything is taken
from anybody; a presence is believed at once, because to give an address to two is the worse fault.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from controller.pool import grants
from controller.pool.batch import SHARD, Batch, ShardRow, shard_row
from controller.pool.schema import COOLING, GRANTED, HELD, RESERVED
from controller.pool.space import address_at, canonical
from controller.pool.world import Reconciliation, World

Change = Callable[[Batch], tuple[str, str] | None]  # → (field of Reconciliation, what)
_ROWS = (
    "SELECT id, state, owner, reserved, sequence, suspect, suspect_s FROM addresses "
    "WHERE id BETWEEN ? AND ?"
)


@dataclass(slots=True)
class Comparison:
    """What there is to change, and what there is to tell."""

    changes: list[Change] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of `_ROWS` with its address."""

    shard: ShardRow
    address: str
    id: int
    state: int
    owner: str | None
    reserved: str | None
    sequence: int
    suspect: int | None
    suspect_s: float | None


def compare(connection: sqlite3.Connection, world: World, gap_s: float) -> Comparison:
    """Read one snapshot of the pool. O(addresses in use)."""
    found = Comparison()
    instances = {canonical(address): by for address, by in world.instances.items()}
    holders = {canonical(address) for address in world.holders}
    owned = connection.execute(
        f"SELECT {SHARD}, (SELECT name FROM subdivisions d WHERE d.id = subdivision) FROM shards"
    ).fetchall()
    for *fields, name in owned:
        if name not in world.subdivisions:
            continue
        shard = shard_row(tuple(fields))
        for row in _rows(connection, shard):
            seen = row.address in instances
            by = instances.pop(row.address, None)
            held = row.address in holders
            holders.discard(row.address)
            if row.sequence <= world.observation.sequence:
                _judge(found, row, world, gap_s, seen, by, held)
    for address, by in instances.items():
        found.changes.append(_adopting_unknown(address, by))
    found.told += [("holders_to_end", address) for address in sorted(holders)]
    return found


def carry_out(batch: Batch, changes: list[Change]) -> list[tuple[str, str]]:
    """Make the changes whose rows are still as they were read."""
    done = (change(batch) for change in changes)
    return [each for each in done if each is not None]


def summary(told: list[tuple[str, str]]) -> Reconciliation:
    """Sorted by what they are."""
    by_name: dict[str, list[str]] = {}
    for name, what in told:
        by_name.setdefault(name, []).append(what)
    return Reconciliation(**{name: tuple(each) for name, each in by_name.items()})


def _rows(connection: sqlite3.Connection, shard: ShardRow) -> Iterator[_Row]:
    for row in connection.execute(_ROWS, (shard.first_id, shard.last_id)):
        address = address_at(shard.family, shard.first, row[0] - shard.first_id)
        yield _Row(shard, address, *row)


def _judge(
    found: Comparison,
    row: _Row,
    world: World,
    gap_s: float,
    seen: bool,
    by: str | None,
    held: bool,
) -> None:
    second = _second(row.suspect, row.suspect_s, world, gap_s)
    if held and row.state != HELD:
        found.told.append(("holders_to_end", row.address))
    if row.state == GRANTED and not seen and row.owner not in world.owners:
        found.changes.append(_releasing(row) if second else _suspecting(row, world, "suspected"))
    elif row.state == GRANTED and seen and by not in (None, row.owner):
        found.told.append(
            (
                "conflicts",
                f"{row.address} is granted to {row.owner!r}, but {by!r} runs with it: end one of them",
            )
        )
    elif row.state == RESERVED and seen and by != row.reserved:
        found.told.append(
            (
                "conflicts",
                f"{row.address} is reserved, but {by!r} runs with it: end it, or give up the reservation",
            )
        )
    elif row.state == HELD and not seen and not held:
        change = _unholding(row) if second else _suspecting(row, world, "holders_missing")
        found.changes.append(change)
    elif row.state == COOLING and seen and not second:
        found.changes.append(_lingering(row, by, world))
    elif row.state != GRANTED and seen:
        found.changes.append(_adopting(row, by))
    elif row.suspect is not None:
        found.changes.append(_clearing(row))


def _second(suspect: int | None, suspect_s: float | None, world: World, gap_s: float) -> bool:
    """Whether an earlier look, long enough ago, found the same."""
    if suspect is None or suspect_s is None:
        return False
    look = world.observation
    return suspect < look.sequence and look.begun_s - suspect_s >= gap_s


def _same(batch: Batch, row: _Row) -> bool:
    """Whether neither the address nor what another look said of it has changed since it was read."""
    found = batch.connection.execute(
        "SELECT sequence, suspect FROM addresses WHERE id = ?", (row.id,)
    ).fetchone()
    return bool(found == (row.sequence, row.suspect))


def _suspecting(row: _Row, world: World, name: str) -> Change:
    def change(batch: Batch) -> tuple[str, str] | None:
        if not _same(batch, row):
            return None
        if row.suspect is None:
            _mark(batch, row.id, world)
        return name, row.address

    return change


def _clearing(row: _Row) -> Change:
    def change(batch: Batch) -> None:
        if _same(batch, row):
            batch.connection.execute(
                "UPDATE addresses SET suspect = NULL, suspect_s = NULL WHERE id = ?", (row.id,)
            )

    return change


def _releasing(row: _Row) -> Change:
    def change(batch: Batch) -> tuple[str, str] | None:
        if not _same(batch, row):
            return None
        grants.end_grant(batch, batch.shard(row.shard.prefix), row.id, row.reserved)
        return "released", row.address

    return change


def _unholding(row: _Row) -> Change:
    def change(batch: Batch) -> tuple[str, str] | None:
        if not _same(batch, row):
            return None
        grants.end_hold(batch, batch.shard(row.shard.prefix), row.id, row.sequence)
        return "unheld", row.address

    return change


def _lingering(row: _Row, by: str | None, world: World) -> Change:
    """Still in use after its release. Its sequence number stays: a second look must know it again."""

    def change(batch: Batch) -> tuple[str, str] | None:
        cooling = batch.connection.execute(
            "UPDATE addresses SET idle_s = ? WHERE id = ? AND sequence = ? AND idle_s > ?",
            (batch.now_s, row.id, row.sequence, batch.cooled_s),
        ).rowcount
        if not cooling:  # it could be given to somebody at any moment
            return _adopting(row, by)(batch)
        if row.suspect is None:
            _mark(batch, row.id, world)
        return "lingering", row.address

    return change


def _adopting(row: _Row, by: str | None) -> Change:
    def change(batch: Batch) -> tuple[str, str] | None:
        if not _same(batch, row):
            return None
        return grants.adopt(batch, batch.shard(row.shard.prefix), row.id, row.address, by)

    return change


def _adopting_unknown(address: str, by: str | None) -> Change:
    """An instance runs with an address that the pool has no row for: never used as far as it knows."""

    def change(batch: Batch) -> tuple[str, str] | None:
        place = batch.locate(address)
        if place is None:
            return "conflicts", f"{by or 'an instance'!r} runs with {address}, of no shard: end it"
        shard, number = place
        row = batch.connection.execute("SELECT 1 FROM addresses WHERE id = ?", (number,)).fetchone()
        if row is not None:
            return None  # taken meanwhile, or elsewhere than where everything was seen
        return grants.adopt(batch, shard, number, address, by)

    return change


def _mark(batch: Batch, number: int, world: World) -> None:
    batch.connection.execute(
        "UPDATE addresses SET suspect = ?, suspect_s = ? WHERE id = ?",
        (world.observation.sequence, world.observation.begun_s, number),
    )
