"""Calculations: what goes into a hash or checksum, and the quickest way to compute it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from p4switch.codegen import expressions as ex
from p4switch.codegen.code import Path
from p4switch.codegen.context import Context
from p4switch.codegen.expressions import Ex
from p4switch.codegen.layout import CODES, pieces_of, raw_name
from p4switch.errors import Unsupported
from p4switch.hashes import ALGORITHMS, MAXIMUM

Json = Any


@dataclass(frozen=True, slots=True)
class Item:
    """A value of so many bits; width -1: a bytes object (varbit or payload)."""

    width: int
    value: Ex
    valid: Ex


def items_of(ctx: Context, path: Path, inputs: tuple[Json, ...]) -> list[Item]:
    """The inputs as items; fields of headers known to be invalid are left out, as BMv2 does."""
    items: list[Item] = []
    position = 0
    while position < len(inputs):
        item = inputs[position]
        kind, value = item["type"], item.get("value")
        if kind == "payload":
            items.append(Item(-1, payload(ctx, path), ex.TRUE))
        elif kind == "hexstr":
            items.append(Item(int(item["bitwidth"]), ex.constant(int(value, 16)), ex.TRUE))
        elif kind == "field":
            whole = _whole_group(ctx, path, inputs, position)
            if whole:
                items.extend(whole[0])
                position += whole[1]
                continue
            items.append(_field(ctx, path, value[0], value[1]))
        elif kind == "header":
            for f in ctx.program.headers[value].type.fields:
                items.append(_field(ctx, path, value, f.name))
        else:
            raise Unsupported(f"a calculation over an input of type {kind}")
        position += 1
    return [i for i in items if i.valid.const != 0]


def payload(ctx: Context, path: Path) -> Ex:
    """The rest of the packet after the parsed headers, cut by truncate()."""
    pos = ctx.pseudo(path, "$pos")
    cut = ctx.pseudo(path, "$truncate")
    if cut.const == 0:
        return ex.local(f"data[{pos.code}:]" if pos.const != 0 else "data", 0, 0)
    end = f"data[{pos.code}:][:{cut.p} - 1 if {cut.p} else None]"
    return ex.local(end, 0, 0)


def _field(ctx: Context, path: Path, header: str, name: str) -> Item:
    valid = ctx.get(path, header, "$valid$")
    width = ctx.width_of(header, name).width
    if width < 0:
        return Item(-1, varbit(ctx, path, header, name), valid)
    return Item(width, ctx.unsigned(path, header, name), valid)


def varbit(ctx: Context, path: Path, header: str, name: str) -> Ex:
    """A varbit field's bytes."""
    var = f"{header}.{name}"
    return ex.local('b""' if var in path.known else ctx.names[var], 0, 0)


def _whole_group(
    ctx: Context, path: Path, inputs: tuple[Json, ...], position: int
) -> tuple[list[Item], int] | None:
    header, name = inputs[position]["value"]
    if ctx.program.headers[header].is_metadata:
        return None
    layout = ctx.usage.layouts[header]
    for group in (*layout.groups, *layout.after):
        wanted = [[header, m] for m in group.members]
        listed = [i.get("value") for i in inputs[position : position + len(wanted)]]
        if group.mode == "raw" and group.members[0] == name and listed == wanted:
            valid = ctx.get(path, header, "$valid$")
            raws = [
                Item(8 * size, ctx_raw(ctx, path, header, raw_name(group, i), size), valid)
                for i, size in enumerate(group.sizes)
            ]
            return raws, len(wanted)
    return None


def ctx_raw(ctx: Context, path: Path, header: str, name: str, size: int) -> Ex:
    """The value of a raw piece."""
    var = f"{header}.{name}"
    if var in path.known:
        return ex.constant(path.known[var])
    return ex.local(ctx.names[var], 0, (1 << 8 * size) - 1)


