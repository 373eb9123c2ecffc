"""Parser states → nested ifs with constant offsets where possible, else one loop over states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Label, Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.extraction import ERROR, Extraction
from p4switch.codegen.primitives import Primitives
from p4switch.errors import Unsupported

Json = Any
MAX_NODES = 400  # states written out, counting copies, before a loop over states is used instead


@dataclass(frozen=True, slots=True)
class Place:
    """A state with what is constant when it is entered: stack fill levels and offset (-1: varies)."""

    state: str
    stacks: tuple[tuple[str, int], ...]
    offset: int


class TooLarge(Exception):
    """The parser written out state by state would be too long."""


class ParserCode(Extraction):
    """Generates the parser, for one function at a time."""

    def __init__(self, ctx: Context, stop: str) -> None:
        super().__init__(ctx)
        self.primitives = Primitives(ctx, stop)
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
        comes_back = any(a.state == place.state and a.stacks == place.stacks for a in above)
        if not self._looping and (comes_back or self._emitted > MAX_NODES):
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
        self.need(path, pos.p, label)
        self.ctx.set(path, "$pos", pos)
        self.tail_broken(path)

    def _lookahead(self, path: Path, where: list[int], label: Label) -> Ex:
        offset, width = where
        end = (offset + width + 7) // 8
        self.need(path, self.at(path, end), label)
        first = offset // 8
        shift = -(offset + width) % 8
        if end - first == 1:
            whole = ex.local(f"data[{self.at(path, first)}]", 0, 0xFF)
        else:
            code = f"int.from_bytes(data[{self.at(path, first)}:{self.at(path, end)}], 'big')"
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
        self.header(path, header, bits, label)
        if path.alive and kind != "regular":
            path.known[f"$next_{stack}"] = filled + 1

    # transitions

    def _transition(self, path: Path, state: Json, label: Label, above: tuple[Place, ...]) -> None:
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
