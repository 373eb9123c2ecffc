"""Primitives of actions and of the parser → statements."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen import hashing
from p4switch.codegen.code import Path, join
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.usage import STD
from p4switch.errors import Unsupported

Json = Any
CLONE_FLAG = 1 << 15  # set with the session id, so that session 0 is a clone too (as in BMv2)


def conditional(ctx: Context, path: Path, guard: str, body: Callable[[Path], None]) -> None:
    """Emit `if guard:` with a body, and go on with what is known after it."""
    inside = path.open(f"if {guard}:")
    body(inside)
    other = path.fork()
    after = join([inside, other], ctx.names)
    if not other.code.empty():
        path.line("else:")
        path.code.items.append(other.code)
    if after is not None:
        path.adopt(after)


class Primitives:
    """Emits one primitive at a time. `live`: variables read later; other stores are dropped."""

    def __init__(self, ctx: Context, stop: str) -> None:
        self.ctx = ctx
        self.stop = stop  # statement that abandons the packet, returning what it sent so far

    def emit(self, path: Path, primitive: Json, params: list[Ex], live: set[str] | None) -> None:
        """Emit a primitive; raises Unsupported by name."""
        op, args = primitive["op"], primitive.get("parameters", [])
        if live is not None and op in ("assign", "set") and args[0].get("type") == "field":
            header, name = args[0]["value"]
            if f"{header}.{name}" not in live:
                return
        method = getattr(self, f"_{op}", None)
        if method is None:
            raise Unsupported(f"primitive {op}")
        method(path, args, params)

    # data

    def _assign(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        target = args[0]
        if target.get("type") == "field" and target["value"][1] != "$valid$":
            header, name = target["value"]
            if self.ctx.program.field_of(header, name).width < 0:
                return self._assign_VL(path, args, params)
        self.ctx.store(path, target, self.ctx.evaluate(path, args[1], params), params)
        return None

    _set = _assign

    def _assign_VL(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        header, name = args[0]["value"]
        self._copy_var(path, f"{args[1]['value'][0]}.{args[1]['value'][1]}", f"{header}.{name}")

    def _copy_var(self, path: Path, source: str, target: str) -> None:
        names = self.ctx.names
        if source in path.known:
            path.known[target] = path.known[source]
        elif source != target:
            path.line(f"{names[target]} = {names[source]}")
            path.assigned(target)

    def _register_read(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        name, index = args[1]["value"], self.ctx.evaluate(path, args[2], params)
        cells, size = self._register(name)
        target = args[0]
        if index.high < size:
            value = ex.local(f"{cells}[{index.code}]", 0, self._register_top(name))
            self.ctx.store(path, target, value, params)
            return
        value = ex.local(f"{cells}[{index.code}]", 0, self._register_top(name))
        guard = f"{index.p} < {size}"  # beyond the end BMv2 reads nothing
        conditional(self.ctx, path, guard, lambda p: self.ctx.store(p, target, value, params))

    def _register(self, name: str) -> tuple[str, int]:
        register = self.ctx.space["registers"][name]
        return self.ctx.bind("register", name, register.cells), register.size

    def _register_top(self, name: str) -> int:
        return int((1 << self.ctx.space["registers"][name].width_bits) - 1)

    def _register_write(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        name, index = args[0]["value"], self.ctx.evaluate(path, args[1], params)
        cells, size = self._register(name)
        value = self.ctx.evaluate(path, args[2], params)
        value = ex.wrap(value, self.ctx.space["registers"][name].width_bits)
        store = f"{cells}[{index.code}] = {value.code}"
        if index.high >= size:
            path = path.open(f"if {index.p} < {size}:")
        path.line(store)

    def _count(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        name, index = args[0]["value"], self.ctx.evaluate(path, args[1], params)
        counter = self.ctx.space["counters"][name]
        packets = self.ctx.bind("packets", name, counter.packet_counts)
        sizes = self.ctx.bind("bytes", name, counter.byte_counts)
        if index.high >= counter.size:
            path = path.open(f"if {index.p} < {counter.size}:")
        if not index.simple:
            path.line(f"index = {index.code}")
            index = ex.local("index", 0, index.high)
        path.line(f"{packets}[{index.code}] += 1")
        path.line(f"{sizes}[{index.code}] += n")

    def _execute_meter(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        name, index = args[0]["value"], self.ctx.evaluate(path, args[1], params)
        meter = self.ctx.space["meters"][name]
        execute = self.ctx.bind("meter", name, meter.execute)
        colour = ex.local(f"{execute}({index.code}, now_us, n)", 0, 2)
        if index.high < meter.size:
            self.ctx.store(path, args[2], colour, params)
            return
        guard = f"{index.p} < {meter.size}"
        conditional(self.ctx, path, guard, lambda p: self.ctx.store(p, args[2], colour, params))

    def _modify_field_with_hash_based_offset(
        self, path: Path, args: list[Json], params: list[Ex]
    ) -> None:
        base = self.ctx.evaluate(path, args[1], params)
        calculation = self.ctx.program.calculations[args[2]["value"]]
        size = self.ctx.evaluate(path, args[3], params)
        value = hashing.compute(self.ctx, path, calculation.algo, calculation.inputs)
        if size.const is not None:
            modulus = max(size.const & 0xFFFFFFFFFFFFFFFF, 1)
            if modulus <= value.high:
                value = ex.binary("%", value, ex.constant(modulus))
        else:
            value = Ex(f"{value.p} % ({size.p} or 1)", 0, max(size.high, 1))
        self.ctx.store(path, args[0], ex.binary("+", value, base), params)

    def _modify_field_rng_uniform(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        low = self.ctx.evaluate(path, args[1], params)
        high = self.ctx.evaluate(path, args[2], params)
        draw = self.ctx.bind("random", "", random.Random().randint)
        value = Ex(f"{draw}({low.code}, {high.code})", low.low, high.high, True)
        if low.high <= high.low:
            self.ctx.store(path, args[0], value, params)
            return
        guard = f"{low.p} <= {high.p}"
        conditional(self.ctx, path, guard, lambda p: self.ctx.store(p, args[0], value, params))

    # what happens to the packet

    def _mark_to_drop(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        path.known[f"{STD}.egress_spec"] = self.ctx.drop_port
        path.known[f"{STD}.mcast_grp"] = 0

    _drop = _mark_to_drop

    def _clone_ingress_pkt_to_egress(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        session = ex.wrap(self.ctx.evaluate(path, args[0], params), 16)
        self.ctx.set(path, "$clone", ex.binary("|", session, ex.constant(CLONE_FLAG)))
        self.ctx.set(path, "$clone_list", self.ctx.evaluate(path, args[1], params))

    _clone_egress_pkt_to_egress = _clone_ingress_pkt_to_egress

    def _resubmit(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        self.ctx.set(path, "$resubmit", self.ctx.evaluate(path, args[0], params))

    def _recirculate(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        self.ctx.set(path, "$recirculate", self.ctx.evaluate(path, args[0], params))

    def _generate_digest(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        self.ctx.set(path, "$digest", self.ctx.evaluate(path, args[1], params))

    def _truncate(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        # kept as length + 1, 0 meaning whole; of several calls the smallest counts
        wanted = ex.binary("+", self.ctx.evaluate(path, args[0], params), ex.constant(1))
        before = self.ctx.pseudo(path, "$truncate")
        if before.const != 0:
            wanted = Ex(f"min({wanted.code}, {before.p} or {wanted.code})", 1, ex.INF, True)
        self.ctx.set(path, "$truncate", wanted)

    def _log_msg(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        log = self.ctx.bind("log", "", logging.getLogger("p4switch.log_msg"))
        values = args[1].get("value") if len(args) > 1 else []
        listed = values if isinstance(values, list) else []
        codes = [self.ctx.evaluate(path, v, params).code for v in listed]
        text = repr(args[0]["value"].replace("%", "%%").replace("{}", "%s"))
        path.line(f"{log}.info({', '.join([text, *codes])})")

    def _assert(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        # BMv2 aborts the whole switch; here the packet is dropped and counted
        condition = self.ctx.evaluate(path, args[0], params)
        if condition.const:
            return
        inside = path.open(f"if {ex.invert(condition).code}:")
        inside.line(f"{self.ctx.bind('stats', '', self.ctx.space['drops'])}['assert failed'] += 1")
        inside.line(self.stop)

    _assume = _assert

    def _no_op(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        return None

    # headers

    def _add_header(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        for h in self.ctx.usage.headers_of(args[0]):
            valid = self.ctx.get(path, h, "$valid$")
            if valid.const:
                continue
            if valid.const is None:
                # only a header that was not valid is set to zero and lengthens the packet
                guard = f"not {valid.p}"
                conditional(self.ctx, path, guard, partial(self.make_valid, header=h))
                path.known[f"{h}.$valid$"] = 1
                self._others_invalid(path, h)
            else:
                self.make_valid(path, h)

    def make_valid(self, path: Path, header: str) -> None:
        """setValid on a header that is not valid: all fields zero."""
        for var in self.ctx.usage.header_vars(header):
            path.known[var] = 0
        path.known[f"{header}.$valid$"] = 1
        self._others_invalid(path, header)
        self._grow(path, ex.constant(self.ctx.program.headers[header].type.fixed_bits // 8))

    def _others_invalid(self, path: Path, header: str) -> None:
        for other in self.ctx.program.union_members.get(header, ()):
            path.known[f"{other}.$valid$"] = 0

    def _grow(self, path: Path, nbytes: Ex) -> None:
        """Keep the packet length that the egress pipeline sees, if it looks."""
        if "packet_length" not in self.ctx.usage.accessed.get(STD, ()):
            return
        grown = self.ctx.pseudo(path, "$grown")
        if grown.const is None:
            grown = Ex(grown.code, -ex.INF, ex.INF, True)
        self.ctx.set(path, "$grown", ex.binary("+", grown, nbytes))

    def _remove_header(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        for h in self.ctx.usage.headers_of(args[0]):
            valid = self.ctx.get(path, h, "$valid$")
            size = ex.constant(self.ctx.program.headers[h].type.fixed_bits // 8)
            varbit = self.ctx.usage.layouts[h].varbit
            if varbit and f"{h}.{varbit.name}" not in path.known:
                name = self.ctx.names[f"{h}.{varbit.name}"]
                size = ex.binary("+", size, ex.local(f"len({name})", 0, 1 << 16))
            if valid.const != 0:
                self._grow(path, ex.binary("-", ex.FALSE, ex.binary("*", valid, size)))
            path.known[f"{h}.$valid$"] = 0

    def _assign_header(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        targets, to = self.ctx.choices(path, args[0], params)
        sources, of = self.ctx.choices(path, args[1], params)
        for i, target in enumerate(targets):
            for j, source in enumerate(sources):
                tests = [ex.compare("==", index, ex.constant(k)) for index, k in ((to, i), (of, j))]
                if len(targets) == 1:
                    tests[0] = ex.TRUE
                if len(sources) == 1:
                    tests[1] = ex.TRUE
                test = ex.logical("and", *tests)
                if test.const:
                    self.copy_header(path, source, target)
                elif test.const is None:
                    copy = partial(self.copy_header, source=source, target=target)
                    conditional(self.ctx, path, test.code, copy)

    def _assign_union(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        usage = self.ctx.usage
        for to, of in zip(usage.headers_of(args[0]), usage.headers_of(args[1]), strict=True):
            self.copy_header(path, of, to)

    _assign_union_stack = _assign_union

    def _assign_header_stack(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        self._assign_union(path, args, params)
        source, target = f"$next_{args[1]['value']}", f"$next_{args[0]['value']}"
        if source in path.known or target in self.ctx.usage.counted:
            self._copy_var(path, source, target)

    def copy_header(self, path: Path, source: str, target: str) -> None:
        """Header assignment: the fields of a valid header, else only invalidity."""
        if source == target:
            return
        for a, b in zip(
            self.ctx.usage.header_vars(source), self.ctx.usage.header_vars(target), strict=True
        ):
            self._copy_var(path, a, b)

    def _push(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        elements = self.ctx.usage.headers_of(args[0])
        count = min(self._count_of(path, args, params), len(elements))
        for i in range(len(elements) - 1, count - 1, -1):
            self.copy_header(path, elements[i - count], elements[i])
        for h in elements[:count]:
            path.known[f"{h}.$valid$"] = 0
        self._move_next(path, args[0]["value"], count, len(elements))

    def _pop(self, path: Path, args: list[Json], params: list[Ex]) -> None:
        elements = self.ctx.usage.headers_of(args[0])
        count = min(self._count_of(path, args, params), len(elements))
        for i in range(len(elements) - count):
            self.copy_header(path, elements[i + count], elements[i])
        for h in elements[len(elements) - count :]:
            path.known[f"{h}.$valid$"] = 0
        self._move_next(path, args[0]["value"], -count, len(elements))

    def _count_of(self, path: Path, args: list[Json], params: list[Ex]) -> int:
        if args[0]["type"] != "header_stack":
            raise Unsupported("push_front or pop_front on a stack of header unions")
        count = self.ctx.evaluate(path, args[1], params).const
        if count is None:
            raise Unsupported("push_front or pop_front by a number that is not constant")
        return count

    def _move_next(self, path: Path, stack: str, change: int, size: int) -> None:
        var = f"$next_{stack}"
        if var in path.known:
            path.known[var] = min(max(path.known[var] + change, 0), size)
        elif var in self.ctx.usage.counted:
            local = self.ctx.names[var]
            path.line(f"{local} = min(max({local} + {change}, 0), {size})")
