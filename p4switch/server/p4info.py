"""The P4Info of the running program, checked against it and indexed by id for the codecs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from finsy.proto import p4i, p4t

from p4switch.actions import ActionSpec
from p4switch.errors import InvalidArgument, Unsupported
from p4switch.pipeline import Pipeline
from p4switch.profiles import ActionProfile
from p4switch.server.actions import ActionCodec, ActionScope
from p4switch.server.codec import FieldCodec
from p4switch.server.packetio import PacketIo
from p4switch.stateful import Counter, Meter, Register
from p4switch.tables import Table

T = TypeVar("T")

_KINDS: dict[int, str] = {
    p4i.MatchField.EXACT: "exact",
    p4i.MatchField.LPM: "lpm",
    p4i.MatchField.TERNARY: "ternary",
    p4i.MatchField.RANGE: "range",
    p4i.MatchField.OPTIONAL: "optional",
}


@dataclass(frozen=True, slots=True)
class ProfileSchema:
    """An action profile: its id and the actions that its members may call."""

    profile_id: int
    profile: ActionProfile
    scope: ActionScope


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table: the codecs of its key and actions, and what P4Info says about it."""

    table_id: int
    table: Table
    fields: tuple[FieldCodec, ...]
    field_ids: tuple[int, ...]
    scope: ActionScope
    entry_scope: ActionScope
    default_scope: ActionScope
    profile: ProfileSchema | None
    needs_priority: bool
    has_counter: bool
    has_meter: bool
    notifies: bool


@dataclass(frozen=True, slots=True)
class CounterSchema:
    """An indirect counter; packets and bytes are both counted, whatever its unit, as BMv2 does."""

    counter_id: int
    counter: Counter


@dataclass(frozen=True, slots=True)
class MeterSchema:
    """An indirect meter."""

    meter_id: int
    meter: Meter


@dataclass(frozen=True, slots=True)
class RegisterSchema:
    """A register of plain bit cells."""

    register_id: int
    register: Register


@dataclass(frozen=True, slots=True)
class DigestSchema:
    """A digest: `shape` is struct, tuple or bitstring, as P4Info packs its samples."""

    digest_id: int
    name: str
    shape: str
    widths_bits: tuple[int, ...]


class _Named(Protocol):
    @property
    def preamble(self) -> p4i.Preamble: ...


