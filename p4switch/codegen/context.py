"""What every part of the generator shares: names, run-time objects, reading and storing values."""

from __future__ import annotations

import keyword
import re
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Path, literal
from p4switch.codegen.expressions import Ex
from p4switch.codegen.usage import STD, Usage
from p4switch.errors import Unsupported
from p4switch.program import Field, Program

Json = Any
RESERVED = {
    *("data", "n", "now_us", "out", "row", "entry", "slots", "hit", "packet", "state", "headers"),
    *("fields", "pending", "length", "index", "session", "acc", "bits", "value", "slow"),
}


class Names(dict[str, str]):
    """Variable ("ipv4.ttl", "$clone") → its Python local, made on first use."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = set(RESERVED)
        self.varbits: set[str] = set()
        self.defaulted: set[str] = set()

    def __missing__(self, var: str) -> str:
        text = var.removeprefix(f"{STD}.").removeprefix("scalars.").replace("$valid$", "valid")
        name = self.fresh(text)
        self[var] = name
        return name

    def constant(self, var: str, value: int) -> str:
        """Source of a constant of this variable; an unset varbit field is empty bytes."""
        return 'b""' if var in self.varbits else literal(value)

    def relies_on_default(self, var: str) -> None:
        """The local must exist from the start: it becomes a parameter with a default."""
        self.defaulted.add(var)

    def fresh(self, text: str) -> str:
        """An unused identifier that looks like text."""
        base = re.sub(r"\W+", "_", text.replace("$", "")).strip("_") or "v"
        if base[0].isdigit() or keyword.iskeyword(base):
            base = f"v_{base}"
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name


class Context:
    """One program being generated. `space` becomes the globals of the generated module."""

    def __init__(self, program: Program, drop_port: int) -> None:
        self.program = program
        self.usage = Usage(program)
        self.names = Names()
        self.drop_port = drop_port
        self.space: dict[str, Any] = {}
        for name, layout in self.usage.layouts.items():
            if layout.varbit:
                self.names.varbits.add(f"{name}.{layout.varbit.name}")
        self._globals: dict[tuple[str, str], str] = {}

    # run-time objects

    def bind(self, kind: str, name: str, value: Any) -> str:
        """The global that holds a run-time object, e.g. ("table", "ipv4_lpm")."""
        key = (kind, name)
        if key not in self._globals:
            text = f"{kind}_{name}" if name else kind
            self._globals[key] = self.names.fresh(text)
            self.space[self._globals[key]] = value
        return self._globals[key]

    # variables

    def width_of(self, header: str, name: str) -> Field:
        """The declaration of a field; validity is a bit."""
        if name == "$valid$":
            return Field(name, 1)
        return self.program.field_of(header, name)

    def bounds(self, header: str, name: str) -> tuple[int, int]:
        """Bounds of a field's value."""
        f = self.width_of(header, name)
        if f.signed:
            return -(1 << (f.width - 1)), (1 << (f.width - 1)) - 1
        return 0, (1 << max(f.width, 0)) - 1

    def get(self, path: Path, header: str, name: str) -> Ex:
        """A field's value at the end of this path."""
        var = f"{header}.{name}"
        if name == "$valid$" and self.program.headers[header].is_metadata:
            return ex.TRUE
        if var in self.names.varbits:  # bytes: they can be compared, copied and sent
            return Ex('b""' if var in path.known else self.names[var], simple=True)
        if var in path.known:
            return ex.constant(path.known[var])
        low, high = self.bounds(header, name)
        if var in path.ranges:
            tighter = path.ranges[var]
            low, high = max(low, tighter[0]), min(high, tighter[1])
        return ex.local(self.names[var], low, high)

    def pseudo(self, path: Path, var: str, high: int = ex.INF) -> Ex:
        """A variable of the generator's own ("$clone")."""
        if var in path.known:
            return ex.constant(path.known[var])
        return ex.local(self.names[var], 0, high)

    def set(self, path: Path, var: str, value: Ex) -> None:
        """Store: a constant is only remembered, anything else is written to the local."""
        if value.const is not None:
            path.known[var] = value.const
            return
        name = self.names[var]
        if value.code != name:
            path.line(f"{name} = {value.code}")
            path.assigned(var)
            if value.low > -ex.INF and value.high < ex.INF:
                path.ranges[var] = (value.low, value.high)

    def fit(self, header: str, name: str, value: Ex) -> Ex:
        """The value as the field stores it: wrapped, or clamped when the field saturates."""
        f = self.width_of(header, name)
        low, high = self.bounds(header, name)
        if f.saturating:
            return ex.clamp(value, low, high)
        return ex.wrap_signed(value, f.width) if f.signed else ex.wrap(value, f.width)

    def unsigned(self, path: Path, header: str, name: str) -> Ex:
        """A field's bits as a number (keys, hashes and the wire see two's complement)."""
        value = self.get(path, header, name)
        f = self.width_of(header, name)
        return ex.wrap(value, f.width) if f.signed else value

    def store(self, path: Path, target: Json, value: Ex, params: list[Ex]) -> None:
        """Assign to a field, or to a field of a stack element chosen at run time."""
        while target.get("type") == "expression":
            target = target["value"]
        if target.get("type") == "field":
            header, name = target["value"]
            if name == "$valid$":
                raise Unsupported(f"a store to {header}.$valid$")
            self.set(path, f"{header}.{name}", self.fit(header, name, value))
            return
        if target.get("op") != "access_field":
            raise Unsupported(f"a store to {target.get('op') or target.get('type')}")
        elements = self.usage.dereferenced(target["left"])
        name = self.program.headers[elements[0]].type.fields[int(target["right"])].name
        index = self._index(path, target["left"], params)
        fitted = self.fit(elements[0], name, value)
        if index.const is not None:
            if 0 <= index.const < len(elements):
                self.set(path, f"{elements[index.const]}.{name}", fitted)
            return
        path.line(f"value = {fitted.code}")
        path.line(f"index = {index.code}")
        for i, h in enumerate(elements):  # all elements become locals: which one changes is dynamic
            var = f"{h}.{name}"
            local = self.names[var]
            if var in path.known:
                path.line(f"{local} = {path.known[var]}")
            path.assigned(var)
            path.line(f"if index == {i}:")
            path.line(f"    {local} = value")

    def choices(self, path: Path, node: Json, params: list[Ex]) -> tuple[tuple[str, ...], Ex]:
        """Headers that an operand may stand for, and the index that decides among them."""
        while node.get("type") == "expression":
            node = node["value"]
        if node.get("type") == "stack_field":  # stack.last
            elements = self.program.stacks[node["value"][0]]
            count = path.known.get(f"$next_{node['value'][0]}")
            if count is None:
                raise Unsupported(f"{node['value'][0]}.last outside the parser")
            return elements, ex.constant(max(count - 1, 0))
        return self.usage.dereferenced(node), self._index(path, node, params)

    def _index(self, path: Path, node: Json, params: list[Ex]) -> Ex:
        while node.get("type") == "expression":
            node = node["value"]
        if node.get("type") == "header":
            return ex.constant(0)
        return self.evaluate(path, node["right"], params)

    # expressions

    def evaluate(self, path: Path, node: Json, params: list[Ex]) -> Ex:
        """The Python expression of a JSON operand or expression."""
        if node is None:
            return ex.TRUE
        kind, value = node.get("type"), node.get("value")
        if kind == "expression":
            return self.evaluate(path, value, params)
        if kind == "field":
            return self.get(path, value[0], value[1])
        if kind == "hexstr":
            return ex.constant(int(value, 16))
        if kind == "bool":
            return ex.TRUE if value else ex.FALSE
        if kind in ("runtime_data", "local"):
            return params[int(value)]
        if kind == "stack_field":
            return self._last(path, value[0], value[1])
        if "op" in node:
            return self._operation(path, node, params)
        raise Unsupported(f"an operand of type {kind}")

    def _operation(self, path: Path, node: Json, params: list[Ex]) -> Ex:
        op, left, right = node["op"], node.get("left"), node.get("right")
        if op in ("valid", "valid_union"):
            valid: Ex = ex.FALSE
            for h in self.usage.headers_of(right):
                valid = ex.logical("or", valid, self.get(path, h, "$valid$"))
            return valid
        if op == "access_field":
            return self._element(path, left, int(right), params)
        if op in ("last_stack_index", "size_stack"):
            count = self.pseudo(path, f"$next_{right['value']}", 255)
            return count if op == "size_stack" else ex.binary("-", count, ex.constant(1))
        if op in ("==", "!=") and left.get("type") in ("header", "header_stack", "header_union"):
            same = self._same_headers(path, left, right)
            return same if op == "==" else ex.invert(same)
        if op in ("not", "~", "d2b", "b2d"):
            a = self.evaluate(path, right, params)
            if op == "not":
                return ex.invert(a)
            return ex.negate_bits(a) if op == "~" else ex.truth(a) if op == "b2d" else a
        if op == "-" and left is None:
            return ex.binary("-", ex.FALSE, self.evaluate(path, right, params))
        a, b = self.evaluate(path, left, params), self.evaluate(path, right, params)
        if op == "?":
            return ex.choose(self.evaluate(path, node["cond"], params), a, b)
        if op in ("and", "or"):
            return ex.logical(op, a, b)
        if op in ("==", "!="):
            if _is_bool(left) or _is_bool(right):
                a, b = ex.truth(a), ex.truth(b)
            return ex.compare(op, a, b)
        if op in ("<", ">", "<=", ">="):
            return ex.compare(op, a, b)
        if op in ("two_comp_mod", "sat_cast", "usat_cast"):
            if b.const is None:
                raise Unsupported(f"{op} with a width that is not constant")
            if op == "two_comp_mod":
                return ex.wrap_signed(a, b.const)
            half = 1 << (b.const - 1)
            limits = (-half, half - 1) if op == "sat_cast" else (0, 2 * half - 1)
            return ex.clamp(a, *limits)
        if op in ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"):
            return ex.binary(op, a, b)
        raise Unsupported(f"operator {op}")

    def _last(self, path: Path, stack: str, name: str) -> Ex:
        count = path.known.get(f"$next_{stack}")
        if count is None:
            raise Unsupported(f"{stack}.last outside the parser")
        if count == 0:
            return ex.FALSE  # BMv2 aborts here; P4 leaves the value undefined
        return self.get(path, self.program.stacks[stack][count - 1], name)

    def _element(self, path: Path, node: Json, offset: int, params: list[Ex]) -> Ex:
        elements = self.usage.dereferenced(node)
        name = self.program.headers[elements[0]].type.fields[offset].name
        index = self._index(path, node, params)
        if index.const is not None:
            if not 0 <= index.const < len(elements):
                return ex.FALSE
            return self.get(path, elements[index.const], name)
        values = [self.get(path, h, name).code for h in elements]
        inside = (
            f"{index.p} < {len(elements)}"
            if index.low >= 0
            else f"0 <= {index.p} < {len(elements)}"
        )
        code = f"({', '.join(values)},)[{index.code}] if {inside} else 0"
        return Ex(code, *self.bounds(elements[0], name))

    def _same_headers(self, path: Path, left: Json, right: Json) -> Ex:
        same = ex.TRUE
        pairs = zip(self.usage.headers_of(left), self.usage.headers_of(right), strict=True)
        for a, b in pairs:
            equal = ex.logical("and", self.get(path, a, "$valid$"), self.get(path, b, "$valid$"))
            for f in self.program.headers[a].type.fields:
                field_equal = ex.compare("==", self.get(path, a, f.name), self.get(path, b, f.name))
                equal = ex.logical("and", equal, field_equal)
            same = ex.logical("and", same, equal)
        return same


def _is_bool(node: Json) -> bool:
    """Whether an operand is a Boolean of the BMv2 JSON (not a number)."""
    while isinstance(node, dict) and node.get("type") == "expression":
        node = node["value"]
    if not isinstance(node, dict):
        return False
    return node.get("type") == "bool" or node.get("op") in (
        *("and", "or", "not", "d2b", "==", "!=", "<", ">", "<=", ">=", "valid", "valid_union"),
    )
