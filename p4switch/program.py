"""BMv2 JSON → a Program: the objects by name, checked, and everything unknown refused by name.

The JSON is what `p4c-bm2-ss --arch v1model` writes (format: docs/JSON_format.md of BMv2). Bodies
(primitives, expressions, parser operations) stay JSON; the code generator walks them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from p4switch.actions import ActionSpec
from p4switch.errors import InvalidArgument, Unsupported
from p4switch.matches import KeySpec

Json = Any


@dataclass(frozen=True, slots=True)
class Field:
    """A header field. width is -1 for varbit; signed fields hold signed values."""

    name: str
    width: int
    signed: bool = False
    saturating: bool = False


@dataclass(frozen=True, slots=True)
class HeaderType:
    """Fields in wire order. max_bytes is 0 unless there is a varbit field."""

    name: str
    fields: tuple[Field, ...]
    max_bytes: int = 0

    @property
    def fixed_bits(self) -> int:
        """Bits without the varbit field."""
        return sum(f.width for f in self.fields if f.width > 0)

    @property
    def has_varbit(self) -> bool:
        """Whether one field has a variable width."""
        return any(f.width < 0 for f in self.fields)


@dataclass(frozen=True, slots=True)
class Header:
    """A header instance, or a metadata instance (always valid, never on the wire)."""

    name: str
    type: HeaderType
    is_metadata: bool


@dataclass(frozen=True, slots=True)
class Action:
    """An action body. spec is shared by all actions of this name."""

    id: int
    name: str
    params: tuple[tuple[str, int], ...]
    primitives: tuple[Json, ...]
    spec: ActionSpec


@dataclass(frozen=True, slots=True)
class Calculation:
    """A hash or checksum over an ordered list of inputs."""

    name: str
    algo: str
    inputs: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A key field of a table: where the value is read, its static mask, and how it is matched."""

    header: str
    field: str
    mask: int | None
    spec: KeySpec


@dataclass(frozen=True, slots=True)
class TableNode:
    """A table as a node of its pipeline."""

    name: str
    keys: tuple[Key, ...]
    actions: dict[str, Action]
    next_by_action: dict[str, str | None]
    next_hit: str | None
    next_miss: str | None
    splits_hit_miss: bool
    base_next: str | None
    json: Json


