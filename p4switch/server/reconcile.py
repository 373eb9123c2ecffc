"""RECONCILE_AND_COMMIT: the state of the running pipeline carried over to a new one, by name."""

from __future__ import annotations

from p4switch.actions import EntryAction
from p4switch.errors import InvalidArgument
from p4switch.pipeline import Pipeline
from p4switch.server.device import Forwarding
from p4switch.tables import Entry, Table


def carry_over(old: Forwarding, new: Forwarding) -> None:
    """Copy profiles, entries, counters, meters, registers, replication and digest configs.

    InvalidArgument (or another SwitchError) names the first thing that does not fit the new
    program; `new` is then half-filled and must be thrown away. Packets that the old pipeline
    handles during the copy may leave counts and register writes behind.
    """
    _carry_profiles(old.pipeline, new.pipeline)
    for name, table in old.pipeline.tables.items():
        target = new.pipeline.tables.get(name)
        _carry_table(table, target, name)
        if target is not None:
            _carry_default(table, target, old.initial_defaults[name])
    _carry_stateful(old.pipeline, new.pipeline)
    replication = old.pipeline.replication
    for group_id, replicas in replication.multicast.items():
        metadata = replication.multicast_metadata[group_id]
        new.pipeline.replication.insert_multicast(group_id, replicas, metadata)
    for session_id, session in replication.clones.items():
        new.pipeline.replication.insert_clone(session_id, session)
    new.schema.port_as_bytes |= old.schema.port_as_bytes
    new.digests.inherit(old.digests)


def _carry_profiles(old: Pipeline, new: Pipeline) -> None:
    for name, profile in old.profiles.items():
        if not profile.members() and not profile.groups():
            continue
        target = new.profiles.get(name)
        if target is None:
            raise InvalidArgument(f"action profile {name} has members and is gone")
        for member in profile.members():
            target.insert_member(member.member_id, member.action)
        for group in profile.groups():
            target.insert_group(group.group_id, group.members, group.max_size)


def _carry_table(old: Table, new: Table | None, name: str) -> None:
    entries = [e for e in old.entries() if not e.is_const and not old.is_const]
    if new is None:
        if entries:
            raise InvalidArgument(f"table {name} has {len(entries)} entries and is gone")
        return
    same_key = [(k.kind, k.width_bits) for k in old.keys] == [
        (k.kind, k.width_bits) for k in new.keys
    ]
    if entries and not same_key:
        raise InvalidArgument(f"table {name} has {len(entries)} entries and another key")
    if not old.is_const and not new.is_const:
        for initial in new.entries():  # what the client left of them comes from the old table
            new.delete(initial.match, initial.priority)
    for entry in entries:
        new.insert(
            Entry(
                entry.match,
                entry.priority,
                entry.action,
                idle_timeout_ns=entry.idle_timeout_ns,
                metadata=entry.metadata,
                controller_metadata=entry.controller_metadata,
                packets=entry.packets,
                bytes=entry.bytes,
                last_hit_us=entry.last_hit_us,
                meter=entry.meter if new.has_meter else None,
            )
        )


def _carry_default(old: Table, new: Table, initial: EntryAction | None) -> None:
    action = old.default()
    if action is not None and action != initial:
        new.set_default(action)
    new.default_entry.metadata = old.default_entry.metadata
    new.default_entry.controller_metadata = old.default_entry.controller_metadata
    if new.has_counter:
        new.default_entry.packets = old.default_entry.packets
        new.default_entry.bytes = old.default_entry.bytes


def _carry_stateful(old: Pipeline, new: Pipeline) -> None:
    for name, counter in old.counters.items():
        target = new.counters.get(name)
        if target is not None:
            for index in range(min(counter.size, target.size)):
                target.write(index, *counter.read(index))
    for name, meter in old.meters.items():
        marker = new.meters.get(name)
        if marker is not None and marker.unit == meter.unit:
            for index in range(min(meter.size, marker.size)):
                marker.set_config(index, meter.config(index))
    for name, register in old.registers.items():
        cells = new.registers.get(name)
        if cells is not None and cells.width_bits == register.width_bits:
            count = min(register.size, cells.size)
            cells.cells[:count] = register.cells[:count]