class Schema:
    """Ids of one P4Info mapped to the objects of one pipeline. InvalidArgument when they differ."""

    def __init__(self, p4info: p4i.P4Info, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.actions = {a.preamble.id: ActionCodec.from_p4info(a) for a in p4info.actions}
        self.packet_io = PacketIo.from_p4info(p4info.controller_packet_metadata)
        _refuse_unknown(p4info)
        self._counted = {c.direct_table_id for c in p4info.direct_counters}
        self._metered = {m.direct_table_id for m in p4info.direct_meters}
        self.direct_counters = {c.preamble.id: c.direct_table_id for c in p4info.direct_counters}
        self.direct_meters = {m.preamble.id: m.direct_table_id for m in p4info.direct_meters}
        self._new_types = p4info.type_info.new_types
        self.profiles = {
            p.preamble.id: self._profile(p, p4info.tables) for p in p4info.action_profiles
        }
        self.tables = {t.preamble.id: self._table(t) for t in p4info.tables}
        self.counters = {
            c.preamble.id: CounterSchema(c.preamble.id, _find(pipeline.counters, "counter", c))
            for c in p4info.counters
        }
        self.meters = {
            m.preamble.id: MeterSchema(m.preamble.id, _find(pipeline.meters, "meter", m))
            for m in p4info.meters
        }
        self.registers = {
            r.preamble.id: RegisterSchema(r.preamble.id, _find(pipeline.registers, "register", r))
            for r in p4info.registers
        }
        self.digests = {d.preamble.id: self._digest(d, p4info.type_info) for d in p4info.digests}
        self.table_of_name = {t.table.name: t for t in self.tables.values()}
        # Multicast groups and clone sessions whose ports were written as bytes: ("clone", id).
        self.port_as_bytes: set[tuple[str, int]] = set()
        self.digest_of_name = {d.name: d for d in self.digests.values()}

    def _codec(self, owner: str, action_id: int, spec: dict[str, ActionSpec]) -> ActionCodec:
        codec = self.actions.get(action_id)
        if codec is None:
            raise InvalidArgument(f"P4Info: {owner} refers to action {action_id}, not declared")
        known = spec.get(codec.name)
        if known is None:
            raise _misfit(f"{owner} has an action {codec.name} in the P4Info only")
        if len(known.param_widths) != len(codec.params):
            raise _misfit(
                f"action {codec.name} has {len(codec.params)} parameters in the P4Info and "
                f"{len(known.param_widths)} in the program"
            )
        for (param_id, width), actual in zip(codec.params, known.param_widths, strict=True):
            # Width 0 is a translated string type; BMv2 does not translate either.
            if width == 0:
                raise Unsupported(
                    f"action {codec.name}: parameter {param_id} is a translated string; "
                    "sdn_string is not implemented, use sdn_bitwidth or plain bits"
                )
            if width < actual:
                raise _misfit(
                    f"action {codec.name}: parameter {param_id} has {width} bits in the P4Info "
                    f"and {actual} in the program"
                )
        if codec.params and tuple(w for _, w in codec.params) != known.param_widths:
            params = tuple(
                (i, w) for (i, _), w in zip(codec.params, known.param_widths, strict=True)
            )
            return ActionCodec(codec.action_id, codec.name, params)
        return codec

    def _profile(self, info: p4i.ActionProfile, tables: Iterable[p4i.Table]) -> ProfileSchema:
        profile = _find(self.pipeline.profiles, "action profile", info)
        # The device config does not carry the limit.
        profile.max_group_size = info.max_group_size
        ids: dict[int, None] = {}
        for table in tables:
            if table.implementation_id == info.preamble.id:
                ids.update((ref.id, None) for ref in table.action_refs)
        owner = f"action profile {info.preamble.name}"
        codecs = [
            self._codec(owner, i, profile.actions)
            for i in ids
            if self.actions.get(i) is None or self.actions[i].name in profile.actions
        ]
        return ProfileSchema(info.preamble.id, profile, ActionScope.of(owner, codecs))

    def _table(self, info: p4i.Table) -> TableSchema:
        name = info.preamble.name
        table = _find(self.pipeline.tables, "table", info)
        fields = self._fields(info, table)
        owner = f"table {name}"
        profile = self.profiles.get(info.implementation_id) if info.implementation_id else None
        if (profile is None) != (table.profile is None):
            raise _misfit(f"{owner} has an action profile in one of the two only")
        codecs = [(ref, self._codec(owner, ref.id, table.actions)) for ref in info.action_refs]
        table_id = info.preamble.id
        if table_id in self._counted and not table.has_counter:
            raise _misfit(f"{owner} has a direct counter in the P4Info only")
        if table_id in self._metered and not table.has_meter:
            raise _misfit(f"{owner} has a direct meter in the P4Info only")
        if info.has_initial_entries and not info.is_const_table:
            table.open_entries(info.size)  # the device config does not tell them from constant ones
        return TableSchema(
            table_id=table_id,
            table=table,
            fields=fields,
            field_ids=tuple(f.field_id for f in fields),
            scope=ActionScope.of(owner, [c for _, c in codecs]),
            entry_scope=ActionScope.of(
                f"{owner} (in an entry)",
                [c for ref, c in codecs if ref.scope != p4i.ActionRef.DEFAULT_ONLY],
            ),
            default_scope=ActionScope.of(
                f"{owner} (as the default)",
                [c for ref, c in codecs if ref.scope != p4i.ActionRef.TABLE_ONLY],
            ),
            profile=profile,
            needs_priority=any(f.needs_priority for f in fields),
            has_counter=table_id in self._counted,
            has_meter=table_id in self._metered,
            notifies=info.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL,
        )

    def _fields(self, info: p4i.Table, table: Table) -> tuple[FieldCodec, ...]:
        name = info.preamble.name
        if len(info.match_fields) != len(table.keys):
            raise _misfit(
                f"table {name} has {len(info.match_fields)} match fields in the P4Info and "
                f"{len(table.keys)} in the program"
            )
        fields: list[FieldCodec] = []
        for field, key in zip(info.match_fields, table.keys, strict=True):
            kind = _KINDS.get(field.match_type)
            as_ternary = kind == "optional" and key.kind == "ternary"
            if kind is None or (kind != key.kind and not as_ternary):
                raise _misfit(
                    f"match field {field.name} of table {name} is {kind or 'of unknown kind'} in "
                    f"the P4Info and {key.kind} in the program"
                )
            type_name = field.type_name.name
            translated = self._new_types.get(type_name, None)
            if field.bitwidth != key.width_bits and (
                translated is None or not translated.HasField("translated_type")
            ):
                raise _misfit(
                    f"match field {field.name} of table {name} has {field.bitwidth} bits in the "
                    f"P4Info and {key.width_bits} in the program"
                )
            if field.bitwidth == 0:
                raise Unsupported(
                    f"match field {field.name} of table {name} is a translated string; "
                    "sdn_string is not implemented, use sdn_bitwidth or plain bits"
                )
            fields.append(FieldCodec(field.id, field.name, kind, key.width_bits, as_ternary))
        return tuple(fields)

    def _digest(self, info: p4i.Digest, types: p4t.P4TypeInfo) -> DigestSchema:
        name = info.preamble.name
        spec = _find(self.pipeline.digests, "digest", info)
        shape = info.type_spec.WhichOneof("type_spec") or ""
        if shape == "struct":
            struct = types.structs[info.type_spec.struct.name]
            count = len(struct.members)
            plain = all(m.type_spec.HasField("bitstring") for m in struct.members)
        elif shape == "tuple":
            count = len(info.type_spec.tuple.members)
            plain = all(m.HasField("bitstring") for m in info.type_spec.tuple.members)
        else:
            count, plain = 1, shape == "bitstring"
        if not plain:
            raise Unsupported(
                f"digest {name}: only structs and tuples of bit fields, and plain bit fields, "
                "are implemented"
            )
        widths = tuple(spec.widths)
        if count != len(widths):
            raise _misfit(
                f"digest {name} has {count} fields in the P4Info and {len(widths)} in the program"
            )
        return DigestSchema(info.preamble.id, name, shape, widths)


def _misfit(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"P4Info and device config do not fit: {what}; compile both from the same source"
    )


def _find(objects: dict[str, T], kind: str, info: _Named) -> T:
    name = info.preamble.name
    if name not in objects:
        raise _misfit(f"{kind} {name} is in the P4Info only")
    return objects[name]


def _refuse_unknown(p4info: p4i.P4Info) -> None:
    for value_set in p4info.value_sets:
        raise Unsupported(
            f"P4Info: value set {value_set.preamble.name}: value sets are not implemented"
        )
    for extern in p4info.externs:
        raise Unsupported(
            f"P4Info: extern {extern.extern_type_name}: externs of other architectures are not "
            "implemented; compile for v1model"
        )
