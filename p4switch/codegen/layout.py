"""How a header is read from and written to the packet: one struct per header type and use.

A header is cut into byte-aligned groups of fields, a group into pieces of 1, 2, 4 or 8 bytes. What
the program never looks at is padding when the header is only read, and travels in raw pieces when
the header may have to be written again.
"""

from __future__ import annotations

from dataclasses import dataclass

from p4switch.program import Field, HeaderType

CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def pieces_of(nbytes: int) -> list[int]:
    """Sizes that add up to nbytes, largest first."""
    sizes = []
    for size in (8, 4, 2, 1):
        while nbytes >= size:
            sizes.append(size)
            nbytes -= size
    return sizes


@dataclass(frozen=True, slots=True)
class Part:
    """A field inside a group: how far its lowest bit is above the group's lowest bit."""

    field: Field
    shift: int


@dataclass(frozen=True, slots=True)
class Group:
    """A byte-aligned run of the header.

    mode: "pad" (not looked at), "raw" (kept as pieces; parts are extracted besides), "fields"
    (parts are the only copy: they are put together again on writing). members: all its fields.
    summed: the runs of calculation inputs that cover the group.
    """

    offset: int
    nbytes: int
    parts: tuple[Part, ...]
    mode: str
    members: tuple[str, ...]
    summed: frozenset[str]

    @property
    def sizes(self) -> list[int]:
        """Piece sizes."""
        return pieces_of(self.nbytes)

    @property
    def whole(self) -> bool:
        """One field fills the group."""
        return len(self.parts) == 1 and self.parts[0].field.width == 8 * self.nbytes


@dataclass(frozen=True, slots=True)
class Layout:
    """The groups before and after the varbit field, if there is one."""

    type: HeaderType
    groups: tuple[Group, ...]
    after: tuple[Group, ...]
    varbit: Field | None
    dirty: bool

    def fields(self) -> list[Field]:
        """Fields that live in a local (without the varbit field)."""
        return [p.field for g in (*self.groups, *self.after) for p in g.parts]

    def raws(self) -> list[str]:
        """Names of the raw pieces, as pseudo-fields."""
        return [
            raw_name(g, i)
            for g in (*self.groups, *self.after)
            if g.mode == "raw"
            for i in range(len(g.sizes))
        ]


def raw_name(group: Group, index: int) -> str:
    """The pseudo-field of one raw piece."""
    return f"$raw{group.offset + sum(group.sizes[:index])}"


def byte_groups(type_: HeaderType) -> list[list[Field]]:
    """Fields in byte-aligned runs, in wire order; a varbit field is a run of its own."""
    runs: list[list[Field]] = []
    bits = 0
    for f in type_.fields:
        if bits % 8 == 0:
            runs.append([])
        runs[-1].append(f)
        bits += max(f.width, 0)
    return runs


@dataclass(slots=True)
class Needs:
    """What a program does with the headers of one type: names of fields."""

    accessed: set[str]  # read or written one by one
    written: set[str]
    summed: dict[str, set[str]]  # covered by whole groups in a calculation: its runs
    dirty: bool  # may have to be written to the packet from locals


def layout_of(type_: HeaderType, needs: Needs) -> Layout:
    """Plan a header type."""
    halves: list[list[Group]] = [[]]
    varbit: Field | None = None
    offset = 0
    for run in byte_groups(type_):
        if run[0].width < 0:
            varbit = run[0]
            halves.append([])
            continue
        nbytes = sum(f.width for f in run) // 8
        halves[-1].append(_group(offset, run, nbytes, needs))
        offset += nbytes
    after = tuple(_merge(halves[1])) if varbit else ()
    return Layout(type_, tuple(_merge(halves[0])), after, varbit, needs.dirty)


def _group(offset: int, fields: list[Field], nbytes: int, needs: Needs) -> Group:
    shift = 8 * nbytes
    parts = []
    for f in fields:
        shift -= f.width
        parts.append(Part(f, shift))
    names = tuple(f.name for f in fields)
    summed = frozenset().union(*(needs.summed.get(n, set()) for n in names))
    used = [p for p in parts if p.field.name in needs.accessed]
    single = len(parts) == 1 and nbytes in CODES and bool(used or summed)
    if single or any(n in needs.written for n in names):
        mode, kept = "fields", parts
    elif needs.dirty or summed:
        mode, kept = "raw", used
    else:
        mode, kept = ("fields" if used else "pad"), used
    return Group(offset, nbytes, tuple(kept), mode, names, summed)


def _merge(groups: list[Group]) -> list[Group]:
    """Join neighbours that nothing looks at, and small groups into one piece where they fit."""
    merged: list[Group] = []
    for g in groups:
        last = merged[-1] if merged else None
        if last is None or g.mode != last.mode or g.summed != last.summed:
            merged.append(g)
            continue
        nbytes = last.nbytes + g.nbytes
        fills = last.nbytes not in CODES and nbytes in CODES and nbytes <= 4
        if not (g.parts or last.parts) or (g.parts and last.parts and fills and not g.summed):
            lifted = tuple(Part(p.field, p.shift + 8 * g.nbytes) for p in last.parts)
            names = last.members + g.members
            merged[-1] = Group(last.offset, nbytes, lifted + g.parts, g.mode, names, g.summed)
        else:
            merged.append(g)
    return merged
