"""What one switch is to hold: changes of the plan, and the comparison with what is read back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import finsy as fy
from finsy.proto import p4r

from controller.act.difference import Difference, difference, joined
from controller.act.entries import TABLE_ORDER, entries, node_entry
from controller.act.reading import read_entities
from controller.act.sessions import read_sessions, session_change, sessions
from controller.model import NodePlan, SlotSet, TargetRow

BATCH = 100  # updates a write: a more urgent one waits for no more than this
BREATH_S = 0.001  # of computing, before something more urgent may come in between


@dataclass(frozen=True, slots=True)
class Change:
    """Updates in the order in which they must be written, in batches; `entries`: how many the switch then holds."""

    batches: tuple[tuple[p4r.Update, ...], ...]
    entries: int


def with_slot_sets(plan: NodePlan, changed: Sequence[SlotSet]) -> NodePlan:
    """The plan with these slot sets in place of those of the same number."""
    by_id = {one.id: one for one in plan.slot_sets} | {one.id: one for one in changed}
    return replace(plan, slot_sets=tuple(by_id.values()))


def with_targets(plan: NodePlan, changed: Sequence[TargetRow]) -> NodePlan:
    """The plan with these meanings of bindings."""
    by_binding = {one.binding: one for one in plan.targets} | {one.binding: one for one in changed}
    return replace(plan, targets=tuple(by_binding.values()))


def amendment(before: NodePlan, after: NodePlan, schema: fy.P4Schema) -> Change | None:
    """What turns a switch that holds one plan into one that holds the other, without reading anything back.

    None when they differ in clone sessions or bursts, which take more care: `compare`.
    """
    if sessions(before) != sessions(after):
        return None
    updates: list[p4r.Update] = []
    configured, was = node_entry(after).encode(schema), node_entry(before).encode(schema)
    if configured != was:
        updates.append(p4r.Update(type=p4r.Update.MODIFY, entity=configured))
    new, old = _only(after, before), _only(before, after)  # few rows: encoding is what takes time
    updates += difference(
        [entry.encode(schema) for entry in entries(new)],
        [entry.encode(schema) for entry in entries(old)],
        schema,
    ).updates()
    return Change(tuple(_batches(updates)), 0)


def _only(plan: NodePlan, other: NodePlan) -> NodePlan:
    """The plan less the rows that the other has as well."""
    less: dict[str, Any] = {}
    for one in fields(NodePlan):
        own, others = getattr(plan, one.name), getattr(other, one.name)
        if isinstance(own, tuple) and own:
            theirs = frozenset(others)
            less[one.name] = () if own is others else tuple(row for row in own if row not in theirs)
    return replace(plan, **less)


async def compare(p4: fy.Switch, plan: NodePlan) -> Change:
    """Read everything back and compare it with the plan, giving way to other work now and then.

    Clone sessions are there before the node is told to use them, and go when nothing leads to them any more.
    """
    schema = p4.p4info
    wanted_sessions = sessions(plan)
    around = session_change(wanted_sessions, await read_sessions(p4), schema)
    updates = list(around.makes)
    configured = node_entry(plan)
    if await _default_differs(p4, configured):
        updates.append(p4r.Update(type=p4r.Update.MODIFY, entity=configured.encode(schema)))
    breath = _Breath()
    wanted: dict[str, list[p4r.Entity]] = {name: [] for name in TABLE_ORDER if name != "node"}
    for entry in entries(plan):
        wanted[entry.table_id].append(entry.encode(schema))
        await breath.draw()
    changes: list[Difference] = []
    for name, own in wanted.items():  # one table at a time: an answer is bounded by gRPC's 4 MiB
        found: list[p4r.Entity] = []
        async for entry in read_entities(p4, fy.P4TableEntry(name)):
            found.append(entry.encode(schema))
            await breath.draw()
        changes.append(difference(own, found, schema))
        await breath.draw()
    updates += joined(changes).updates()
    updates += around.breaks
    total = sum(map(len, wanted.values())) + len(wanted_sessions)
    return Change(tuple(_batches(updates)), total)


@dataclass(slots=True)
class _Breath:
    since_s: float = 0.0

    async def draw(self) -> None:
        if time.perf_counter() - self.since_s > BREATH_S:
            await asyncio.sleep(0)
            self.since_s = time.perf_counter()


def _batches(updates: Sequence[p4r.Update]) -> Iterator[tuple[p4r.Update, ...]]:
    for start in range(0, len(updates), BATCH):
        yield tuple(updates[start : start + BATCH])


async def _default_differs(p4: fy.Switch, wanted: fy.P4TableEntry) -> bool:
    asked = fy.P4TableEntry(wanted.table_id, is_default_action=True)
    async for found in read_entities(p4, asked):
        return bool(
            found.encode(p4.p4info).table_entry.action
            != wanted.encode(p4.p4info).table_entry.action
        )
    return True
