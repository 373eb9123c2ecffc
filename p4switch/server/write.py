"""Write: one update at a time, each atomic for packets; an error does not stop the batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from finsy.proto import p4r, rpc_code

from p4switch.errors import InvalidArgument, SwitchError, Unsupported
from p4switch.profiles import GroupMember
from p4switch.replication import CloneSession, Replica
from p4switch.server import entries
from p4switch.server.actions import check_slots, decode_port, decode_watch
from p4switch.server.codec import decode_bits
from p4switch.server.digests import Digests
from p4switch.server.p4info import ProfileSchema, Schema, TableSchema
from p4switch.server.status import RpcError, update_error
from p4switch.stateful import MeterState
from p4switch.tables import Entry

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Writer:
    """Applies updates to one pipeline. Call it with the write lock held."""

    def __init__(self, schema: Schema, digests: Digests, now_us: Callable[[], int]) -> None:
        self._schema = schema
        self._pipeline = schema.pipeline
        self._digests = digests
        self._now_us = now_us
        self._kinds: dict[str, Callable[[Any, Any], None]] = {
            "table_entry": self._table_entry,
            "action_profile_member": self._member,
            "action_profile_group": self._group,
            "meter_entry": self._meter,
            "direct_meter_entry": self._direct_meter,
            "counter_entry": self._counter,
            "direct_counter_entry": self._direct_counter,
            "register_entry": self._register,
            "packet_replication_engine_entry": self._replication,
            "digest_entry": self._digests.configure,
        }

    def apply(self, updates: Iterable[p4r.Update]) -> list[p4r.Error | None]:
        """Apply every update; one result each, None for success."""
        results: list[p4r.Error | None] = []
        for update in updates:
            try:
                self._apply(update)
                results.append(None)
            except (SwitchError, RpcError) as error:
                results.append(update_error(error))
            except Exception as error:
                LOG.exception("an update failed in a way that nobody foresaw: %s", update)
                results.append(update_error(RpcError(rpc_code.INTERNAL, repr(error))))
        return results

    def _apply(self, update: p4r.Update) -> None:
        kind = update.entity.WhichOneof("entity")
        if kind is None:
            raise InvalidArgument("the update has no entity")
        handler = self._kinds.get(kind)
        if handler is None:
            raise Unsupported(f"{kind} is not implemented")
        if update.type not in (INSERT, MODIFY, DELETE):
            raise InvalidArgument("Update type is not set")
        handler(update.type, getattr(update.entity, kind))

    def _table_entry(self, kind: int, message: p4r.TableEntry) -> None:
        table = entries.find_table(self._schema, message.table_id)
        if message.HasField("time_since_last_hit"):
            raise InvalidArgument("time_since_last_hit must not be set in WriteRequest")
        if message.is_default_action:
            self._default_entry(kind, table, message)
            return
        match, priority = entries.decode_key(table, message)
        if kind == DELETE:
            table.table.delete(match, priority)
            return
        entry = Entry(
            match,
            priority,
            entries.decode_action(table, message.action),
            idle_timeout_ns=entries.decode_timeout(table, message),
            metadata=message.metadata,
            controller_metadata=message.controller_metadata,
            last_hit_us=self._now_us(),
        )
        meter = self._direct_resources(table, message)
        if kind == INSERT:
            entry.meter = meter
            if message.HasField("counter_data"):
                entry.packets = message.counter_data.packet_count
                entry.bytes = message.counter_data.byte_count
            table.table.insert(entry)
            return
        table.table.modify(entry)
        live = table.table.get(match, priority)
        if meter is not None:
            live.meter = meter
        if message.HasField("counter_data"):
            live.packets = message.counter_data.packet_count
            live.bytes = message.counter_data.byte_count

    def _direct_resources(self, table: TableSchema, message: p4r.TableEntry) -> MeterState | None:
        name = table.table.name
        if message.HasField("counter_data") and not table.has_counter:
            raise InvalidArgument(f"table {name} has no direct counters; leave counter_data out")
        if not message.HasField("meter_config"):
            return None
        if not table.has_meter:
            raise InvalidArgument(f"table {name} has no direct meters; leave meter_config out")
        return MeterState(entries.decode_meter(message.meter_config))

    def _default_entry(self, kind: int, table: TableSchema, message: p4r.TableEntry) -> None:
        name = table.table.name
        if kind != MODIFY:
            raise InvalidArgument(
                f"table {name}: the default entry always exists; use MODIFY, without an action "
                "to reset it"
            )
        entries.check_default_key(table, message)
        if table.profile is not None:
            raise InvalidArgument(
                f"table {name}: Cannot set / reset default action for indirect table"
            )
        meter = self._direct_resources(table, message)
        live = table.table.default_entry
        if message.HasField("action"):
            if message.action.WhichOneof("type") != "action":
                raise InvalidArgument(f"table {name}: the default entry takes an action only")
            entries.check_scope(table, message.action.action.action_id, is_default=True)
            table.table.set_default(table.default_scope.decode(message.action.action))
            live.metadata = message.metadata
            live.controller_metadata = message.controller_metadata
        else:
            table.table.reset_default()
            live.metadata = b""
            live.controller_metadata = 0
        if meter is not None:
            live.meter = meter
        if message.HasField("counter_data"):
            live.packets = message.counter_data.packet_count
            live.bytes = message.counter_data.byte_count

    def _profile(self, profile_id: int) -> ProfileSchema:
        return _known(self._schema.profiles, profile_id, "an action profile")

    def _member(self, kind: int, message: p4r.ActionProfileMember) -> None:
        profile = self._profile(message.action_profile_id)
        if kind == DELETE:
            profile.profile.delete_member(message.member_id)
            return
        action = profile.scope.decode(message.action)
        if kind == INSERT:
            profile.profile.insert_member(message.member_id, action)
        else:
            profile.profile.modify_member(message.member_id, action)

    def _group(self, kind: int, message: p4r.ActionProfileGroup) -> None:
        profile = self._profile(message.action_profile_id).profile
        if kind == DELETE:
            profile.delete_group(message.group_id)
            return
        members = tuple(
            GroupMember(m.member_id, m.weight, decode_watch(m)) for m in message.members
        )
        check_slots(profile.name, sum(m.weight for m in members), profile.max_group_size)
        if message.max_size < 0:
            raise InvalidArgument("Group max_size cannot be less than 0")
        if profile.max_group_size and message.max_size > profile.max_group_size:
            raise InvalidArgument(
                f"Group max_size {message.max_size} cannot exceed max_group_size "
                f"{profile.max_group_size} of {profile.name}"
            )
        if kind == INSERT:
            profile.insert_group(message.group_id, members, message.max_size)
            return
        old = profile.get_group(message.group_id)
        if message.max_size and message.max_size != old.max_size:
            raise InvalidArgument(
                f"Cannot change max_size of group {message.group_id} (now {old.max_size}) after "
                "its creation"
            )
        profile.modify_group(message.group_id, members)

    def _counter(self, kind: int, message: p4r.CounterEntry) -> None:
        counter = _known(self._schema.counters, message.counter_id, "a counter").counter
        _only_modify(kind, "CounterEntry")
        index = _cell(message, counter.name, counter.size)
        if message.HasField("data"):
            counter.write(index, message.data.packet_count, message.data.byte_count)

    def _direct_counter(self, kind: int, message: p4r.DirectCounterEntry) -> None:
        table = entries.find_table(self._schema, message.table_entry.table_id)
        _only_modify(kind, "DirectCounterEntry")
        if not table.has_counter:
            raise InvalidArgument(f"table {table.table.name} has no direct counters")
        live = entries.find_entry(table, message.table_entry)
        live.packets = message.data.packet_count
        live.bytes = message.data.byte_count

    def _meter(self, kind: int, message: p4r.MeterEntry) -> None:
        meter = _known(self._schema.meters, message.meter_id, "a meter").meter
        _only_modify(kind, "MeterEntry")
        index = _cell(message, meter.name, meter.size)
        has = message.HasField("config")
        meter.set_config(index, entries.decode_meter(message.config) if has else None)

    def _direct_meter(self, kind: int, message: p4r.DirectMeterEntry) -> None:
        table = entries.find_table(self._schema, message.table_entry.table_id)
        _only_modify(kind, "DirectMeterEntry")
        if not table.has_meter:
            raise InvalidArgument(f"table {table.table.name} has no direct meters")
        live = entries.find_entry(table, message.table_entry)
        has = message.HasField("config")
        live.meter = MeterState(entries.decode_meter(message.config)) if has else None

    def _register(self, kind: int, message: p4r.RegisterEntry) -> None:
        register = _known(self._schema.registers, message.register_id, "a register").register
        _only_modify(kind, "RegisterEntry")
        if message.data.WhichOneof("data") != "bitstring":
            raise InvalidArgument(f"register {register.name}: data must be a bitstring")
        value = decode_bits(message.data.bitstring, register.width_bits, register.name)
        if message.HasField("index"):
            register.write(_cell(message, register.name, register.size), value)
        else:
            # In place: the packet path holds this very list.
            register.cells[:] = [value] * register.size

    def _replication(self, kind: int, message: p4r.PacketReplicationEngineEntry) -> None:
        replication = self._pipeline.replication
        which = message.WhichOneof("type")
        if which == "multicast_group_entry":
            group = message.multicast_group_entry
            group_id = group.multicast_group_id
            if group_id > 0xFFFF:
                raise RpcError(rpc_code.OUT_OF_RANGE, f"Group id value {group_id} is too high")
            if kind == DELETE:
                replication.delete_multicast(group_id)
            elif kind == INSERT:
                replication.insert_multicast(group_id, _replicas(group.replicas), group.metadata)
            else:
                replication.modify_multicast(group_id, _replicas(group.replicas), group.metadata)
            self._remember_style(("multicast", group_id), group.replicas)
        elif which == "clone_session_entry":
            clone = message.clone_session_entry
            if kind == DELETE:
                replication.delete_clone(clone.session_id)
                return
            if clone.class_of_service:
                raise Unsupported(
                    f"clone session {clone.session_id}: class_of_service is not implemented; "
                    "leave it 0"
                )
            if clone.session_id > 0x7FFF:
                raise InvalidArgument(f"Clone session id {clone.session_id} out-of-range")
            session = CloneSession(
                _replicas(clone.replicas), packet_length_bytes=clone.packet_length_bytes
            )
            if kind == INSERT:
                replication.insert_clone(clone.session_id, session)
            else:
                replication.modify_clone(clone.session_id, session)
            self._remember_style(("clone", clone.session_id), clone.replicas)
        else:
            raise InvalidArgument("Invalid PRE operation: neither multicast group nor clone")

    def _remember_style(self, key: tuple[str, int], replicas: Iterable[p4r.Replica]) -> None:
        if any(r.WhichOneof("port_kind") == "port" for r in replicas):
            self._schema.port_as_bytes.add(key)
        else:
            self._schema.port_as_bytes.discard(key)


def _known(objects: dict[int, T], object_id: int, kind: str) -> T:
    try:
        return objects[object_id]
    except KeyError:
        raise InvalidArgument(
            f"Invalid P4 id: {object_id} is not {kind} of the running P4Info"
        ) from None


def _only_modify(kind: int, entity: str) -> None:
    if kind != MODIFY:
        raise InvalidArgument(f"{entity} always exists; use MODIFY")


def _cell(
    message: p4r.CounterEntry | p4r.MeterEntry | p4r.RegisterEntry, name: str, size: int
) -> int:
    if not message.HasField("index"):
        raise Unsupported(f"{name}: Wildcard write is not supported; give an index")
    index = message.index.index
    if not 0 <= index < size:
        raise RpcError(rpc_code.OUT_OF_RANGE, f"{name}: index {index} is not in 0..{size - 1}")
    return index


def _replicas(replicas: Iterable[p4r.Replica]) -> tuple[Replica, ...]:
    result: list[Replica] = []
    for replica in replicas:
        if replica.backup_replicas:
            raise Unsupported("backup_replicas are not implemented; leave them out")
        if replica.WhichOneof("port_kind") == "port":
            port = decode_port(replica.port, "replica")
        else:
            port = replica.egress_port
        result.append(Replica(port, replica.instance))
    return tuple(result)
