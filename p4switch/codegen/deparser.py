"""Checksum update and deparser: locals → bytes, reusing the received bytes wherever possible."""

from __future__ import annotations

import struct

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Path
from p4switch.codegen.context import Context
from p4switch.codegen.hashing import varbit
from p4switch.codegen.layout import CODES, Group, Layout, raw_name


class Deparser:
    """Emits the packet's bytes from the headers that are valid at the end of egress."""

    def __init__(self, ctx: Context, tail_headers: set[str]) -> None:
        self.ctx = ctx
        self.tail_headers = tail_headers

    def live(self) -> set[str]:
        """Variables that writing the packet reads."""
        live = {"$tail", "$pos", "$truncate"}
        for header in self.ctx.program.deparse_order:
            if header in self.tail_headers:
                continue
            live.add(f"{header}.$valid$")
            if self.ctx.usage.is_dirty(header):
                live.update(self.ctx.usage.header_vars(header))
            else:
                live.add(f"{header}.$off")
                layout = self.ctx.usage.layouts[header]
                if layout.varbit:
                    live.add(f"{header}.{layout.varbit.name}")
        return live

    def emit(self, path: Path) -> str:
        """Emit what is needed; the code of the packet's bytes."""
        parts: list[str] = []
        for header in self.ctx.program.deparse_order:
            if header in self.tail_headers:
                continue
            valid = self.ctx.get(path, header, "$valid$")
            if valid.const == 0:
                continue
            code = self._bytes(path, header)
            if not code:
                continue  # a header without fields
            parts.append(code if valid.const else f'({code} if {valid.p} else b"")')
        tail = self.ctx.pseudo(path, "$tail")
        parts.append("data" if tail.const == 0 else f"data[{tail.code}:]")
        whole = " + ".join(parts)
        cut = self.ctx.pseudo(path, "$truncate")
        if cut.const == 0:
            return whole
        if cut.const is not None:
            return f"({whole})[:{cut.const - 1}]"
        return f"({whole})[:{cut.p} - 1 if {cut.p} else None]"

    def _bytes(self, path: Path, header: str) -> str:
        layout = self.ctx.usage.layouts[header]
        if not layout.dirty:
            return self._received(path, header, layout)
        code = self._packed(path, header, layout.groups)
        if layout.varbit:
            middle = varbit(self.ctx, path, header, layout.varbit.name).code
            after = self._packed(path, header, layout.after)
            return f"({' + '.join(c for c in (code, middle, after) if c)})"
        return code

    def _received(self, path: Path, header: str, layout: Layout) -> str:
        """A header that nothing ever writes to: the received bytes."""
        start = self.ctx.pseudo(path, f"{header}.$off")
        end = ex.binary("+", start, ex.constant(layout.type.fixed_bits // 8))
        if layout.varbit:
            middle = varbit(self.ctx, path, header, layout.varbit.name)
            return f"data[{start.code}:{end.code} + len({middle.code})]"
        return f"data[{start.code}:{end.code}]"

    def _packed(self, path: Path, header: str, groups: tuple[Group, ...]) -> str:
        codes, values = "", []
        for group in groups:
            codes += "".join(CODES[size] for size in group.sizes)
            values.extend(self._pieces(path, header, group))
        if not codes:
            return ""
        if all(v.isdigit() for v in values):
            constant = struct.pack(">" + codes, *(int(v) for v in values))
            return repr(constant)
        pack = self.ctx.bind("pack", codes, struct.Struct(">" + codes).pack)
        return f"{pack}({', '.join(values)})"

    def _pieces(self, path: Path, header: str, group: Group) -> list[str]:
        if group.mode == "raw":
            pieces = []
            for i in range(len(group.sizes)):
                var = f"{header}.{raw_name(group, i)}"
                known = path.known.get(var)
                pieces.append(self.ctx.names[var] if known is None else str(known))
            return pieces
        whole = ex.FALSE
        for part in group.parts:
            value = self.ctx.unsigned(path, header, part.field.name)
            value = ex.binary("<<", value, ex.constant(part.shift))
            whole = ex.binary("|", whole, value)
        if len(group.sizes) == 1:
            return [_decimal(whole)]
        pieces, left = [], 8 * group.nbytes
        for size in group.sizes:
            left -= 8 * size
            piece = ex.binary(">>", whole, ex.constant(left))
            if left + 8 * size != 8 * group.nbytes:
                piece = ex.wrap(piece, 8 * size)
            pieces.append(_decimal(piece))
        return pieces


def _decimal(value: ex.Ex) -> str:
    return str(value.const) if value.const is not None else value.code
