"""Table entries of P4Runtime to and from the entries of the packet path."""

from __future__ import annotations

from finsy.proto import p4r, rpc_code

from p4switch.actions import ActionCall, EntryAction, GroupRef, MemberRef
from p4switch.errors import InvalidArgument, NotFound, ResourceExhausted
from p4switch.server.codec import MatchItem
from p4switch.server.p4info import Schema, TableSchema
from p4switch.server.status import RpcError
from p4switch.stateful import MeterConfig
from p4switch.tables import Entry


def find_table(schema: Schema, table_id: int) -> TableSchema:
    """The table with this id; InvalidArgument (as the reference server) when there is none."""
    try:
        return schema.tables[table_id]
    except KeyError:
        raise InvalidArgument(
            f"Invalid P4 id: {table_id} is not a table of the running P4Info"
        ) from None


def decode_key(table: TableSchema, message: p4r.TableEntry) -> tuple[tuple[MatchItem, ...], int]:
    """(match, priority) of an entry that is not the default; missing fields match everything."""
    given = message.match
    fields = table.fields
    if len(given) == len(fields) and all(
        m.field_id == f.field_id for m, f in zip(given, fields, strict=True)
    ):
        match = tuple([f.decode(m) for m, f in zip(given, fields, strict=True)])
    else:
        match = _decode_sparse(table, message)
    priority = message.priority
    if table.needs_priority:
        if priority <= 0:
            raise InvalidArgument(
                f"table {table.table.name}: Zero priority for ternary match; "
                "give a priority of at least 1"
            )
    elif priority:
        raise InvalidArgument(
            f"table {table.table.name}: Non-zero priority for non-ternary match; leave it out"
        )
    return match, priority


def _decode_sparse(table: TableSchema, message: p4r.TableEntry) -> tuple[MatchItem, ...]:
    given: dict[int, p4r.FieldMatch] = {}
    for field in message.match:
        if field.field_id in given:
            raise InvalidArgument(
                f"table {table.table.name}: match field {field.field_id} comes twice"
            )
        given[field.field_id] = field
    unknown = given.keys() - set(table.field_ids)
    if unknown:
        raise InvalidArgument(
            f"table {table.table.name}: unknown match field {min(unknown)}; it has "
            f"{', '.join(f'{f.name} ({f.field_id})' for f in table.fields)}"
        )
    return tuple(
        codec.decode(given[codec.field_id]) if codec.field_id in given else codec.wildcard()
        for codec in table.fields
    )


def decode_action(table: TableSchema, action: p4r.TableAction) -> EntryAction:
    """The action of an entry, checked against the table (direct or indirect, action's scope)."""
    kind = action.WhichOneof("type")
    profile = table.profile
    if kind is None:
        raise InvalidArgument(f"table {table.table.name}: 'action' field must be set")
    if profile is None:
        if kind != "action":
            raise InvalidArgument(
                f"table {table.table.name}: Cannot provide indirect action for direct table; "
                "send an action"
            )
        check_scope(table, action.action.action_id, is_default=False)
        return table.entry_scope.decode(action.action)
    if kind == "action":
        raise InvalidArgument(
            f"table {table.table.name}: Cannot provide direct action for indirect table; send "
            "a member, a group or an action set"
        )
    if kind == "action_profile_action_set":
        try:
            return profile.scope.decode_set(
                action.action_profile_action_set, profile.profile.max_group_size
            )
        except ResourceExhausted as error:
            raise ResourceExhausted(f"table {table.table.name}: {error}") from None
    if kind == "action_profile_member_id":
        return MemberRef(action.action_profile_member_id)
    return GroupRef(action.action_profile_group_id)


def check_scope(table: TableSchema, action_id: int, *, is_default: bool) -> None:
    """PERMISSION_DENIED for @defaultonly actions in entries and @tableonly ones as the default."""
    scope = table.default_scope if is_default else table.entry_scope
    if action_id not in scope.by_id and action_id in table.scope.by_id:
        name = table.scope.by_id[action_id].name
        where = "as default action" if is_default else "in table entry"
        mark = "TABLE_ONLY" if is_default else "DEFAULT_ONLY"
        raise RpcError(
            rpc_code.PERMISSION_DENIED,
            f"table {table.table.name}: Cannot use {mark} action {name} {where}",
        )


