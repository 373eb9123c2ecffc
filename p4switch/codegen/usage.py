"""What a program reads and writes: decides which fields get a local, and which stores are dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from p4switch.codegen.layout import Layout, Needs, byte_groups, layout_of
from p4switch.errors import Unsupported
from p4switch.program import Calculation, Program

Json = Any

# primitive → positions of the values that it writes
DESTINATIONS = {
    "assign": (0,),
    "assign_VL": (0,),
    "set": (0,),
    "register_read": (0,),
    "modify_field_with_hash_based_offset": (0,),
    "modify_field_rng_uniform": (0,),
    "execute_meter": (2,),
}
STD = "standard_metadata"


@dataclass(slots=True)
class Effects:
    """Variables that a piece of program reads, and those that it surely overwrites."""

    reads: set[str] = field(default_factory=set)
    kills: set[str] = field(default_factory=set)


class Usage:
    """Field use over the whole program, and the header layouts that follow from it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._parent: dict[str, str] = {h: h for h in program.headers}
        self.accessed: dict[str, set[str]] = {h: set() for h in program.headers}
        self.written: dict[str, set[str]] = {h: set() for h in program.headers}
        self.summed: dict[str, dict[str, set[str]]] = {}  # root → field → covering runs
        self._dirty: set[str] = set()
        self.flipped: set[str] = set()  # headers whose validity changes outside extraction
        self._scan()
        self.layouts: dict[str, Layout] = {}
        for name, header in program.headers.items():
            if not header.is_metadata:
                root = self._root(name)
                needs = Needs(
                    self.accessed[root],
                    self.written[root],
                    self.summed.get(root, {}),
                    root in self._dirty,
                )
                self.layouts[name] = layout_of(header.type, needs)

        # stacks whose fill level the pipelines ask for (lastIndex, size)
        self.counted = {
            f"$next_{e['right']['value']}"
            for e in _operations([program.json.get("actions"), program.json["pipelines"]])
        }
        self.owner: dict[str, str] = {}  # variable → its header
        for name in program.headers:
            self.owner.update(dict.fromkeys(self.header_vars(name), name))

    # which locals a header has

    def header_vars(self, name: str) -> list[str]:
        """All variables of a header or metadata instance."""
        header = self.program.headers[name]
        if header.is_metadata:
            return [f"{name}.{f.name}" for f in header.type.fields]
        layout = self.layouts[name]
        fields = [f.name for f in layout.fields()]
        if layout.varbit:
            fields.append(layout.varbit.name)
        return [f"{name}.{f}" for f in (*fields, *layout.raws(), "$valid$")]

    def is_dirty(self, name: str) -> bool:
        """Whether the header may have to be written again field by field."""
        return self._root(name) in self._dirty

    # references in JSON

    def fields_in(self, node: Json) -> Iterator[tuple[str, str]]:
        """(header, field) pairs that evaluating this JSON reads."""
        if isinstance(node, list):
            for item in node:
                yield from self.fields_in(item)
            return
        if not isinstance(node, dict):
            return
        kind, value = node.get("type"), node.get("value")
        if kind == "field" and isinstance(value, list):
            yield value[0], value[1]
        elif kind == "stack_field" and isinstance(value, list):
            for h in self.program.stacks[value[0]]:
                yield h, "$valid$" if value[1] == "last" else value[1]
        elif kind == "union_stack_field" and isinstance(value, list):
            for union in self.program.union_stacks[value[0]]:
                yield f"{union}.{value[1]}", value[2]
        elif node.get("op") == "access_field":
            for h in self.dereferenced(node["left"]):
                yield h, self.program.headers[h].type.fields[int(node["right"])].name
            yield from self.fields_in(node["left"])
        elif kind in ("header", "header_union", "header_stack", "header_union_stack"):
            for h in self.headers_of(node):
                if not self.program.headers[h].is_metadata:
                    yield h, "$valid$"
        else:
            for key, item in node.items():
                if key != "source_info":
                    yield from self.fields_in(item)

    def headers_of(self, node: Json) -> tuple[str, ...]:
        """Instances that a header, union or stack operand stands for."""
        kind, value = node["type"], node["value"]
        if kind in ("header", "header_union") and value in self.program.unions:
            return self.program.unions[value]
        if kind == "header":
            return (value,)
        if kind == "header_stack":
            return self.program.stacks[value]
        if kind == "header_union_stack":
            unions = self.program.union_stacks[value]
            return tuple(h for u in unions for h in self.program.unions[u])
        return self.dereferenced(node)

    def dereferenced(self, node: Json) -> tuple[str, ...]:
        """Instances that a stack element chosen at run time may be."""
        while node.get("type") == "expression":
            node = node["value"]
        if node.get("type") == "header":
            return (node["value"],)
        if node.get("op") == "dereference_header_stack":
            return self.program.stacks[node["left"]["value"]]
        if node.get("type") == "stack_field" and node["value"][1] == "last":
            return self.program.stacks[node["value"][0]]
        raise Unsupported(f"a header operand {node.get('op') or node.get('type')}")

    def targets(self, node: Json) -> list[str]:
        """Variables that a store to this operand may change."""
        while node.get("type") == "expression":
            node = node["value"]
        return [f"{h}.{f}" for h, f in self.fields_in(node) if f != "$valid$"]

    def effects(self, primitive: Json) -> Effects:
        """What one primitive (of an action or of the parser) reads and overwrites."""
        op, params = primitive["op"], primitive.get("parameters", [])
        out = Effects()
        destinations = DESTINATIONS.get(op, ())
        for i, param in enumerate(params):
            if i in destinations:
                if param.get("type") == "field":
                    # a register, hash or random store may leave the old value
                    if op in ("assign", "set", "assign_VL"):
                        out.kills.add(f"{param['value'][0]}.{param['value'][1]}")
                    else:
                        out.reads.add(f"{param['value'][0]}.{param['value'][1]}")
                else:
                    out.reads.update(f"{h}.{f}" for h, f in self.fields_in(param))
            else:
                out.reads.update(f"{h}.{f}" for h, f in self.fields_in(param))
        if op in ("assign_header", "assign_union", "assign_header_stack", "assign_union_stack"):
            for h in self.headers_of(params[1]):
                out.reads.update(self.header_vars(h))
        if op in ("push", "pop"):
            for h in self.headers_of(params[0]):
                out.reads.update(self.header_vars(h))
        if op in ("generate_digest",):
            out.reads.clear()
        if op == "modify_field_with_hash_based_offset":
            calculation = self.program.calculations[params[2]["value"]]
            out.reads.update(self.inputs(list(calculation.inputs)))
        return out

    def inputs(self, inputs: list[Json]) -> set[str]:
        """Variables that a calculation reads; validity decides which fields take part."""
        reads = set()
        for item in inputs:
            if item["type"] == "header":
                reads.update(self.header_vars(item["value"]))
            for h, f in self.fields_in(item):
                reads.add(f"{h}.{f}")
                if not self.program.headers[h].is_metadata:
                    reads.add(f"{h}.$valid$")
                    reads.update(f"{h}.{raw}" for raw in self.layouts[h].raws())
        return reads

    # the scan

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def _tie(self, names: tuple[str, ...]) -> None:
        for other in names[1:]:
            a, b = self._root(names[0]), self._root(other)
            if a == b or self.program.headers[a].type != self.program.headers[b].type:
                continue
            self._parent[b] = a
            self.accessed[a] |= self.accessed[b]
            self.written[a] |= self.written[b]
            if b in self._dirty:
                self._dirty.add(a)

    def _read(self, node: Json) -> None:
        for h, f in self.fields_in(node):
            self.accessed[self._root(h)].add(f)

    def _write(self, node: Json) -> None:
        inner = node
        while inner.get("type") == "expression":
            inner = inner["value"]
        for h, f in self.fields_in(inner):
            if f != "$valid$":
                root = self._root(h)
                self.accessed[root].add(f)
                self.written[root].add(f)
                self._dirty.add(root)

    def _flip(self, names: tuple[str, ...], dirty: bool) -> None:
        for name in names:
            self.flipped.add(name)
            self.flipped.update(self.program.union_members.get(name, ()))
            if dirty:
                self._dirty.add(self._root(name))

    def _scan(self) -> None:
        program = self.program
        for members in program.stacks.values():
            self._tie(members)
        primitives = [p for a in program.actions.values() for p in a.primitives]
        for state in program.parse_states.values():
            self._read(state["transition_key"])
            for op in state["parser_ops"]:
                if op["op"] == "primitive":
                    primitives.append(op["parameters"][0])
                elif op["op"] == "set":
                    primitives.append(op)
                elif op["op"] in ("extract", "extract_VL"):
                    self._read(op["parameters"][1:])
                else:
                    self._read(op["parameters"])
        for primitive in primitives:
            self._primitive(primitive)
        for pipeline in program.pipelines.values():
            for table in pipeline.tables.values():
                for key in table.keys:
                    self.accessed[self._root(key.header)].add(key.field)
            for condition in pipeline.conditions.values():
                self._read(condition.expression)
        for item in program.json["pipelines"]:
            for profile in item.get("action_profiles", ()):
                self._read((profile.get("selector") or {}).get("input", []))
        for meter in program.json.get("meter_arrays", ()):
            if meter.get("result_target"):
                self._write({"type": "field", "value": meter["result_target"]})
        for calculation in program.calculations.values():
            self._calculation(calculation)
        for checksum in program.checksums:
            self._read(checksum.get("if_cond"))
            target = {"type": "field", "value": checksum["target"]}
            if checksum.get("update", True):
                self._write(target)
            self._read(target)
        for digest in program.digests.values():
            self._read(list(digest.elements))
        for fields in program.field_lists.values():
            for h, f in fields:
                self.accessed[self._root(h)].add(f)

    def _calculation(self, calculation: Calculation) -> None:
        """Inputs that cover whole byte-aligned groups are summed or hashed without taking apart."""
        inputs = calculation.inputs
        position, run, follows = 0, 0, ("", -1)
        while position < len(inputs):
            item = inputs[position]
            covered = self.covered(inputs, position)
            if covered:
                header, number, names = covered
                run += follows != (header, number)
                follows = (header, number + 1)
                summed = self.summed.setdefault(self._root(header), {})
                for name in names:
                    summed.setdefault(name, set()).add(f"{calculation.name}/{run}")
                position += len(names)
                continue
            if item["type"] == "header":
                header = item["value"]
                names = tuple(f.name for f in self.program.headers[header].type.fields)
                self.accessed[self._root(header)].update(names)
            self._read(item)
            position += 1

    def covered(
        self, inputs: tuple[Json, ...], position: int
    ) -> tuple[str, int, tuple[str, ...]] | None:
        """(header, number, fields) of the byte-aligned group that the inputs list in full here."""
        item = inputs[position]
        if item["type"] != "field" or self.program.headers[item["value"][0]].is_metadata:
            return None
        header = item["value"][0]
        for number, run in enumerate(byte_groups(self.program.headers[header].type)):
            names = tuple(f.name for f in run)
            wanted = [[header, name] for name in names]
            listed = [i.get("value") for i in inputs[position : position + len(names)]]
            if run[0].width > 0 and listed == wanted and names[0] == item["value"][1]:
                return header, number, names
        return None

    def _primitive(self, primitive: Json) -> None:
        op, params = primitive["op"], primitive.get("parameters", [])
        destinations = DESTINATIONS.get(op, ())
        for i, param in enumerate(params):
            if i in destinations:
                self._write(param)
            self._read(param)
        if op == "add_header":
            self._flip(self.headers_of(params[0]), True)
        elif op == "remove_header":
            self._flip(self.headers_of(params[0]), False)
        elif op in ("push", "pop"):
            self._flip(self.headers_of(params[0]), True)
        elif op in ("assign_header", "assign_union", "assign_header_stack", "assign_union_stack"):
            to, of = self.headers_of(params[0]), self.headers_of(params[1])
            if op == "assign_header":  # either side may be a stack element chosen at run time
                self._tie((*to, *of))
            for pair in zip(to, of, strict=op != "assign_header"):
                self._tie(pair)
            self._flip(to, True)
        for expression in _equalities(params):
            to, of = self.headers_of(expression["left"]), self.headers_of(expression["right"])
            for name in (*to, *of):
                root = self._root(name)
                self.accessed[root].update(f.name for f in self.program.headers[name].type.fields)


def _equalities(node: Json) -> Iterator[Json]:
    """Comparisons of whole headers inside JSON."""
    if isinstance(node, list):
        for item in node:
            yield from _equalities(item)
    elif isinstance(node, dict):
        if node.get("op") in ("==", "!=") and isinstance(node.get("left"), dict):
            left = node["left"]
            if left.get("type") in ("header", "header_stack", "header_union"):
                yield node
        for key, item in node.items():
            if key != "source_info":
                yield from _equalities(item)


def _operations(node: Json) -> Iterator[Json]:
    """Uses of a stack's fill level inside JSON."""
    if isinstance(node, list):
        for item in node:
            yield from _operations(item)
    elif isinstance(node, dict):
        if node.get("op") in ("last_stack_index", "size_stack"):
            yield node
        for key, item in node.items():
            if key != "source_info":
                yield from _operations(item)
