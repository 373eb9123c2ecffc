"""Taking and releasing addresses, holding them ahead, reserving them. Each function is one request in a transaction.

The next address is the one idle longest: those never used come first (idle for ever), then the cooled in the
order in which they were released. Warm ones are given in the order in which they were held.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.model import Address, Grant
from controller.pool.batch import Batch, ShardRow, address_of, queue_of
from controller.pool.errors import Full, Refused
from controller.pool.schema import COOLING, GRANTED, HELD, RESERVED
from controller.pool.space import OFFSET_BITS, both_at

FAMILIES = (4, 6)
NEVER_S = -1e12  # idle since ever
_READ = "SELECT id, state, owner, reserved, sequence, since_s, idle_s FROM addresses WHERE id = ?"
# The states are literals, as in the indexes: SQLite uses a partial index only when it can prove its condition.
_GRANTED = f"""
SELECT a.id, a.family, a.sequence, a.warm, s.first, s.prefix, s.subdivision
FROM addresses a JOIN shards s ON s.id = a.id >> {OFFSET_BITS}
WHERE a.owner = ? AND a.state = {GRANTED} ORDER BY a.family
"""
_WARM = f"""
UPDATE addresses SET state = {GRANTED}, owner = ?, warm = 1, sequence = ?, since_s = ?,
    suspect = NULL
WHERE id = (SELECT id FROM addresses WHERE queue = ? AND state = {HELD} ORDER BY sequence LIMIT 1)
RETURNING id
"""
_IDLE = f"""
SELECT id, idle_s FROM addresses WHERE queue = ? AND state = {COOLING}
ORDER BY idle_s, sequence LIMIT 1
"""
_FRESH = """
SELECT id, next_offset, capacity FROM shards
WHERE subdivision = ? AND family = ? AND next_offset < capacity
    AND state IN ('assigned', 'prefetched')
ORDER BY low LIMIT 1
"""
_FRESH_IN_FULLEST = _FRESH.replace("ORDER BY", "ORDER BY granted + held DESC,")
_GRANT = f"""
UPDATE addresses SET state = {GRANTED}, owner = ?, warm = 0, sequence = ?, since_s = ?,
    suspect = NULL
