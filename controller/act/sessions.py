"""Clone sessions and multicast groups of a switch: what is wanted, what it holds, and what to write.

BMv2 and the embedded switch both read back what was written, in any order of replicas, and change a session in place:
its new copies are made before its old ones end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import finsy as fy
from finsy.proto import p4r

from controller.act.reading import read_entities
from controller.model import NodePlan

CLONE, MULTICAST = "clone", "multicast"
Key = tuple[str, int]  # which of the two, and its number
Replicas = frozenset[tuple[int, int]]  # (port, instance)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """Updates: `makes` before the tables that lead to the sessions change, `breaks` after it."""

    makes: tuple[p4r.Update, ...]
    breaks: tuple[p4r.Update, ...]

    def __len__(self) -> int:
        return len(self.makes) + len(self.breaks)


def sessions(plan: NodePlan) -> dict[Key, Replicas]:
    """What a switch is to hold."""
    wanted: dict[Key, Replicas] = {
        (CLONE, row.id): frozenset(row.replicas) for row in plan.sessions
    }
    for train in plan.trains:
        copies = frozenset((train.port, copy) for copy in range(1, train.copies + 1))
        wanted[MULTICAST, train.group] = copies
    return wanted


async def read_sessions(p4: fy.Switch) -> dict[Key, Replicas]:
    """What the switch holds."""
    asked = [fy.P4CloneSessionEntry(), fy.P4MulticastGroupEntry()]
    found: dict[Key, Replicas] = {}
    async for entry in read_entities(p4, asked):
        if isinstance(entry, fy.P4CloneSessionEntry):
            found[CLONE, entry.session_id] = _replicas(entry.replicas)
        else:
            found[MULTICAST, entry.multicast_group_id] = _replicas(entry.replicas)
    return found


def session_change(
    wanted: Mapping[Key, Replicas], found: Mapping[Key, Replicas], schema: fy.P4Schema
) -> SessionChange:
    """What must be written so that `wanted` is what is found."""
    makes = [
        p4r.Update(
            type=p4r.Update.MODIFY if key in found else p4r.Update.INSERT,
            entity=_entry(key, replicas).encode(schema),
        )
        for key, replicas in sorted(wanted.items())
        if found.get(key) != replicas
    ]
    breaks = [
        p4r.Update(type=p4r.Update.DELETE, entity=_entry(key, frozenset()).encode(schema))
        for key in sorted(found.keys() - wanted.keys())
    ]
    return SessionChange(tuple(makes), tuple(breaks))


def _entry(key: Key, replicas: Replicas) -> fy.P4CloneSessionEntry | fy.P4MulticastGroupEntry:
    kind, number = key
    if kind == CLONE:
        return fy.P4CloneSessionEntry(number, replicas=sorted(replicas))
    return fy.P4MulticastGroupEntry(number, replicas=sorted(replicas))


def _replicas(replicas: Iterable[Any]) -> Replicas:
    """finsy gives a bare port where the instance is 0."""
    return frozenset(
        (one, 0) if isinstance(one, int) else (one.port, one.instance) for one in replicas
    )
