"""Reading the pool for people and planners: beside the writer, from SQLite's last committed state."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from controller.model import Address, AddressState, Shard, ShardState, Subdivision
from controller.pool.batch import SHARD, Batch, address_of, shard_of, shard_row
from controller.pool.errors import Refused
from controller.pool.schema import COOLING, GRANTED, HELD, RESERVED
from controller.pool.space import OFFSET_BITS, both_at

_NUMBERS = {
    AddressState.HELD: HELD,
    AddressState.GRANTED: GRANTED,
    AddressState.COOLING: COOLING,
    AddressState.FREE: COOLING,
    AddressState.RESERVED: RESERVED,
}


class Listing:
    """Each question is answered from one snapshot."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Batch]]) -> None:
        self._reading = reading

    def addresses(
        self,
        subdivision: str | None,
        state: AddressState | None,
        owner: str | None,
        most: int,
        after: str | None,
    ) -> list[Address]:
        """See Pool.addresses. Raises Unknown for the subdivision, Refused for what is no address."""
        with self._reading() as batch:
            where, arguments = self._where(batch, subdivision, state, owner, after)
            rows = batch.connection.execute(
                "SELECT a.id, a.state, a.owner, a.reserved, a.sequence, a.since_s, a.idle_s, "
                "s.family, s.first, s.prefix FROM addresses a "
                f"JOIN shards s ON s.id = a.id >> {OFFSET_BITS} {where} ORDER BY a.id LIMIT ?",
                (*arguments, most),
            ).fetchall()
        return [address_of(row[:7], row[7:], batch.cooled_s) for row in rows]

    def granted(self, prefix: str) -> int:
        """See Pool.granted."""
        with self._reading() as batch:
            (number,) = batch.connection.execute(
                f"SELECT count(*) FROM addresses WHERE state = {GRANTED} AND owner >= ? AND owner < ?",
                (prefix, prefix + chr(0x10FFFF)),
            ).fetchone()
        return int(number)

    def address(self, address: str) -> Address | None:
        """See Pool.address. Raises Refused for what is no address."""
        with self._reading() as batch:
            place = batch.locate(address)
            if place is None:
                return None
            shard, number = place
            row = batch.connection.execute(
                "SELECT id, state, owner, reserved, sequence, since_s, idle_s FROM addresses WHERE id = ?",
                (number,),
            ).fetchone()
        if row is None:  # never used
            text, mac = both_at(shard.family, shard.first, number - shard.first_id)
            return Address(text, shard.prefix, AddressState.FREE, None, mac, 0, shard.since_s)
        return address_of(row, (shard.family, shard.first, shard.prefix), batch.cooled_s)

    def subdivisions(self) -> list[Subdivision]:
        """By name."""
        with self._reading() as batch:
            rows = batch.connection.execute(
                "SELECT name, prefixes, site, switch, max_shards, quota, external FROM subdivisions "
                "ORDER BY name"
            ).fetchall()
        return [Subdivision(row[0], tuple(json.loads(row[1])), *row[2:]) for row in rows]

    def shards(self, subdivision: str | None, state: ShardState | None) -> list[Shard]:
        """By family and address."""
        with self._reading() as batch:
            rows = batch.connection.execute(
                f"SELECT {SHARD}, (SELECT name FROM subdivisions d WHERE d.id = subdivision) "
                "FROM shards ORDER BY family, low"
            ).fetchall()
        found = [shard_of(shard_row(row[:-1]), row[-1]) for row in rows]
        return [
            each
            for each in found
            if subdivision in (None, each.subdivision) and state in (None, each.state)
        ]

    def _where(
        self,
        batch: Batch,
        subdivision: str | None,
        state: AddressState | None,
        owner: str | None,
        after: str | None,
    ) -> tuple[str, list[Any]]:
        clauses: list[str] = []
        arguments: list[Any] = []
        if subdivision is not None:
            clauses.append("s.subdivision = ?")
            arguments.append(batch.subdivision(subdivision)[0])
        if state is not None:
            clauses.append(f"a.state = {_NUMBERS[state]}")
        if state in (AddressState.FREE, AddressState.COOLING):
            clauses.append("a.idle_s <= ?" if state is AddressState.FREE else "a.idle_s > ?")
            arguments.append(batch.cooled_s)
        if owner is not None:
            clauses.append("(a.owner = ? OR a.reserved = ?)")
            arguments += [owner, owner]
        if after is not None:
            place = batch.locate(after)
            if place is None:
                raise Refused(f"{after} is in no shard: begin from the start")
            clauses.append("a.id > ?")
            arguments.append(place[1])
        return ("WHERE " + " AND ".join(clauses) if clauses else ""), arguments