@dataclass(frozen=True, slots=True)
class ConditionNode:
    """An if statement."""

    name: str
    expression: Json
    true_next: str | None
    false_next: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Ingress or egress: nodes by name, starting at init."""

    name: str
    init: str | None
    tables: dict[str, TableNode]
    conditions: dict[str, ConditionNode]


@dataclass(frozen=True, slots=True)
class DigestSpec:
    """A digest: its name in the P4Info and the widths of its fields in bits."""

    name: str
    widths: tuple[int, ...]
    elements: tuple[Json, ...] = ()


@dataclass(slots=True)
class Program:
    """A whole v1model program."""

    json: Mapping[str, Json]
    headers: dict[str, Header] = field(default_factory=dict)
    stacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    union_stacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    union_members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: dict[str, tuple[str, str]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    parse_states: dict[str, Json] = field(default_factory=dict)
    parse_start: str | None = None
    deparse_order: tuple[str, ...] = ()
    field_lists: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    digests: dict[int, DigestSpec] = field(default_factory=dict)
    actions: dict[int, Action] = field(default_factory=dict)
    calculations: dict[str, Calculation] = field(default_factory=dict)
    checksums: tuple[Json, ...] = ()
    pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def field_of(self, header: str, name: str) -> Field:
        """The declaration of a field."""
        for f in self.headers[header].type.fields:
            if f.name == name:
                return f
        raise InvalidArgument(f"the program refers to {header}.{name}, which it does not declare")

    def has_field(self, header: str, name: str) -> bool:
        """Whether header.name exists."""
        h = self.headers.get(header)
        return h is not None and any(f.name == name for f in h.type.fields)


def parse_json(source: str | bytes | Mapping[str, Json]) -> Program:
    """Load a BMv2 JSON document; Unsupported or InvalidArgument say what is wrong with it."""
    if isinstance(source, str | bytes):
        try:
            document = json.loads(source)
        except ValueError as error:
            raise InvalidArgument(f"the device config is not BMv2 JSON: {error}") from None
    else:
        document = source
    if not isinstance(document, Mapping) or "pipelines" not in document:
        raise InvalidArgument("the device config is not BMv2 JSON: it has no pipelines")
    try:
        program = Program(document)
        _headers(program)
        _refuse(program)
        _parser(program)
        _lists(program)
        _actions(program)
        for item in document.get("pipelines", ()):
            program.pipelines[item["name"]] = _pipeline(program, item)
    except (KeyError, IndexError, TypeError) as error:
        raise InvalidArgument(f"the BMv2 JSON is incomplete: {error!r}") from None
    for name in ("ingress", "egress"):
        if name not in program.pipelines:
            raise Unsupported(f"the program has no {name} pipeline: it is not a v1model program")
    if not program.has_field("standard_metadata", "egress_spec"):
        raise Unsupported("the program has no standard_metadata.egress_spec: it is not v1model")
    return program


def _headers(program: Program) -> None:
    document = program.json
    types: dict[str, HeaderType] = {}
    for t in document.get("header_types", ()):
        fields = []
        for f in t["fields"]:
            width = -1 if f[1] == "*" else int(f[1])
            signed = bool(f[2]) if len(f) > 2 else False
            saturating = bool(f[3]) if len(f) > 3 else False
            fields.append(Field(f[0], width, signed, saturating))
        types[t["name"]] = HeaderType(t["name"], tuple(fields), int(t.get("max_length") or 0))
        if t.get("length_exp"):
            raise Unsupported(f"header type {t['name']}: a P4_14 length expression")
    by_id: dict[int, str] = {}
    for h in document.get("headers", ()):
        header = Header(h["name"], types[h["header_type"]], bool(h["metadata"]))
        program.headers[header.name] = header
        by_id[h["id"]] = header.name
        if not header.is_metadata and header.type.fixed_bits % 8:
            raise Unsupported(f"header {header.name} is not a whole number of bytes")
    for s in document.get("header_stacks", ()):
        program.stacks[s["name"]] = tuple(by_id[i] for i in s["header_ids"])
    unions: dict[int, str] = {}
    for u in document.get("header_unions", ()) or ():
        members = tuple(by_id[i] for i in u["header_ids"])
        program.unions[u["name"]] = members
        unions[u["id"]] = u["name"]
        for m in members:
            program.union_members[m] = tuple(o for o in members if o != m)
    for s in document.get("header_union_stacks", ()) or ():
        program.union_stacks[s["name"]] = tuple(unions[i] for i in s["header_union_ids"])
    for alias, target in document.get("field_aliases", ()):
        program.aliases[alias] = (target[0], target[1])
    program.errors = {name: int(code) for name, code in document.get("errors", ())}


def _refuse(program: Program) -> None:
    document = program.json
    for kind, key in (("parser value set", "parse_vsets"), ("extern", "extern_instances")):
        names = [item.get("name", "?") for item in document.get(key) or ()]
        if names:
            raise Unsupported(f"{kind} {', '.join(names)} is not implemented")


def _parser(program: Program) -> None:
    parsers = list(program.json.get("parsers", ()))
    if len(parsers) > 1:
        raise Unsupported(f"{len(parsers)} parsers: v1model has one")
    for parser in parsers:
        program.parse_start = parser["init_state"]
        program.parse_states = {s["name"]: s for s in parser["parse_states"]}
        for state in parser["parse_states"]:
            for t in state["transitions"]:  # older compilers leave the type out
                t.setdefault("type", "default" if t["value"] == "default" else "hexstr")
    deparsers = list(program.json.get("deparsers", ()))
    if deparsers:
        program.deparse_order = tuple(deparsers[0]["order"])
        if deparsers[0].get("primitives"):
            raise Unsupported("statements other than emit in the deparser")


def _lists(program: Program) -> None:
    for item in program.json.get("field_lists", ()):
        elements = []
        for e in item["elements"]:
            if e["type"] != "field":
                raise Unsupported(f"field list {item['name']}: an element of type {e['type']}")
            elements.append((e["value"][0], e["value"][1]))
        program.field_lists[item["id"]] = tuple(elements)
    for item in program.json.get("learn_lists", ()):
        widths = []
        for e in item["elements"]:
            if e["type"] == "field":
                widths.append(program.field_of(*e["value"]).width)
            elif e["type"] == "hexstr":
                widths.append(int(e.get("bitwidth") or 4 * (len(e["value"]) - 2)))
            else:
                raise Unsupported(f"digest {item['name']}: an element of type {e['type']}")
        spec = DigestSpec(item["name"], tuple(widths), tuple(item["elements"]))
        program.digests[item["id"]] = spec


def _actions(program: Program) -> None:
    specs: dict[str, ActionSpec] = {}
    for item in program.json.get("actions", ()):
        params = tuple((p["name"], int(p["bitwidth"])) for p in item["runtime_data"])
        spec = specs.get(item["name"])
        if spec is None:
            spec = ActionSpec(
                item["name"], len(specs), tuple(p[0] for p in params), tuple(p[1] for p in params)
            )
            specs[item["name"]] = spec
        elif spec.param_widths != tuple(p[1] for p in params):
            raise Unsupported(f"two actions {item['name']} with different parameters")
        action = Action(item["id"], item["name"], params, tuple(item["primitives"]), spec)
        program.actions[action.id] = action
    for item in program.json.get("calculations", ()):
        calculation = Calculation(item["name"], item["algo"], tuple(item["input"]))
        program.calculations[calculation.name] = calculation
    program.checksums = tuple(program.json.get("checksums", ()))


def _pipeline(program: Program, item: Json) -> Pipeline:
    tables: dict[str, TableNode] = {}
    for t in item["tables"]:
        if t["type"] not in ("simple", "indirect", "indirect_ws"):
            raise Unsupported(f"table {t['name']}: implementation {t['type']}")
        by_name = {a.name: a.id for a in program.actions.values()}
        ids = t["action_ids"] if "action_ids" in t else [by_name[n] for n in t["actions"]]
        actions = {program.actions[i].name: program.actions[i] for i in ids}
        nexts = dict(t["next_tables"])
        splits = "__HIT__" in nexts or "__MISS__" in nexts
        tables[t["name"]] = TableNode(
            t["name"],
            tuple(_keys(program, t)),
            actions,
            {} if splits else nexts,
            nexts.get("__HIT__"),
            nexts.get("__MISS__"),
            splits,
            t.get("base_default_next"),
            t,
        )
    conditions = {
        c["name"]: ConditionNode(
            c["name"],
            c["expression"],
            c.get("true_next"),
            c.get("false_next"),
            (c.get("source_info") or {}).get("source_fragment", ""),
        )
        for c in item.get("conditionals", ())
    }
    if item.get("action_calls"):
        raise Unsupported(f"pipeline {item['name']}: action_calls")
    return Pipeline(item["name"], item.get("init_table"), tables, conditions)


def _keys(program: Program, table: Json) -> Iterable[Key]:
    for key in table["key"]:
        kind = key["match_type"]
        if kind not in ("exact", "lpm", "ternary", "range", "optional"):
            raise Unsupported(f"table {table['name']}: match kind {kind}")
        header, name = key["target"]
        width = 1 if name == "$valid$" else program.field_of(header, name).width
        if width < 0:
            raise Unsupported(f"table {table['name']}: the varbit key {header}.{name}")
        mask = int(key["mask"], 16) if key.get("mask") else None
        label = key.get("name") or f"{header}.{name}"
        yield Key(header, name, mask, KeySpec(label, kind, width))
