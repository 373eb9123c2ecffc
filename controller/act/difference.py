"""What must be written so that a switch holds what is wanted: a comparison of encoded table entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import finsy as fy
from finsy.proto import p4r

from controller.act.entries import TABLE_ORDER


@dataclass(frozen=True, slots=True)
class Difference:
    """Entities to write, each list in the order in which it must be written."""

    inserts: tuple[p4r.Entity, ...]
    modifies: tuple[p4r.Entity, ...]
    deletes: tuple[p4r.Entity, ...]

    def __len__(self) -> int:
        return len(self.inserts) + len(self.modifies) + len(self.deletes)

    def updates(self) -> list[p4r.Update]:
        """Insert, then modify, then delete (make before break)."""
        return [
            *(p4r.Update(type=p4r.Update.INSERT, entity=e) for e in self.inserts),
            *(p4r.Update(type=p4r.Update.MODIFY, entity=e) for e in self.modifies),
            *(p4r.Update(type=p4r.Update.DELETE, entity=e) for e in self.deletes),
        ]


def joined(differences: Sequence[Difference]) -> Difference:
    """Differences of single tables, given in `TABLE_ORDER`, as one."""
    return Difference(
        inserts=tuple(entity for one in differences for entity in one.inserts),
        modifies=tuple(entity for one in differences for entity in one.modifies),
        deletes=tuple(entity for one in reversed(differences) for entity in one.deletes),
    )


def difference(
    wanted: Iterable[p4r.Entity], found: Iterable[p4r.Entity], schema: fy.P4Schema
) -> Difference:
    """Compare entries by table, match and priority, and then by action.

    `found` are entries as read back. Entries of tables that umbra does not write are left alone.

    Within a table, long prefixes are inserted first and short ones deleted first: at every moment between, each
    address has either what it had before or what it shall have, never the row of a prefix that is not meant for it.
    """
    rank = {schema.tables[name].id: index for index, name in enumerate(TABLE_ORDER)}
    want = {_key(entity): entity for entity in wanted}
    have = {_key(e): e for e in found if e.table_entry.table_id in rank and not _constant(e)}

    def place(entity: p4r.Entity) -> tuple[int, int]:
        return rank[entity.table_entry.table_id], -_prefix_length(entity)

    def in_order(entities: Iterable[p4r.Entity], reverse: bool = False) -> tuple[p4r.Entity, ...]:
        return tuple(sorted(entities, key=place, reverse=reverse))

    return Difference(
        inserts=in_order(entity for key, entity in want.items() if key not in have),
        modifies=in_order(
            entity
            for key, entity in want.items()
            if key in have and not _same_action(entity, have[key])
        ),
        deletes=in_order((have[key] for key in have if key not in want), reverse=True),
    )


def _constant(entity: p4r.Entity) -> bool:
    return bool(entity.table_entry.is_const)


def _prefix_length(entity: p4r.Entity) -> int:
    """Of its longest-prefix match; 0 without one, which is what a prefix of length 0 looks like."""
    return max((field.lpm.prefix_len for field in entity.table_entry.match), default=0)


def _key(entity: p4r.Entity) -> tuple[int, int, tuple[tuple[int, bytes], ...]]:
    entry = entity.table_entry
    match = sorted(
        (field.field_id, field.SerializeToString(deterministic=True)) for field in entry.match
    )
    return entry.table_id, entry.priority, tuple(match)


def _same_action(one: p4r.Entity, other: p4r.Entity) -> bool:
    return one.table_entry.action == other.table_entry.action or _action(one) == _action(other)


def _action(
    entity: p4r.Entity,
) -> Sequence[tuple[int, int, tuple[tuple[int, bytes], ...]]]:
    """The action, or the expanded members of a one-shot set: (weight, action id, parameters) in order."""
    action = entity.table_entry.action
    if action.HasField("action"):
        return [(0, *_call(action.action))]
    return [
        (1, *_call(member.action))
        for member in action.action_profile_action_set.action_profile_actions
        for _ in range(member.weight)
    ]


def _call(action: p4r.Action) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    return action.action_id, tuple(sorted((p.param_id, p.value) for p in action.params))