def compute(ctx: Context, path: Path, algo: str, inputs: tuple[Json, ...]) -> Ex:
    """Emit what is needed and return the result."""
    if algo not in ALGORITHMS:
        raise Unsupported(f"hash algorithm {algo}")
    items = items_of(ctx, path, inputs)
    static = all(i.valid.const is not None for i in items)
    if algo in ("csum16", "cksum16") and static:
        return _checksum(path, items)
    if algo == "random":
        items = []
    high = MAXIMUM[algo]
    sized = static and all(i.width >= 0 for i in items)
    total = sum(i.width for i in items)
    if algo == "identity" and sized and total <= 64:
        whole = _concat(items)
        return ex.binary("<<", whole, ex.constant(-total % 8))
    function = ctx.bind("hash", algo, ALGORITHMS[algo])
    if sized:
        return Ex(f"{function}({_pack(ctx, items, total)})", 0, high, True)
    path.line("acc = bits = 0")
    for item in items:
        if item.valid.const == 0:
            continue
        if item.width >= 0:
            store = f"acc = acc << {item.width} | {item.value.p}; bits += {item.width}"
        else:
            path.line(f"value = {item.value.code}")
            grow = "acc << 8 * len(value) | int.from_bytes(value, 'big')"
            store = f"acc = {grow}; bits += 8 * len(value)"
        path.line(f"if {item.valid.code}: {store}" if item.valid.const is None else store)
    path.line("acc = (acc << -bits % 8).to_bytes((bits + 7) // 8, 'big')")
    return Ex(f"{function}(acc)", 0, high, True)


def _concat(items: list[Item]) -> Ex:
    whole = ex.FALSE
    for item in items:
        whole = ex.binary("|", ex.binary("<<", whole, ex.constant(item.width)), item.value)
    return whole


def _pack(ctx: Context, items: list[Item], total: int) -> str:
    """Code of the big-endian bytes of sized items, padded on the right to whole bytes."""
    if total == 0:
        return 'b""'
    offset, codes, values = 0, "", []
    for item in items:
        if item.width % 8 or offset % 8:
            break
        sizes = pieces_of(item.width // 8)
        left = item.width
        for size in sizes:
            left -= 8 * size
            value = (
                item.value if len(sizes) == 1 else ex.binary(">>", item.value, ex.constant(left))
            )
            if len(sizes) > 1 and left + 8 * size != item.width:
                value = ex.wrap(value, 8 * size)
            codes += CODES[size]
            values.append(value.code)
        offset += item.width
    else:
        packer = ctx.bind("pack", codes, struct.Struct(">" + codes).pack)
        return f"{packer}({', '.join(values)})"
    whole = ex.binary("<<", _concat(items), ex.constant(-total % 8))
    return f"{whole.p}.to_bytes({(total + 7) // 8}, 'big')"


def _checksum(path: Path, items: list[Item]) -> Ex:
    """The Internet checksum as a sum modulo 65535 (where 2^16 is 1)."""
    runs: list[list[Item] | Item] = [[]]
    for item in items:
        if item.width < 0:
            runs.extend((item, []))
        else:
            last = runs[-1]
            assert isinstance(last, list)
            last.append(item)
    started = False
    static_bits = 0
    odd: list[str] = []
    for run in runs:
        if isinstance(run, Item):
            path.line(f"value = {run.value.code}")
            before = "(acc << (len(value) % 2 * 8)) + " if started else ""
            path.line(f"acc = {before}int.from_bytes(value, 'big')")
            name = f"odd_{len(odd)}"
            path.line(f"{name} = len(value) % 2")
            odd.append(name)
            started = True
            continue
        bits = sum(i.width for i in run)
        if not bits:
            continue
        static_bits += bits
        end = bits + (-bits % 8)
        if len(runs) == 1:
            end = bits + (-bits % 16)
        elif bits % 8:
            raise Unsupported("a checksum over fields that do not fill bytes before a varbit field")
        terms, constant, position = [], 0, end
        for item in run:
            position -= item.width
            term = ex.binary("<<", item.value, ex.constant(position % 16))
            if term.const is not None:
                constant += term.const
            else:
                terms.append(term.code if term.simple else term.p)
        if constant:
            terms.append(str(constant))
        if started:
            terms.insert(0, "(acc << 8)" if end % 16 else "acc")
        path.line(f"acc = {' + '.join(terms) or '0'}")
        started = True
    if not started:
        return ex.constant(0xFFFF)
    if odd:
        parity = " + ".join([*odd, str(static_bits // 8 % 2)])
        path.line(f"if ({parity}) % 2: acc <<= 8")
    return Ex("0xFFFF ^ (acc % 0xFFFF or (acc and 0xFFFF))", 0, 0xFFFF)