WHERE id = ?
"""
_INSERT = """
INSERT OR IGNORE INTO addresses (id, family, queue, state, owner, sequence, since_s, idle_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def take(
    batch: Batch, subdivision: str, owner: str, reserved: str | None, family: int | None
) -> Grant:
    """An address for an owner; the one that it has, if it has one. Raises Unknown, Refused, Full."""
    number, quota = batch.subdivision(subdivision)
    found = _granted(batch, owner, number, subdivision, reserved, family)
    if found is not None:
        return found
    if quota is not None and (used := _in_use(batch, number)) >= quota:
        raise Full(f"{subdivision}: {used} of its quota of {quota} addresses are granted: raise it")
    families = FAMILIES if family is None else (family,)
    own = _reserved_for(batch, owner, number, reserved, families)
    if own is not None:
        return own
    for each in families:
        sequence = batch.next_sequence()
        row = batch.connection.execute(
            _WARM, (owner, sequence, batch.wall_s, queue_of(number, each))
        ).fetchall()
        if row:
            return _told(batch, row[0][0], owner, sequence, held=-1)
    for each in families:
        fresh = _fresh(batch, number, each, GRANTED, owner)
        if fresh is not None:
            return _told(batch, fresh[0], owner, fresh[1])
        idle = _idle(batch, number, each)
        if idle is not None:
            sequence = batch.next_sequence()
            batch.connection.execute(_GRANT, (owner, sequence, batch.wall_s, idle))
            return _told(batch, idle, owner, sequence, cooling=-1)
    raise Full(f"{subdivision} has no free address: give it another shard, or wait for the cooling")


def release(batch: Batch, address: str, owner: str, sequence: int) -> bool:
    """End a grant. False when this grant is over already. Raises Refused when it is another owner's."""
    found = batch.locate(address)
    if found is None:
        return False  # its shard was given up since
    shard, number = found
    row = batch.connection.execute(
        f"SELECT owner, reserved, sequence FROM addresses WHERE id = ? AND state = {GRANTED}",
        (number,),
    ).fetchone()
    if row is None or row[2] != sequence:
        return False
    if row[0] != owner:
        raise Refused(f"{address} is not {owner!r}'s: only its owner releases it")
    end_grant(batch, shard, number, row[1])
    return True


def end_grant(batch: Batch, shard: ShardRow, number: int, reserved: str | None) -> None:
    """A granted row cools down, or goes back to being reserved."""
    state = COOLING if reserved is None else RESERVED
    batch.connection.execute(
        "UPDATE addresses SET state = ?, owner = NULL, queue = ?, sequence = ?, since_s = ?, "
        "idle_s = ?, suspect = NULL WHERE id = ?",
        (state, shard.queue, batch.next_sequence(), batch.wall_s, batch.now_s, number),
    )
    back = 1 if reserved is None else 0
    batch.count(shard.id, granted=-1, cooling=back, reserved=1 - back)


def hold(batch: Batch, subdivision: str, most: int, family: int) -> list[Address]:
    """Make up to so many addresses warm; fewer when there are no more, or the quota has no room for them."""
    number, quota = batch.subdivision(subdivision)
    if quota is not None:
        held = batch.connection.execute(
            "SELECT COALESCE(SUM(held), 0) FROM shards WHERE subdivision = ?", (number,)
        ).fetchone()[0]
        most = min(most, quota - _in_use(batch, number) - held)
    found: list[int] = []
    while len(found) < most:
        fresh = _hold_fresh(batch, number, family, most - len(found))
        if fresh is not None:
            found += fresh
            continue
        idle = _idle(batch, number, family)
        if idle is None:
            break
        batch.connection.execute(
            f"UPDATE addresses SET state = {HELD}, sequence = ?, since_s = ?, suspect = NULL WHERE id = ?",
            (batch.next_sequence(), batch.wall_s, idle),
        )
        batch.count(idle >> OFFSET_BITS, held=1, cooling=-1)
        found.append(idle)
    return _read_all(batch, found)


def unhold(batch: Batch, addresses: Iterable[tuple[str, int]]) -> list[str]:
    """Let (address, sequence) go cold; returns those that were still held as they were then."""
    ended = []
    for address, sequence in addresses:
        found = batch.locate(address)
        if found is not None and end_hold(batch, *found, sequence):
            ended.append(address)
    return ended


def end_hold(batch: Batch, shard: ShardRow, number: int, sequence: int) -> bool:
    """A held row cools down: its holder may still answer for a moment. False when it has changed."""
    changed = batch.connection.execute(
        f"UPDATE addresses SET state = {COOLING}, queue = ?, sequence = ?, since_s = ?, idle_s = ?, "
        f"suspect = NULL WHERE id = ? AND state = {HELD} AND sequence = ?",
        (shard.queue, batch.next_sequence(), batch.wall_s, batch.now_s, number, sequence),
    ).rowcount
    if changed:
        batch.count(shard.id, held=-1, cooling=1)
    return bool(changed)


def reserve(batch: Batch, address: str, owner: str | None) -> Address:
    """Keep an address for an owner, or from everybody (None). Raises Unknown; Refused when it is in use."""
    shard, number = batch.require(address)
    row = batch.connection.execute(_READ, (number,)).fetchone()
    if row is None:
        _insert(batch, shard, number, RESERVED, None)
        batch.count(shard.id, reserved=1)
    elif row[1] == COOLING:
        batch.count(shard.id, reserved=1, cooling=-1)
    elif row[1] != RESERVED or row[3] != (owner or ""):
        remedy = {HELD: "unhold it first", RESERVED: "give its reservation up first"}.get(
            row[1], "release it first"
        )
        raise Refused(f"{address} is in use by {row[2] or row[3] or 'its holder'!r}: {remedy}")
    batch.connection.execute(
        f"UPDATE addresses SET state = {RESERVED}, reserved = ?, sequence = ?, since_s = ? WHERE id = ?",
        (owner or "", batch.next_sequence(), batch.wall_s, number),
    )
    return read(batch, number)


def unreserve(batch: Batch, address: str) -> None:
    """Give a reservation up; if the address is granted now, at its release."""
    shard, number = batch.require(address)
    row = batch.connection.execute(
        "SELECT state, reserved FROM addresses WHERE id = ?", (number,)
    ).fetchone()
    if row is None or row[1] is None:
        raise Refused(f"{address} is not reserved: nothing to give up")
    if row[0] != RESERVED:
        batch.connection.execute("UPDATE addresses SET reserved = NULL WHERE id = ?", (number,))
        return
    batch.connection.execute(
        f"UPDATE addresses SET state = {COOLING}, reserved = NULL, queue = ?, sequence = ?, "
        "since_s = ?, idle_s = ? WHERE id = ?",
        (shard.queue, batch.next_sequence(), batch.wall_s, batch.now_s, number),
    )
    batch.count(shard.id, reserved=-1, cooling=1)


def read(batch: Batch, number: int) -> Address:
    """A row that is there."""
    return _read_all(batch, [number])[0]


def _read_all(batch: Batch, numbers: list[int]) -> list[Address]:
    """Rows that are there; neighbours share a look at their shard."""
    shards: dict[int, tuple[int, bytes, str]] = {}
    found = []
    for number in numbers:
        shard = number >> OFFSET_BITS
        if shard not in shards:
            shards[shard] = batch.connection.execute(
                "SELECT family, first, prefix FROM shards WHERE id = ?", (shard,)
            ).fetchone()
        row = batch.connection.execute(_READ, (number,)).fetchone()
        found.append(address_of(row, shards[shard], batch.cooled_s))
    return found


def granted_to(batch: Batch, owner: str) -> list[tuple[Any, ...]]:
    """An owner's rows, at most one of each family: id, family, sequence, warm, first, prefix, subdivision."""
    return batch.connection.execute(_GRANTED, (owner,)).fetchall()


def adopt(
    batch: Batch, shard: ShardRow, number: int, address: str, owner: str | None
) -> tuple[str, str]:
    """An instance runs with an address that is not granted: it is now. → (what it is, address or sentence)."""
    told = ("adopted", address)
    taker = owner or f"unknown:{address}"
    if any(each[1] == shard.family for each in granted_to(batch, taker)):
        taker = f"unknown:{address}"
        told = (
            "conflicts",
            f"{owner!r} runs with {address} and has another: kept as {taker!r}, end one of them",
        )
    row = batch.connection.execute("SELECT state FROM addresses WHERE id = ?", (number,)).fetchone()
    if row is None:
        _insert(batch, shard, number, GRANTED, taker)
        batch.count(shard.id, granted=1)
        return told
    batch.connection.execute(_GRANT, (taker, batch.next_sequence(), batch.wall_s, number))
    counted = {HELD: "held", COOLING: "cooling", RESERVED: "reserved"}[row[0]]
    batch.count(shard.id, granted=1, **{counted: -1})
    return told


def _granted(
    batch: Batch,
    owner: str,
    subdivision: int,
    name: str,
    reserved: str | None,
    family: int | None,
) -> Grant | None:
    for number, version, sequence, warm, first, prefix, where in granted_to(batch, owner):
        if family not in (None, version):
            continue
        address, mac = both_at(version, first, number & ((1 << OFFSET_BITS) - 1))
        if where != subdivision or reserved not in (None, address):
            raise Refused(
                f"{owner!r} has {address} already, which is not what it asks of {name}: release it first"
            )
        return Grant(address, mac, owner, sequence, bool(warm), prefix)
    return None


def _reserved_for(
    batch: Batch,
    owner: str,
    subdivision: int,
    reserved: str | None,
    families: tuple[int, ...],
) -> Grant | None:
    """Grant the reservation that was asked for, else the owner's own."""
    rows = batch.connection.execute(
        f"SELECT a.id, a.idle_s FROM addresses a JOIN shards s ON s.id = a.id >> {OFFSET_BITS} "
        f"WHERE a.reserved = ? AND a.state = {RESERVED} AND s.subdivision = ? "
        f"AND a.family IN ({','.join(map(str, families))}) AND s.state IN ('assigned', 'prefetched') "
        "ORDER BY a.id",
        (owner, subdivision),
    ).fetchall()
    if reserved is not None:
        _, wanted = batch.require(reserved)
        rows = [row for row in rows if row[0] == wanted]
        if not rows:
            raise Refused(f"{reserved} is not reserved for {owner!r} there: reserve it first")
    for number, idle_s in rows:
        if idle_s <= batch.cooled_s:
            sequence = batch.next_sequence()
            batch.connection.execute(_GRANT, (owner, sequence, batch.wall_s, number))
            return _told(batch, number, owner, sequence, reserved=-1)
    if reserved is not None:
        raise Refused(f"{reserved} was in use until just now: ask again when it has cooled down")
    return None


def _fresh(
    batch: Batch, subdivision: int, family: int, state: int, owner: str | None
) -> tuple[int, int] | None:
    """(number, sequence) of a row made for an address that was never used."""
    queue = queue_of(subdivision, family)
    while True:
        row = batch.connection.execute(_FRESH, (subdivision, family)).fetchone()
        if row is None:
            return None
        shard, offset, _ = row
        batch.connection.execute(
            "UPDATE shards SET next_offset = next_offset + 1 WHERE id = ?", (shard,)
        )
        number, sequence = (shard << OFFSET_BITS) + offset, batch.next_sequence()
        made = batch.connection.execute(
            _INSERT,
            (number, family, queue, state, owner, sequence, batch.wall_s, batch.now_s),
        ).rowcount
        if made:  # else it was reserved, or found in use, before its turn
            return number, sequence


def _hold_fresh(batch: Batch, subdivision: int, family: int, most: int) -> list[int] | None:
    """Rows of up to so many neighbours that were never used, in the fullest shard that has any: the others stay
    empty and can be given back. None when there are none.
    """
    row = batch.connection.execute(_FRESH_IN_FULLEST, (subdivision, family)).fetchone()
    if row is None:
        return None
    shard, start, capacity = row
    end = min(capacity, start + most)
    batch.connection.execute("UPDATE shards SET next_offset = ? WHERE id = ?", (end, shard))
    queue, wall_s, now_s = queue_of(subdivision, family), batch.wall_s, batch.now_s
    numbers = [(shard << OFFSET_BITS) + offset for offset in range(start, end)]
    first = batch.next_sequence()
    sequences = [first, *(batch.next_sequence() for _ in numbers[1:])]
    made = batch.connection.executemany(
        _INSERT,
        [
            (number, family, queue, HELD, None, sequence, wall_s, now_s)
            for number, sequence in zip(numbers, sequences, strict=True)
        ],
    ).rowcount
    batch.count(shard, held=made)
    if made == len(numbers):
        return numbers
    rows = batch.connection.execute(  # some were reserved, or found in use, before their turn
        f"SELECT id FROM addresses WHERE id BETWEEN ? AND ? AND state = {HELD} AND sequence >= ?",
        (numbers[0], numbers[-1], first),
    )
    return [row[0] for row in rows.fetchall()]


def _idle(batch: Batch, subdivision: int, family: int) -> int | None:
    """The row idle longest, if it has cooled down: when it has not, no other has."""
    row = batch.connection.execute(_IDLE, (queue_of(subdivision, family),)).fetchone()
    return int(row[0]) if row is not None and row[1] <= batch.cooled_s else None


def _insert(batch: Batch, shard: ShardRow, number: int, state: int, owner: str | None) -> None:
    """A row for an address that was never used, before its turn."""
    batch.connection.execute(
        _INSERT,
        (
            number,
            shard.family,
            shard.queue,
            state,
            owner,
            batch.next_sequence(),
            batch.wall_s,
            NEVER_S,
        ),
    )


def _in_use(batch: Batch, subdivision: int) -> int:
    row = batch.connection.execute(
        "SELECT COALESCE(SUM(granted), 0) FROM shards WHERE subdivision = ?", (subdivision,)
    ).fetchone()
    return int(row[0])


def _told(batch: Batch, number: int, owner: str, sequence: int, **counts: int) -> Grant:
    family, first, prefix = batch.count(number >> OFFSET_BITS, granted=1, **counts)
    address, mac = both_at(family, first, number & ((1 << OFFSET_BITS) - 1))
    return Grant(address, mac, owner, sequence, "held" in counts, prefix)