def decode_timeout(table: TableSchema, message: p4r.TableEntry) -> int:
    """idle_timeout_ns, checked."""
    if message.idle_timeout_ns < 0:
        raise InvalidArgument(f"table {table.table.name}: idle_timeout_ns must be a positive value")
    if message.idle_timeout_ns and not table.table.supports_timeout:
        raise InvalidArgument(
            f"table {table.table.name}: idle_timeout_ns must be set to 0 for tables which do "
            "not support idle timeout"
        )
    return message.idle_timeout_ns


def decode_meter(config: p4r.MeterConfig) -> MeterConfig:
    """Rates and bursts; negative ones are refused."""
    for name in ("cir", "cburst", "pir", "pburst"):
        if getattr(config, name) < 0:
            raise InvalidArgument(f"Negative meter {name}: {getattr(config, name)}")
    if config.eburst:
        raise InvalidArgument("meter eburst is for single-rate meters; leave it out")
    return MeterConfig(config.cir, config.cburst, config.pir, config.pburst)


def encode_meter(config: MeterConfig, out: p4r.MeterConfig) -> None:
    """Fill `out`."""
    out.cir, out.cburst = config.cir, config.cburst
    out.pir, out.pburst = config.pir, config.pburst


def find_entry(table: TableSchema, message: p4r.TableEntry) -> Entry:
    """The live entry that the message names, the default entry included; NotFound."""
    if message.is_default_action:
        check_default_key(table, message)
        return table.table.default_entry
    match, priority = decode_key(table, message)
    return table.table.get(match, priority)


def check_default_key(table: TableSchema, message: p4r.TableEntry) -> None:
    """A default entry has neither key nor priority."""
    if len(message.match) or message.priority:
        raise InvalidArgument(
            f"table {table.table.name}: the default entry takes neither match fields nor a priority"
        )


def encode_key(table: TableSchema, entry: Entry, out: p4r.TableEntry) -> None:
    """Fill table id, match and priority."""
    out.table_id = table.table_id
    for codec, item in zip(table.fields, entry.match, strict=True):
        codec.encode(item, out)
    if table.needs_priority and entry.priority:
        out.priority = entry.priority


def encode_entry(
    table: TableSchema, entry: Entry, asked: p4r.TableEntry, now_us: int, out: p4r.TableEntry
) -> None:
    """Fill `out` with the entry; counter, meter and age only when `asked` has those fields."""
    is_default = entry is table.table.default_entry
    if is_default:
        out.table_id = table.table_id
        out.is_default_action = True
        action = table.table.default()
    else:
        encode_key(table, entry, out)
        action = entry.action
        if entry.idle_timeout_ns:
            out.idle_timeout_ns = entry.idle_timeout_ns
        if asked.HasField("time_since_last_hit") and table.table.supports_timeout:
            elapsed_us = now_us - entry.last_hit_us if entry.last_hit_us else 0
            out.time_since_last_hit.elapsed_ns = max(0, elapsed_us) * 1000
        if entry.is_const:
            out.is_const = True
    if entry.metadata:
        out.metadata = entry.metadata
    if entry.controller_metadata:
        out.controller_metadata = entry.controller_metadata
    if action is not None:
        encode_action(table, action, out.action)
    if table.has_counter and asked.HasField("counter_data"):
        out.counter_data.packet_count = entry.packets
        out.counter_data.byte_count = entry.bytes
    if table.has_meter and asked.HasField("meter_config") and entry.meter is not None:
        encode_meter(entry.meter.config, out.meter_config)


def encode_action(table: TableSchema, action: EntryAction, out: p4r.TableAction) -> None:
    """Fill `out` with the action of an entry of this table."""
    if isinstance(action, ActionCall):
        table.scope.encode(action, out.action)
    elif isinstance(action, MemberRef):
        out.action_profile_member_id = action.member_id
    elif isinstance(action, GroupRef):
        out.action_profile_group_id = action.group_id
    elif table.profile is None:
        raise NotFound(f"table {table.table.name} has no action profile")
    else:
        table.profile.scope.encode_set(action, out.action_profile_action_set)
