"""What all requests of one transaction share: the time, the sequence numbers, and the counts per shard.

Nothing here outlives the transaction: other processes write the same file.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from controller.model import Address, AddressState, Shard, ShardState
from controller.pool.clocks import Clock, PoolTime
from controller.pool.errors import Refused, Unknown
from controller.pool.schema import COOLING, STATES
from controller.pool.space import OFFSET_BITS, both_at, offset_of, packed

_COUNT = """
UPDATE shards SET held = held + ?1, granted = granted + ?2, cooling = cooling + ?3,
    reserved = reserved + ?4,
    sequence = CASE WHEN state = 'assigned' AND held + ?1 > 0 THEN ?5
        WHEN state = 'prefetched' AND held + ?1 = 0 THEN ?5 ELSE sequence END,
    since_s = CASE WHEN state = 'assigned' AND held + ?1 > 0 THEN ?6
        WHEN state = 'prefetched' AND held + ?1 = 0 THEN ?6 ELSE since_s END,
    state = CASE WHEN state = 'assigned' AND held + ?1 > 0 THEN 'prefetched'
        WHEN state = 'prefetched' AND held + ?1 = 0 THEN 'assigned' ELSE state END
WHERE id = ?7 RETURNING family, first, prefix
"""
SHARD = "id, prefix, family, first, capacity, subdivision, state, sequence, since_s"


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard in the file."""

    id: int
    prefix: str
    family: int
    first: bytes
    capacity: int
    subdivision: int
    state: ShardState
    sequence: int
    since_s: float

    @property
    def queue(self) -> int | None:
        """Where its addresses wait for their next owner; None while it gives none."""
        if self.state in (ShardState.ASSIGNED, ShardState.PREFETCHED):
            return queue_of(self.subdivision, self.family)
        return None

    @property
    def first_id(self) -> int:
        """The row number of its first address."""
        return self.id << OFFSET_BITS

    @property
    def last_id(self) -> int:
        """The row number of its last address."""
        return (self.id + 1 << OFFSET_BITS) - 1


def queue_of(subdivision: int, family: int) -> int:
    """Where the addresses of a subdivision and family wait."""
    return subdivision * 2 + (family == 6)


def shard_row(row: tuple[Any, ...]) -> ShardRow:
    """A row of SHARD."""
    number, prefix, family, first, capacity, subdivision, state, sequence, since_s = row
    return ShardRow(
        number,
        prefix,
        family,
        first,
        capacity,
        subdivision,
        ShardState(state),
        sequence,
        since_s,
    )


class Batch:
    """One transaction."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, cool_s: float) -> None:
        self.connection = connection
        row = connection.execute("SELECT sequence, boot, elapsed_s, pool_s FROM pool").fetchone()
        self._sequence: int = row[0]
        self._time = PoolTime(*row[1:]).at(clock.boot(), clock.elapsed_s())
        self.now_s = self._time.pool_s
        self.wall_s = clock.wall_s()
        self.cooled_s = self.now_s - cool_s  # idle since then or longer: may be given again

    def next_sequence(self) -> int:
        """A number that the pool has never given."""
        self._sequence += 1
        return self._sequence

    def end(self) -> None:
        """Write what the next transaction starts from."""
        self.connection.execute(
            "UPDATE pool SET sequence = ?, boot = ?, elapsed_s = ?, pool_s = ?",
            (self._sequence, self._time.boot, self._time.elapsed_s, self._time.pool_s),
        )

    def subdivision(self, name: str) -> tuple[int, int | None]:
        """(number, quota). Raises Unknown."""
        found = self.connection.execute(
            "SELECT id, quota FROM subdivisions WHERE name = ?", (name,)
        ).fetchone()
        if found is None:
            raise Unknown(f"subdivision {name!r} is not in the pool: register it first")
        return int(found[0]), found[1]

    def shard(self, prefix: str) -> ShardRow:
        """By its prefix. Raises Unknown."""
        found = self.connection.execute(
            f"SELECT {SHARD} FROM shards WHERE prefix = ?", (prefix,)
        ).fetchone()
        if found is None:
            raise Unknown(f"shard {prefix} is free: claim it first")
        return shard_row(found)

    def locate(self, address: str) -> tuple[ShardRow, int] | None:
        """The shard and row number of an address; None when it is in no shard, or cannot be granted."""
        family, data = packed(address)
        found = self.connection.execute(
            f"SELECT {SHARD} FROM shards WHERE family = ? AND low <= ? ORDER BY low DESC LIMIT 1",
            (family, data),
        ).fetchone()
        if found is None:
            return None
        shard = shard_row(found)
        offset = offset_of(shard.first, data)
        return (shard, shard.first_id + offset) if 0 <= offset < shard.capacity else None

    def require(self, address: str) -> tuple[ShardRow, int]:
        """As `locate`. Raises Unknown."""
        found = self.locate(address)
        if found is None:
            raise Unknown(f"{address} is no grantable address of any shard: claim its shard first")
        return found

    def count(
        self, shard: int, *, held: int = 0, granted: int = 0, cooling: int = 0, reserved: int = 0
    ) -> tuple[int, bytes, str]:
        """Change a shard's counts, and whether it is prefetched; returns (family, first, prefix)."""
        row: tuple[int, bytes, str] = self.connection.execute(
            _COUNT,
            (held, granted, cooling, reserved, self.next_sequence(), self.wall_s, shard),
        ).fetchone()
        return row


def address_of(
    row: tuple[int, int, str | None, str | None, int, float, float],
    shard: tuple[int, bytes, str],
    cooled_s: float,
) -> Address:
    """A row (id, state, owner, reserved, sequence, since_s, idle_s) of a shard (family, first, prefix)."""
    number, state, owner, reserved, sequence, since_s, idle_s = row
    address, mac = both_at(shard[0], shard[1], number & ((1 << OFFSET_BITS) - 1))
    cooled = state == COOLING and idle_s <= cooled_s
    return Address(
        address=address,
        shard=shard[2],
        state=AddressState.FREE if cooled else STATES[state],
        owner=owner or reserved or None,
        mac=mac,
        sequence=sequence,
        since_s=since_s,
    )


def shard_of(row: ShardRow, subdivision: str) -> Shard:
    """A row as the model's word."""
    return Shard(row.prefix, subdivision, row.state, row.sequence, row.since_s)


def expect(sequence: int, found: int, what: str) -> None:
    """Refuse who acts on an old state."""
    if sequence != found:
        raise Refused(
            f"{what} has changed since (sequence {found}, not {sequence}): look again and decide anew"
        )
