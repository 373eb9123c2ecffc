"""The connection tables of all routers, read and compared entry by entry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.act.fabric import FabricDriver
from controller.act.records import Record, State

STEP_BYTES = 65536  # a primary tells its shadows the bytes of a connection in steps of so many
SHOWN = 20  # differences named in a report

Table = Mapping[int, "Entry"]  # signature → entry
Tables = Mapping[
    tuple[str, str], Table
]  # (holder, owner) → entries; the holder's own when both are the same


@dataclass(frozen=True, slots=True)
class Entry:
    """What a table knows of a connection."""

    binding: int
    state: State
    service: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What must be empty: connections that two routers own, connections with two backends, and entries
    that a shadow lacks, has too many, or has otherwise than its primary (each in words).
    """

    owned: Mapping[str, int]  # router → entries
    replicas: int
    two_owners: tuple[str, ...]
    two_bindings: tuple[str, ...]
    unequal: tuple[str, ...]

    @property
    def entries(self) -> int:
        """Entries that some router owns."""
        return sum(self.owned.values())

    def to_json(self) -> dict[str, Any]:
        """Counts, and the first of each kind."""
        found: dict[str, Any] = {"owned_entries": self.entries, "replica_entries": self.replicas}
        for name in ("two_owners", "two_bindings", "unequal"):
            own: tuple[str, ...] = getattr(self, name)
            found[name] = len(own)
            if own:
                found[f"{name}_shown"] = list(own[:SHOWN])
        return found


async def read_tables(
    driver: FabricDriver,
    routers: Sequence[str],
    shadows: Mapping[str, Sequence[str]],
    numbers: Mapping[tuple[str, str], int],
) -> dict[tuple[str, str], Table]:
    """Every router's own entries, and its replicas of every primary. Closed connections are left out.

    numbers: (holder, primary) → what the holder's replicas of that primary are numbered.
    """
    tables: dict[tuple[str, str], Table] = {}
    for holder in routers:
        tables[holder, holder] = await _dump(driver, holder, 0)
        for primary in routers:
            if holder in shadows.get(primary, ()):
                tables[holder, primary] = await _dump(driver, holder, numbers[holder, primary])
    return tables


async def _dump(driver: FabricDriver, node: str, number: int) -> Table:
    table = entries(await driver.dump(node, origins=1 << number))
    return {one: entry for one, entry in table.items() if entry.state is not State.CLOSING}


def entries(records: Iterable[Record]) -> dict[int, Entry]:
    """A table that was dumped."""
    return {
        one.signature: Entry(one.binding or 0, one.state, one.service, one.size_bytes or 0)
        for one in records
    }


def compare(tables: Tables) -> Comparison:
    """Compare what was read."""
    owners: dict[int, list[str]] = defaultdict(list)
    bindings: dict[int, set[int]] = defaultdict(set)
    for (holder, owner), table in tables.items():
        for signature, entry in table.items():
            bindings[signature].add(entry.binding)
            if holder == owner:
                owners[signature].append(holder)
    unequal: list[str] = []
    for (holder, owner), table in tables.items():
        if holder != owner:
            unequal += _differences(holder, owner, table, tables[owner, owner])
    owned = {holder: len(table) for (holder, owner), table in tables.items() if holder == owner}
    total = sum(len(table) for table in tables.values())
    return Comparison(
        owned=owned,
        replicas=total - sum(owned.values()),
        two_owners=tuple(
            f"{signature:08x} is owned by {' and '.join(names)}"
            for signature, names in sorted(owners.items())
            if len(names) > 1
        ),
        two_bindings=tuple(
            f"{signature:08x} is bound to {sorted(found)}"
            for signature, found in sorted(bindings.items())
            if len(found) > 1
        ),
        unequal=tuple(unequal),
    )


def _differences(holder: str, owner: str, replicas: Table, owned: Table) -> list[str]:
    found = []
    for signature in sorted({*replicas, *owned}):
        mine, theirs = owned.get(signature), replicas.get(signature)
        what = f"{signature:08x} of {owner}"
        if theirs is None:
            found.append(f"{what} is not on {holder}")
        elif mine is None:
            found.append(f"{what} is on {holder} only")
        elif replace(mine, size_bytes=theirs.size_bytes) != theirs:
            found.append(f"{what} is {mine}, on {holder} {theirs}")
        elif not 0 <= mine.size_bytes - theirs.size_bytes < STEP_BYTES:
            found.append(f"{what} has {mine.size_bytes} bytes, on {holder} {theirs.size_bytes}")
    return found
