"""Parser states → nested ifs with constant offsets where possible, else one loop over states."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Label, Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.layout import CODES, Group, raw_name
from p4switch.codegen.primitives import Primitives
from p4switch.codegen.usage import STD
from p4switch.errors import Unsupported

Json = Any
# codes of core.p4's errors where the program's JSON does not list them
CORE_ERRORS = {
    "NoError": 0,
    "PacketTooShort": 1,
    "NoMatch": 2,
    "StackOutOfBounds": 3,
    "HeaderTooShort": 4,
    "ParserTimeout": 5,
    "ParserInvalidArgument": 6,
}
MAX_NODES = 400  # states written out, counting copies, before a loop over states is used instead
ERROR = f"{STD}.parser_error"


@dataclass(frozen=True, slots=True)
class Place:
    """A state with what is constant when it is entered: stack fill levels and offset (-1: varies)."""

    state: str
    stacks: tuple[tuple[str, int], ...]
    offset: int


class TooLarge(Exception):
    """The parser written out state by state would be too long."""


class ParserCode:
    """Generates the parser, for one function at a time."""

    def __init__(self, ctx: Context, stop: str) -> None:
        self.ctx = ctx
        self.primitives = Primitives(ctx, stop)
        self.tail_headers = self._tail_headers()
        self._loop_places: dict[Place, int] = {}
        self._waiting: list[Place] = []
        self._emitted = 0
        self._looping = False
        self.live_after: set[str] | None = None

    def emit(self, path: Path) -> None:
        """Emit the parser; afterwards $pos is the payload's offset and ERROR the error code."""
        start = self.ctx.program.parse_start
        for stack in (*self.ctx.program.stacks, *self.ctx.program.union_stacks):
            path.known[f"$next_{stack}"] = 0
        path.known["$pos"] = path.known["$tail"] = 0
        path.known[ERROR] = self.error("NoError")
        if start is None:
            return
        first = Place(start, self._stacks(path), 0)
        for attempt in (self._tree, self._machine):
            trial = path.fork()
            trial.code.deeper = False
            label = Label()
            try:
                attempt(trial, first, label)
            except TooLarge:
                continue
            path.code.items.append(trial.code)
            after = join(label.waiting, self.ctx.names, self.live_after)
            if after is not None:
                path.adopt(after)
            return

    def error(self, name: str) -> int:
        """The code of a core error."""
        return self.ctx.program.errors.get(name, CORE_ERRORS[name])

    def _stacks(self, path: Path) -> tuple[tuple[str, int], ...]:
        return tuple(
            (s, path.known[f"$next_{s}"])
            for s in (*self.ctx.program.stacks, *self.ctx.program.union_stacks)
        )

    # three ways to lay the states out

    def _tree(self, path: Path, first: Place, label: Label) -> None:
        """Every way through the parser by itself, all offsets constant."""
        self._emitted, self._looping = 0, False
        loop = path.open("while True:  # parser")
        self._state(loop, first, label, ())

    def _machine(self, path: Path, first: Place, label: Label) -> None:
        """A loop over numbered places: for parsers that come back to a state."""
        self._looping = True
        first = replace(first, offset=-1)
        self._loop_places, self._waiting = {first: 0}, [first]
        names = self.ctx.names
        live = [v for v in path.known if not v.startswith("$next_") and v != ERROR]
        for var in live:
            if path.held.get(var) == path.known[var]:
                names.relies_on_default(var)
            else:
                path.line(f"{names[var]} = {names.constant(var, path.known[var])}")
            path.assigned(var)
        path.line("state = 0")
        loop = path.open("while True:  # parser")
        base = dict(path.known)
        path.ranges.clear()
        loop.ranges.clear()
        keyword = "if"
        while self._waiting:
            place = self._waiting.pop(0)
            inside = loop.open(f"{keyword} state == {self._loop_places[place]}:")
            keyword = "elif"
            inside.known = {**base, **{f"$next_{s}": n for s, n in place.stacks}}
            self._state(inside, place, label, ())

    def _go(self, path: Path, place: Place | None, label: Label, above: tuple[Place, ...]) -> None:
        """Continue in another state, or accept."""
        if place is None:
            label.jump(path)
            return
        if not self._looping:
            self._state(path, place, label, above)
            return
        if place not in self._loop_places:
            if len(self._loop_places) > MAX_NODES:
                raise Unsupported("the parser has too many states with header stacks")
            self._loop_places[place] = len(self._loop_places)
            self._waiting.append(place)
        for var, value in path.known.items():
            if not var.startswith("$next_") and var != ERROR:
                path.line(f"{self.ctx.names[var]} = {self.ctx.names.constant(var, value)}")
        path.line(f"state = {self._loop_places[place]}")
        path.end("continue")

    # one state

    def _state(self, path: Path, place: Place, label: Label, above: tuple[Place, ...]) -> None:
        self._emitted += 1
        if not self._looping and (place in above or self._emitted > MAX_NODES):
            raise TooLarge
        state = self.ctx.program.parse_states[place.state]
        path.line(f"# {place.state}")
        for op in state["parser_ops"]:
            self._operation(path, op, label)
            if not path.alive:
                return
        self._transition(path, state, label, (*above, place))

    def _next_place(self, path: Path, name: str | None) -> Place | None:
        if name is None:
            return None
        offset = -1 if self._looping else path.known.get("$pos", -1)
        return Place(name, self._stacks(path), offset)

    def fail(self, path: Path, error: Ex, label: Label) -> None:
        """Leave with a parser error."""
        self.ctx.set(path, ERROR, error)
        label.jump(path)

    def _need(self, path: Path, nbytes: str, label: Label) -> None:
        """PacketTooShort unless so many bytes are left."""
        inside = path.open(f"if n < {nbytes}:")
        self.fail(inside, ex.constant(self.error("PacketTooShort")), label)

    def _at(self, path: Path, extra: int = 0) -> str:
        """Code of the offset of the current byte plus extra."""
        pos = path.known.get("$pos")
        if pos is not None:
            return str(pos + extra)
        name = self.ctx.names["$pos"]
        return f"{name} + {extra}" if extra else name

    def _operation(self, path: Path, op: Json, label: Label) -> None:
        kind, args = op["op"], op["parameters"]
        if kind in ("extract", "extract_VL"):
            self._extract(path, args, label)
        elif kind == "set":
            if args[1]["type"] == "lookahead":
                value = self._lookahead(path, args[1]["value"], label)
                self.ctx.store(path, args[0], value, [])
            else:
                self.primitives.emit(path, op, [], None)
        elif kind == "verify":
            condition = self.ctx.evaluate(path, args[0], [])
            if condition.const:
                return
            inside = path.open(f"if {ex.invert(condition).code}:")
            self.fail(inside, self.ctx.evaluate(inside, args[1], []), label)
            if condition.const == 0:
                path.alive = False
        elif kind == "advance":
            self._advance(path, self.ctx.evaluate(path, args[0], []), label)
        elif kind == "shift":
            self._advance(path, ex.constant(8 * int(args[0])), label)
        elif kind == "primitive":
            self.primitives.emit(path, args[0], [], None)
        else:
            raise Unsupported(f"parser operation {kind}")

    def _advance(self, path: Path, bits: Ex, label: Label) -> None:
        if bits.const is None:
            inside = path.open(f"if {bits.p} & 7:")
            self.fail(inside, ex.constant(self.error("ParserInvalidArgument")), label)
            nbytes = ex.binary(">>", bits, ex.constant(3))
        else:
            if bits.const % 8:
                self.fail(path, ex.constant(self.error("ParserInvalidArgument")), label)
                return
            nbytes = ex.constant(bits.const // 8)
        pos = ex.binary("+", self.ctx.pseudo(path, "$pos"), nbytes)
        self._need(path, pos.p, label)
        self.ctx.set(path, "$pos", pos)
        self._tail_broken(path)

    def _lookahead(self, path: Path, where: list[int], label: Label) -> Ex:
        offset, width = where
        end = (offset + width + 7) // 8
        self._need(path, self._at(path, end), label)
        first = offset // 8
        shift = -(offset + width) % 8
        if end - first == 1:
            whole = ex.local(f"data[{self._at(path, first)}]", 0, 0xFF)
        else:
            code = f"int.from_bytes(data[{self._at(path, first)}:{self._at(path, end)}], 'big')"
            whole = ex.local(code, 0, (1 << 8 * (end - first)) - 1)
        return ex.wrap(ex.binary(">>", whole, ex.constant(shift)), width)

    # extraction

    def _extract(self, path: Path, args: list[Json], label: Label) -> None:
        kind, value = args[0]["type"], args[0]["value"]
        if kind == "regular":
            header = value
        else:
            stack = value if kind == "stack" else value[0]
            elements = (self.ctx.program.stacks | self.ctx.program.union_stacks)[stack]
            filled = path.known[f"$next_{stack}"]
            if filled >= len(elements):
                self.fail(path, ex.constant(self.error("StackOutOfBounds")), label)
                return
            header = elements[filled] if kind == "stack" else f"{elements[filled]}.{value[1]}"
        bits = self.ctx.evaluate(path, args[1], []) if len(args) > 1 else None
        self._header(path, header, bits, label)
        if path.alive and kind != "regular":
            path.known[f"$next_{stack}"] = filled + 1

    def _header(self, path: Path, header: str, bits: Ex | None, label: Label) -> None:
        layout = self.ctx.usage.layouts[header]
        fixed = layout.type.fixed_bits // 8
        if not layout.dirty and header not in self.tail_headers:
            self.ctx.set(path, f"{header}.$off", self.ctx.pseudo(path, "$pos"))
        if layout.varbit and bits is not None:
            inside = path.open(f"if {bits.p} & 7:")
            self.fail(inside, ex.constant(self.error("ParserInvalidArgument")), label)
            path.line(f"length = {bits.p} >> 3")
            self._need(path, f"{self._at(path, fixed)} + length", label)
            if layout.type.max_bytes:
                inside = path.open(f"if length > {layout.type.max_bytes - fixed}:")
                self.fail(inside, ex.constant(self.error("HeaderTooShort")), label)
        else:
            self._need(path, self._at(path, fixed), label)
        self._unpack(path, header, layout.groups, 0)
        before = sum(g.nbytes for g in layout.groups)
        if layout.varbit:
            var = f"{header}.{layout.varbit.name}"
            if bits is None:
                path.known[var] = 0
            else:
                path.assigned(var)
                begin = self._at(path, before)
                path.line(f"{self.ctx.names[var]} = data[{begin}:{begin} + length]")
                path.line(f"{self.ctx.names['$pos']} = {self._at(path)} + length")
                path.assigned("$pos")
            self._unpack(path, header, layout.after, before)
        pos = self.ctx.pseudo(path, "$pos")
        self.ctx.set(path, "$pos", ex.binary("+", pos, ex.constant(fixed)))
        path.known[f"{header}.$valid$"] = 1
        for other in self.ctx.program.union_members.get(header, ()):
            path.known[f"{other}.$valid$"] = 0
        if header not in self.tail_headers:
            self._tail_broken(path)

    def _tail_broken(self, path: Path) -> None:
        """What is sent unchanged starts here at the earliest."""
        self.ctx.set(path, "$tail", self.ctx.pseudo(path, "$pos"))

    def _tail_headers(self) -> set[str]:
        """Headers at the end of the deparser's order that the program never changes.

        When a packet ends with them as parsed, they leave with the payload in one slice. That
        holds only if each way through the parser extracts them last and in this order.
        """
        program, usage = self.ctx.program, self.ctx.usage
        chosen: list[str] = []
        for h in reversed(program.deparse_order):
            if usage.is_dirty(h) or h in usage.flipped or h in program.union_members:
                break
            if usage.layouts[h].varbit or h in chosen:
                break
            chosen.insert(0, h)
        rank = {h: i for i, h in enumerate(chosen)}
        return set(rank) if self._in_order(rank) else set()

    def _in_order(self, rank: dict[str, int]) -> bool:
        """Whether after a header of rank r only headers of higher rank are extracted."""
        states = self.ctx.program.parse_states
        start = self.ctx.program.parse_start
        seen: set[tuple[str, int]] = set()
        waiting = [(start, -1)] if start else []
        while waiting:
            name, level = waiting.pop()
            if (name, level) in seen:
                continue
            seen.add((name, level))
            for op in states[name]["parser_ops"]:
                if op["op"] in ("advance", "shift") and level >= 0:
                    return False
                if op["op"] not in ("extract", "extract_VL"):
                    continue
                kind, value = op["parameters"][0]["type"], op["parameters"][0]["value"]
                header = value if kind == "regular" else None
                if header is None and (level >= 0 or self._touches(kind, value, rank)):
                    return False
                new = rank.get(header, -1) if header else -1
                if level >= 0 and new <= level:
                    return False
                level = new
            for t in states[name]["transitions"]:
                if t["next_state"]:
                    waiting.append((t["next_state"], level))
        return True

    def _touches(self, kind: str, value: Json, rank: dict[str, int]) -> bool:
        if kind == "stack":
            return any(h in rank for h in self.ctx.program.stacks[value])
        unions = self.ctx.program.union_stacks[value[0]]
        return any(f"{u}.{value[1]}" in rank for u in unions)

    def _unpack(self, path: Path, header: str, groups: tuple[Group, ...], skip: int) -> None:
        """Read the fields that the program uses from data at the current offset."""
        names = self.ctx.names
        codes, targets, splits = "", [], []
        trailing = 0
        single: tuple[int, int] | None = None
        for group in groups:
            if group.mode == "pad":
                trailing += group.nbytes
                continue
            if trailing:
                codes += f"{trailing}x"
                trailing = 0
            locals_ = []
            for i, size in enumerate(group.sizes):
                var = f"{header}.{raw_name(group, i)}"
                plain = group.mode == "fields" and group.whole and len(group.sizes) == 1
                part = group.parts[0].field if plain else None
                if part is not None and not part.signed:
                    var = f"{header}.{part.name}"
                path.assigned(var)
                locals_.append((names[var], size))
                codes += CODES[size]
                single = (group.offset - skip + sum(group.sizes[:i]), size)
            targets.extend(name for name, _ in locals_)
            if not (group.mode == "fields" and group.whole and len(locals_) == 1
                    and not group.parts[0].field.signed):
                splits.append((group, locals_))
        if not targets:
            return
        where = self._at(path, skip)
        if len(targets) == 1 and single is not None and single[1] == 1:
            path.line(f"{targets[0]} = data[{self._at(path, skip + single[0])}]")
        else:
            unpack = self.ctx.bind("unpack", codes, struct.Struct(">" + codes).unpack_from)
            left = ", ".join(targets) + ("," if len(targets) == 1 else "")
            path.line(f"{left} = {unpack}(data, {where})" if where != "0" else f"{left} = {unpack}(data)")
        for group, locals_ in splits:
            self._split(path, header, group, locals_)

    def _split(
        self, path: Path, header: str, group: Group, locals_: list[tuple[str, int]]
    ) -> None:
        """Take the used fields out of a group's pieces."""
        whole = ex.FALSE
        for name, size in locals_:
            whole = ex.binary("<<", whole, ex.constant(8 * size))
            whole = ex.binary("|", whole, ex.local(name, 0, (1 << 8 * size) - 1))
        if len(locals_) > 1 and len(group.parts) > 1:
            path.line(f"value = {whole.code}")
            whole = ex.local("value", 0, (1 << 8 * group.nbytes) - 1)
        for part in group.parts:
            f = part.field
            value = ex.wrap(ex.binary(">>", whole, ex.constant(part.shift)), f.width)
            if f.signed:
                value = ex.wrap_signed(value, f.width)
            self.ctx.set(path, f"{header}.{f.name}", value)

    # transitions

    def _transition(
        self, path: Path, state: Json, label: Label, above: tuple[Place, ...]
    ) -> None:
        keys: list[tuple[Ex, int]] = []
        for key in state["transition_key"]:
            if key["type"] == "lookahead":
                value, width = self._lookahead(path, key["value"], label), key["value"][1]
            else:
                width = self._key_width(key)
                if key["type"] == "union_stack_field":
                    value = self._union_last(path, key["value"])
                else:
                    value = ex.wrap(self.ctx.evaluate(path, key, []), width)
            keys.append((value, width))
        keys = [(self._named(path, v), w) for v, w in keys]
        current = path
        for transition in state["transitions"]:
            test = self._test(keys, transition)
            if test.const == 0:
                continue
            target = self._next_place(current, transition["next_state"])
            if test.const:
                self._go(current, target, label, above)
                return
            inside = current.open(f"if {test.code}:")
            self._go(inside, target, label, above)
        self._go(current, None, label, above)

    def _named(self, path: Path, value: Ex) -> Ex:
        if value.const is not None or value.code.isidentifier():
            return value
        name = self.ctx.names.fresh("select")
        path.line(f"{name} = {value.code}")
        return ex.local(name, value.low, value.high)

    def _key_width(self, key: Json) -> int:
        usage = self.ctx.usage
        header, name = next(iter(usage.fields_in(key)))
        return self.ctx.width_of(header, name).width

    def _union_last(self, path: Path, value: list[str]) -> Ex:
        count = path.known[f"$next_{value[0]}"]
        if not count:
            return ex.FALSE
        union = self.ctx.program.union_stacks[value[0]][count - 1]
        return self.ctx.get(path, f"{union}.{value[1]}", value[2])

    def _parts(
        self, keys: list[tuple[Ex, int]], transition: Json
    ) -> list[tuple[Ex, int, int, int]]:
        """(value, width, wanted, mask) per key: values are byte-padded and concatenated."""
        wanted = int(transition["value"], 16)
        mask = int(transition["mask"], 16) if transition["mask"] else -1
        parts = []
        for value, width in reversed(keys):
            padded = 8 * ((width + 7) // 8)
            full = (1 << padded) - 1
            parts.append((value, width, wanted & full, mask & full))
            wanted >>= padded
            mask >>= padded
        return parts[::-1]

    def _test(self, keys: list[tuple[Ex, int]], transition: Json) -> Ex:
        if transition["type"] == "default":
            return ex.TRUE
        if transition["type"] != "hexstr":
            raise Unsupported(f"a parser transition of type {transition['type']}")
        test = ex.TRUE
        for value, width, wanted, mask in self._parts(keys, transition):
            masked = ex.binary("&", value, ex.constant(mask & ((1 << width) - 1)))
            test = ex.logical("and", test, ex.compare("==", masked, ex.constant(wanted & mask)))
        return test
