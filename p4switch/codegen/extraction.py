"""Extracting headers: length checks, unpacking, and what can leave as it came."""

from __future__ import annotations

import struct

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Label, Path
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.layout import CODES, Group, raw_name
from p4switch.codegen.tail import tail_headers
from p4switch.codegen.usage import STD

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
ERROR = f"{STD}.parser_error"


class Extraction:
    """Emits the reading of headers at the current offset ($pos)."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.tail_headers = tail_headers(ctx.usage)

    def error(self, name: str) -> int:
        """The code of a core error."""
        return self.ctx.program.errors.get(name, CORE_ERRORS[name])

    def fail(self, path: Path, error: Ex, label: Label) -> None:
        """Leave with a parser error."""
        self.ctx.set(path, ERROR, error)
        label.jump(path)

    def need(self, path: Path, nbytes: str, label: Label) -> None:
        """PacketTooShort unless so many bytes are left."""
        inside = path.open(f"if n < {nbytes}:")
        self.fail(inside, ex.constant(self.error("PacketTooShort")), label)

    def at(self, path: Path, extra: int = 0) -> str:
        """Code of the offset of the current byte plus extra."""
        pos = path.known.get("$pos")
        if pos is not None:
            return str(pos + extra)
        name = self.ctx.names["$pos"]
        return f"{name} + {extra}" if extra else name

    def header(self, path: Path, header: str, bits: Ex | None, label: Label) -> None:
        """Extract a header; bits: the width of its varbit field, when it has one."""
        layout = self.ctx.usage.layouts[header]
        fixed = layout.type.fixed_bits // 8
        if not layout.dirty and header not in self.tail_headers:
            self.ctx.set(path, f"{header}.$off", self.ctx.pseudo(path, "$pos"))
        if layout.varbit and bits is not None:
            inside = path.open(f"if {bits.p} & 7:")
            self.fail(inside, ex.constant(self.error("ParserInvalidArgument")), label)
            path.line(f"length = {bits.p} >> 3")
            self.need(path, f"{self.at(path, fixed)} + length", label)
            if layout.type.max_bytes:
                inside = path.open(f"if length > {layout.type.max_bytes - fixed}:")
                self.fail(inside, ex.constant(self.error("HeaderTooShort")), label)
        else:
            self.need(path, self.at(path, fixed), label)
        self._unpack(path, header, layout.groups, 0)
        before = sum(g.nbytes for g in layout.groups)
        if layout.varbit:
            var = f"{header}.{layout.varbit.name}"
            if bits is None:
                path.known[var] = 0
            else:
                path.assigned(var)
                begin = self.at(path, before)
                path.line(f"{self.ctx.names[var]} = data[{begin}:{begin} + length]")
                path.line(f"{self.ctx.names['$pos']} = {self.at(path)} + length")
                path.assigned("$pos")
            self._unpack(path, header, layout.after, before)
        pos = self.ctx.pseudo(path, "$pos")
        self.ctx.set(path, "$pos", ex.binary("+", pos, ex.constant(fixed)))
        path.known[f"{header}.$valid$"] = 1
        for other in self.ctx.program.union_members.get(header, ()):
            path.known[f"{other}.$valid$"] = 0
        if header not in self.tail_headers:
            self.tail_broken(path)

    def tail_broken(self, path: Path) -> None:
        """What is sent unchanged starts here at the earliest."""
        self.ctx.set(path, "$tail", self.ctx.pseudo(path, "$pos"))

    def _unpack(self, path: Path, header: str, groups: tuple[Group, ...], skip: int) -> None:
        """Read the fields that the program uses from data at the current offset."""
        names = self.ctx.names
        codes = ""
        targets: list[str] = []
        splits: list[tuple[Group, list[tuple[str, int]]]] = []
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
            if not (
                group.mode == "fields"
                and group.whole
                and len(locals_) == 1
                and not group.parts[0].field.signed
            ):
                splits.append((group, locals_))
        if not targets:
            return
        where = self.at(path, skip)
        if len(targets) == 1 and single is not None and single[1] == 1:
            path.line(f"{targets[0]} = data[{self.at(path, skip + single[0])}]")
        else:
            unpack = self.ctx.bind("unpack", codes, struct.Struct(">" + codes).unpack_from)
            left = ", ".join(targets) + ("," if len(targets) == 1 else "")
            path.line(
                f"{left} = {unpack}(data, {where})" if where != "0" else f"{left} = {unpack}(data)"
            )
        for group, locals_ in splits:
            self._split(path, header, group, locals_)

    def _split(self, path: Path, header: str, group: Group, locals_: list[tuple[str, int]]) -> None:
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
