"""Source under construction: nested blocks, paths with what is known on them, and joins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

Known = dict[str, int]
Ranges = dict[str, tuple[int, int]]


class Locals(Protocol):
    """Variable → Python local."""

    def __getitem__(self, var: str, /) -> str: ...

    def constant(self, var: str, value: int) -> str:
        """Source of a constant of this variable."""

    def relies_on_default(self, var: str) -> None:
        """Note that the local's value at function entry is used."""


class Code:
    """A block of lines; nested blocks may be indented one step deeper."""

    __slots__ = ("deeper", "items")

    def __init__(self, deeper: bool = False) -> None:
        self.deeper = deeper
        self.items: list[str | Code] = []

    def empty(self) -> bool:
        """Whether it renders to nothing but comments."""
        return all(
            item.lstrip().startswith("#") if isinstance(item, str) else item.empty()
            for item in self.items
        )

    def render(self, level: int = 0) -> list[str]:
        """The lines, four spaces per level."""
        lines: list[str] = []
        for item in self.items:
            if isinstance(item, str):
                lines.append("    " * level + item)
                continue
            inner = item.render(level + 1 if item.deeper else level)
            if item.deeper and item.empty():
                inner.append("    " * (level + 1) + "pass")
            lines.extend(inner)
        return lines


class Path:
    """One way through the generated code, seen from its current end.

    known: variables that are a constant here; their locals may hold something else. Every other
    variable is in the local that Names gives it. held: what a local is known to contain (at entry
    every local holds zero). ranges: bounds of a variable that are tighter than its type's.
    """

    __slots__ = ("alive", "code", "held", "known", "ranges")

    def __init__(self, code: Code, known: Known, held: Known, ranges: Ranges) -> None:
        self.code = code
        self.known = known
        self.held = held
        self.ranges = ranges
        self.alive = True

    def line(self, text: str) -> None:
        """Append one line."""
        self.code.items.append(text)

    def open(self, header: str) -> Path:
        """Append a compound statement's header and return the path inside it."""
        self.line(header)
        inside = self.fork()
        self.code.items.append(inside.code)
        return inside

    def fork(self) -> Path:
        """A path with the same knowledge and code of its own, to be placed by the caller."""
        return Path(Code(deeper=True), dict(self.known), dict(self.held), dict(self.ranges))

    def assigned(self, var: str) -> None:
        """The local of the variable was written: nothing is known of it."""
        self.known.pop(var, None)
        self.held.pop(var, None)
        self.ranges.pop(var, None)

    def adopt(self, other: Path) -> None:
        """Know from here on what the other path knows."""
        self.known, self.held, self.ranges = other.known, other.held, other.ranges

    def end(self, text: str) -> None:
        """Append a statement that leaves (return, break, continue)."""
        self.line(text)
        self.alive = False


class Label:
    """A place that several paths jump to; what differs among them is written at each jump."""

    def __init__(self, leave: str = "break") -> None:
        self.leave = leave
        self.waiting: list[Path] = []

    def jump(self, path: Path) -> None:
        """Leave for the label."""
        gap = Code()
        path.code.items.append(gap)
        self.waiting.append(Path(gap, dict(path.known), dict(path.held), dict(path.ranges)))
        path.end(self.leave)


def join(paths: Iterable[Path], names: Locals, live: set[str] | None = None) -> Path | None:
    """Make the paths agree; a path with what is known after all of them, None when none arrives.

    A live variable that is not the same constant on every path is written to its local on those
    paths where it is a constant. live None means every variable.
    """
    arriving = [p for p in paths if p.alive]
    if not arriving:
        return None
    first, others = arriving[0], arriving[1:]
    if not others:
        return first
    common: Known = {
        var: value
        for var, value in first.known.items()
        if all(p.known.get(var) == value for p in others)
    }
    ranges: Ranges = {}
    for var in {v for p in arriving for v in (*p.known, *p.ranges)} - common.keys():
        bounds = [_bounds(p, var) for p in arriving]
        if all(bounds):
            ranges[var] = (min(b[0] for b in bounds if b), max(b[1] for b in bounds if b))
    for path in arriving:
        _settle(path, common, names, live)
    held = {
        var: value
        for var, value in first.held.items()
        if all(p.held.get(var) == value for p in others)
    }
    return Path(Code(), common, held, ranges)


def _bounds(path: Path, var: str) -> tuple[int, int] | None:
    value = path.known.get(var)
    return path.ranges.get(var) if value is None else (value, value)


def _settle(path: Path, common: Known, names: Locals, live: set[str] | None) -> None:
    """Write the constants that the other paths do not share to their locals."""
    missing: dict[str, list[str]] = {}
    for var, value in path.known.items():
        if var in common or (live is not None and var not in live):
            continue
        if path.held.get(var) == value:
            if value == 0:
                names.relies_on_default(var)
            continue
        path.held[var] = value
        missing.setdefault(names.constant(var, value), []).append(names[var])
    for constant, locals_ in sorted(missing.items()):
        for start in range(0, len(locals_), 6):
            path.line(f"{' = '.join(locals_[start : start + 6])} = {constant}")


def literal(value: int) -> str:
    """A number as it reads best."""
    return str(value) if -10 < value < 1000 else (f"{value:#x}" if value >= 0 else str(value))
