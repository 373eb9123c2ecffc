"""Read: single entities and wildcards (an unset id or index stands for all)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from finsy.proto import p4r, rpc_code

from p4switch.errors import InvalidArgument, NotFound, Unsupported
from p4switch.profiles import Group, Member
from p4switch.replication import CloneSession, Replica
from p4switch.server import entries
from p4switch.server.codec import encode_bits
from p4switch.server.digests import Digests
from p4switch.server.p4info import ProfileSchema, Schema, TableSchema
from p4switch.server.status import RpcError
from p4switch.tables import Entry

T = TypeVar("T")

CHUNK = 1000
"""Entities per ReadResponse: keeps each message far below the 4 MiB that clients accept."""


class Reader:
    """Answers read requests from one pipeline. It sees every entity either before or after a
    concurrent write, never half-way."""

    def __init__(self, schema: Schema, digests: Digests, now_us: Callable[[], int]) -> None:
        self._schema = schema
        self._replication = schema.pipeline.replication
        self._digests = digests
        self._now_us = now_us
        self._kinds: dict[str, Callable[[Any], Iterator[p4r.Entity]]] = {
            "table_entry": self._table_entries,
            "action_profile_member": self._members,
            "action_profile_group": self._groups,
            "meter_entry": self._meters,
            "direct_meter_entry": self._direct_meters,
            "counter_entry": self._counters,
            "direct_counter_entry": self._direct_counters,
            "register_entry": self._registers,
            "packet_replication_engine_entry": self._replication_entries,
            "digest_entry": self._digest_entries,
        }

    def read(self, wanted: Iterable[p4r.Entity]) -> Iterator[p4r.ReadResponse]:
        """At least one response, so that a client always sees an answer."""
        response = p4r.ReadResponse()
        count = 0
        for request in wanted:
            for entity in self.entities(request):
                if count and count % CHUNK == 0:
                    yield response
                    response = p4r.ReadResponse()
                response.entities.append(entity)
                count += 1
        yield response

    def entities(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        """The entities that one request names."""
        kind = request.WhichOneof("entity")
        if kind is None:
            raise InvalidArgument("the read request has an entity without content")
        handler = self._kinds.get(kind)
        if handler is None:
            raise Unsupported(f"{kind} is not implemented")
        return handler(getattr(request, kind))

    def _tables(self, table_id: int) -> list[TableSchema]:
        if table_id:
            return [entries.find_table(self._schema, table_id)]
        return list(self._schema.tables.values())

    def _selected(self, table: TableSchema, asked: p4r.TableEntry) -> list[Entry]:
        if asked.is_default_action:
            entries.check_default_key(table, asked)
            return [table.table.default_entry]
        if asked.match:
            try:
                return [table.table.get(*entries.decode_key(table, asked))]
            except NotFound:
                return []
        return [
            entry
            for entry in table.table.entries()
            if (not asked.priority or entry.priority == asked.priority)
            and (not asked.metadata or entry.metadata == asked.metadata)
            and (
                not asked.controller_metadata
                or entry.controller_metadata == asked.controller_metadata
            )
        ]

    def _table_entries(self, asked: p4r.TableEntry) -> Iterator[p4r.Entity]:
        now_us = self._now_us()
        for table in self._tables(asked.table_id):
            ages = table.table.supports_timeout and not asked.is_default_action
            if asked.table_id and asked.HasField("time_since_last_hit") and not ages:
                raise InvalidArgument(
                    f"table {table.table.name}: time_since_last_hit needs a table that supports "
                    "idle timeout, and is not for default entries"
                )
            # With a key the entry is named, and clients leave other fields filled in.
            has_filter = asked.HasField("action") and not asked.match
            action_filter = asked.action if has_filter else None
            for entry in self._selected(table, asked):
                entity = p4r.Entity()
                entries.encode_entry(table, entry, asked, now_us, entity.table_entry)
                if action_filter is None or _same_action(entity.table_entry, action_filter):
                    yield entity

    def _profiles(self, profile_id: int) -> list[ProfileSchema]:
        return _select(self._schema.profiles, profile_id, "an action profile")

    def _members(self, asked: p4r.ActionProfileMember) -> Iterator[p4r.Entity]:
        for profile in self._profiles(asked.action_profile_id):
            for member in profile.profile.members():
                if asked.member_id in (0, member.member_id):
                    yield _member_entity(profile, member)

    def _groups(self, asked: p4r.ActionProfileGroup) -> Iterator[p4r.Entity]:
        for profile in self._profiles(asked.action_profile_id):
            for group in profile.profile.groups():
                if asked.group_id in (0, group.group_id):
                    yield _group_entity(profile, group)

    def _counters(self, asked: p4r.CounterEntry) -> Iterator[p4r.Entity]:
        for schema in _select(self._schema.counters, asked.counter_id, "a counter"):
            counter = schema.counter
            for index in _indexes(asked, counter.name, counter.size):
                packets, octets = counter.read(index)
                entity = p4r.Entity()
                message = entity.counter_entry
                message.counter_id = schema.counter_id
                message.index.index = index
                message.data.packet_count = packets
                message.data.byte_count = octets
                yield entity

    def _direct_counters(self, asked: p4r.DirectCounterEntry) -> Iterator[p4r.Entity]:
        for table, entry in self._direct(asked.table_entry, "counter"):
            entity = p4r.Entity()
            message = entity.direct_counter_entry
            _encode_owner(table, entry, message.table_entry)
            message.data.packet_count = entry.packets
            message.data.byte_count = entry.bytes
            yield entity

    def _direct(self, asked: p4r.TableEntry, kind: str) -> Iterator[tuple[TableSchema, Entry]]:
        for table in self._tables(asked.table_id):
            has = table.has_counter if kind == "counter" else table.has_meter
            if has:
                for entry in self._selected(table, asked):
                    yield table, entry
            elif asked.table_id:
                raise InvalidArgument(f"table {table.table.name} has no direct {kind}s")

    def _meters(self, asked: p4r.MeterEntry) -> Iterator[p4r.Entity]:
        for schema in _select(self._schema.meters, asked.meter_id, "a meter"):
            meter = schema.meter
            for index in _indexes(asked, meter.name, meter.size):
                entity = p4r.Entity()
                message = entity.meter_entry
                message.meter_id = schema.meter_id
                message.index.index = index
                config = meter.config(index)
                if config is not None:
                    entries.encode_meter(config, message.config)
                yield entity

    def _direct_meters(self, asked: p4r.DirectMeterEntry) -> Iterator[p4r.Entity]:
        for table, entry in self._direct(asked.table_entry, "meter"):
            entity = p4r.Entity()
            message = entity.direct_meter_entry
            _encode_owner(table, entry, message.table_entry)
            if entry.meter is not None:
                entries.encode_meter(entry.meter.config, message.config)
            yield entity

    def _registers(self, asked: p4r.RegisterEntry) -> Iterator[p4r.Entity]:
        for schema in _select(self._schema.registers, asked.register_id, "a register"):
            register = schema.register
            for index in _indexes(asked, register.name, register.size):
                entity = p4r.Entity()
                message = entity.register_entry
                message.register_id = schema.register_id
                message.index.index = index
                message.data.bitstring = encode_bits(register.read(index))
                yield entity

    def _replication_entries(self, asked: p4r.PacketReplicationEngineEntry) -> Iterator[p4r.Entity]:
        which = asked.WhichOneof("type")
        style = self._schema.port_as_bytes
        if which == "multicast_group_entry":
            group_id = asked.multicast_group_entry.multicast_group_id
            groups = self._replication.multicast
            wanted = {group_id: self._replication.get_multicast(group_id)} if group_id else groups
            for number, replicas in list(wanted.items()):
                metadata = self._replication.multicast_metadata.get(number, b"")
                yield _multicast_entity(number, replicas, metadata, ("multicast", number) in style)
        elif which == "clone_session_entry":
            session_id = asked.clone_session_entry.session_id
            clones = self._replication.clones
            found = {session_id: self._replication.get_clone(session_id)} if session_id else clones
            for number, session in list(found.items()):
                yield _clone_entity(number, session, ("clone", number) in style)
        else:
            raise InvalidArgument("Invalid PRE operation: neither multicast group nor clone")

    def _digest_entries(self, asked: p4r.DigestEntry) -> Iterator[p4r.Entity]:
        for entry in self._digests.read(asked.digest_id):
            yield p4r.Entity(digest_entry=entry)


def _select(objects: dict[int, T], object_id: int, kind: str) -> list[T]:
    if not object_id:
        return list(objects.values())
    if object_id not in objects:
        raise InvalidArgument(f"Invalid P4 id: {object_id} is not {kind} of the running P4Info")
    return [objects[object_id]]


def _indexes(
    asked: p4r.CounterEntry | p4r.MeterEntry | p4r.RegisterEntry, name: str, size: int
) -> range:
    if not asked.HasField("index"):
        return range(size)
    index = asked.index.index
    if not 0 <= index < size:
        raise RpcError(rpc_code.OUT_OF_RANGE, f"{name}: index {index} is not in 0..{size - 1}")
    return range(index, index + 1)


def _same_action(entry: p4r.TableEntry, wanted: p4r.TableAction) -> bool:
    if wanted.WhichOneof("type") == "action" and not wanted.action.params:
        return entry.action.action.action_id == wanted.action.action_id
    return entry.action == wanted


def _encode_owner(table: TableSchema, entry: Entry, out: p4r.TableEntry) -> None:
    if entry is table.table.default_entry:
        out.table_id = table.table_id
        out.is_default_action = True
    else:
        entries.encode_key(table, entry, out)


def _member_entity(profile: ProfileSchema, member: Member) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.action_profile_member
    message.action_profile_id = profile.profile_id
    message.member_id = member.member_id
    profile.scope.encode(member.action, message.action)
    return entity


def _group_entity(profile: ProfileSchema, group: Group) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.action_profile_group
    message.action_profile_id = profile.profile_id
    message.group_id = group.group_id
    message.max_size = group.max_size
    for member in group.members:
        item = message.members.add(member_id=member.member_id, weight=member.weight)
        if member.watch_port >= 0:
            item.watch_port = encode_bits(member.watch_port)
    return entity


def _encode_replicas(replicas: Iterable[Replica], as_bytes: bool, out: Any) -> None:
    # What was written is read back: as the deprecated egress_port, or as port.
    for replica in replicas:
        if as_bytes:
            out.add(port=encode_bits(replica.port), instance=replica.instance)
        else:
            out.add(egress_port=replica.port, instance=replica.instance)


def _multicast_entity(
    group_id: int, replicas: Iterable[Replica], metadata: bytes, as_bytes: bool
) -> p4r.Entity:
    entity = p4r.Entity()
    group = entity.packet_replication_engine_entry.multicast_group_entry
    group.multicast_group_id = group_id
    group.metadata = metadata
    _encode_replicas(replicas, as_bytes, group.replicas)
    return entity


def _clone_entity(session_id: int, session: CloneSession, as_bytes: bool) -> p4r.Entity:
    entity = p4r.Entity()
    clone = entity.packet_replication_engine_entry.clone_session_entry
    clone.session_id = session_id
    clone.packet_length_bytes = session.packet_length_bytes
    clone.class_of_service = session.class_of_service
    _encode_replicas(session.replicas, as_bytes, clone.replicas)
    return entity
