"""Expressions as Python source with the interval of their values, folded where they are constant.

BMv2 computes on unbounded integers and p4c writes the masks into the program; the interval shows
where a mask has nothing left to do. Booleans are values in 0..1 or anything truthy.
"""

from __future__ import annotations

from dataclasses import dataclass

from p4switch.codegen.code import literal

INF = 1 << 4096
MAX_SHIFT = 4096


@dataclass(frozen=True, slots=True)
class Ex:
    """A Python expression and bounds of its value. `simple`: needs no parentheses."""

    code: str
    low: int = 0
    high: int = INF
    simple: bool = False

    @property
    def const(self) -> int | None:
        """Its value when it has only one."""
        return self.low if self.low == self.high else None

    @property
    def p(self) -> str:
        """Its code as an operand."""
        return self.code if self.simple else f"({self.code})"

    @property
    def boolean(self) -> bool:
        """Whether the value is 0 or 1 (or False or True)."""
        return self.low >= 0 and self.high <= 1


def constant(value: int) -> Ex:
    """A literal."""
    return Ex(literal(value), value, value, value >= 0)


def local(name: str, low: int, high: int) -> Ex:
    """A Python variable."""
    return Ex(name, low, high, True)


TRUE, FALSE = constant(1), constant(0)


def _bits(value: int) -> int:
    return (1 << value.bit_length()) - 1


def binary(op: str, a: Ex, b: Ex) -> Ex:
    """An arithmetic or bitwise operation of the BMv2 JSON."""
    if a.const is not None and b.const is not None:
        folded = _fold(op, a.const, b.const)
        if folded is not None:
            return constant(folded)
    positive = a.low >= 0 and b.low >= 0
    if op == "&":
        return _and(a, b)
    if op in ("|", "^"):
        if a.const == 0:
            return b
        if b.const == 0:
            return a
        top = _bits(max(a.high, b.high))
        low, high = (0, top) if positive else (-INF, INF)
        return Ex(f"{a.p} {op} {b.p}", low, high)
    if op == "+":
        if a.const == 0 or b.const == 0:
            return b if a.const == 0 else a
        return Ex(f"{a.p} + {b.p}", a.low + b.low, a.high + b.high)
    if op == "-":
        if b.const == 0:
            return a
        return Ex(f"{a.p} - {b.p}", a.low - b.high, a.high - b.low)
    if op == "*":
        if a.const in (0, 1) or b.const in (0, 1):
            x, y = (a, b) if a.const in (0, 1) else (b, a)
            return y if x.const else FALSE
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        return Ex(f"{a.p} * {b.p}", min(corners), max(corners))
    if op in ("/", "%"):
        top = a.high if op == "/" else min(a.high, b.high)
        python = "//" if op == "/" else "%"
        if b.low > 0:
            return Ex(f"{a.p} {python} {b.p}", 0, top)
        return Ex(f"{a.p} {python} {b.p} if {b.p} else 0", 0, max(top, 0))
    return _shift(op, a, b)


def _fold(op: str, a: int, b: int) -> int | None:
    if op in ("/", "%"):
        return (a // b if op == "/" else a % b) if b else 0
    if op in ("<<", ">>"):
        if b < 0 or b > MAX_SHIFT:
            return 0 if op == "<<" or a >= 0 else -1
        return a << b if op == "<<" else a >> b
    return {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}.get(op)


def _and(a: Ex, b: Ex) -> Ex:
    for x, y in ((a, b), (b, a)):
        mask = y.const
        if mask == 0:
            return FALSE
        if (
            mask is not None
            and mask > 0
            and mask & (mask + 1) == 0
            and x.low >= 0
            and x.high <= mask
        ):
            return x
    tops = [e.high for e in (a, b) if e.low >= 0]
    low, high = (0, min(tops)) if tops else (-INF, INF)
    return Ex(f"{a.p} & {b.p}", low, high)


def _shift(op: str, a: Ex, b: Ex) -> Ex:
    if b.const == 0:
        return a
    if op == ">>":
        high = a.high >> min(max(b.low, 0), MAX_SHIFT) if a.high >= 0 else -1
        return Ex(f"{a.p} >> {b.p}", min(a.low, 0), max(high, 0))
    if b.high <= MAX_SHIFT:
        low = min(a.low << b.high, 0) if a.low < 0 else 0
        high = min(a.high << b.high, INF) if a.high > 0 else 0
        return Ex(f"{a.p} << {b.p}", low, high)
    # a shift by more than any width leaves only zeros under the mask that follows
    return Ex(f"{a.p} << {b.p} if {b.p} <= {MAX_SHIFT} else 0", min(a.low, 0) and -INF, INF)


def compare(op: str, a: Ex, b: Ex) -> Ex:
    """A comparison of numbers."""
    if op == "==" and (a.high < b.low or b.high < a.low):
        return FALSE
    if op == "!=" and (a.high < b.low or b.high < a.low):
        return TRUE
    if op in ("<", ">=") and (a.high < b.low or a.low >= b.high):
        return TRUE if (a.high < b.low) == (op == "<") else FALSE
    if op in (">", "<=") and (a.low > b.high or a.high <= b.low):
        return TRUE if (a.low > b.high) == (op == ">") else FALSE
    if a.const is not None and b.const is not None:
        return TRUE if op in ("==", "<=", ">=") else FALSE
    if b.const == 0 and a.boolean and op in ("==", "!="):
        return invert(a) if op == "==" else a
    if b.const == 1 and a.boolean and op in ("==", "!="):
        return a if op == "==" else invert(a)
    return Ex(f"{a.p} {op} {b.p}", 0, 1)


def truth(a: Ex) -> Ex:
    """The value as 0 or 1."""
    if a.boolean:
        return a
    if a.low > 0 or a.high < 0:
        return TRUE
    return Ex(f"{a.p} != 0", 0, 1)


def invert(a: Ex) -> Ex:
    """Logical not."""
    if a.const is not None:
        return FALSE if a.const else TRUE
    return Ex(f"not {a.p}", 0, 1)


def logical(op: str, a: Ex, b: Ex) -> Ex:
    """and, or."""
    for x, y in ((a, b), (b, a)):
        if x.const is not None:
            if op == "and":
                return y if x.const else FALSE
            return TRUE if x.const else y
    return Ex(f"{a.p} {op} {b.p}", min(a.low, b.low), max(a.high, b.high))


def choose(condition: Ex, a: Ex, b: Ex) -> Ex:
    """The ternary operator."""
    if condition.const is not None:
        return a if condition.const else b
    return Ex(f"{a.p} if {condition.p} else {b.p}", min(a.low, b.low), max(a.high, b.high))


def negate_bits(a: Ex) -> Ex:
    """Bitwise not on unbounded integers; a mask follows in the program."""
    if a.const is not None:
        return constant(~a.const)
    return Ex(f"~{a.p}", -a.high - 1, -a.low - 1)


def wrap(a: Ex, width: int) -> Ex:
    """The value modulo 2^width, unsigned."""
    return binary("&", a, constant((1 << width) - 1))


def wrap_signed(a: Ex, width: int) -> Ex:
    """The value modulo 2^width in two's complement."""
    half = 1 << (width - 1)
    if -half <= a.low and a.high < half:
        return a
    if a.const is not None:
        return constant(((a.const + half) & (2 * half - 1)) - half)
    return Ex(
        f"({a.p} + {literal(half)} & {literal(2 * half - 1)}) - {literal(half)}", -half, half - 1
    )


def clamp(a: Ex, low: int, high: int) -> Ex:
    """The value limited to low..high."""
    if a.const is not None:
        return constant(min(max(a.const, low), high))
    if a.low >= low and a.high <= high:
        return a
    code = a.code
    if a.high > high:
        code = f"min({code}, {literal(high)})"
    if a.low < low:
        code = f"max({code}, {literal(low)})"
    return Ex(code, max(a.low, low), min(a.high, high), True)
