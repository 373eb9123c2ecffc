"""Which headers leave with the payload, as received."""

from __future__ import annotations

from typing import Any

from p4switch.codegen.usage import Usage
from p4switch.program import Program

Json = Any


def tail_headers(usage: Usage) -> set[str]:
    """Headers at the end of the deparser's order that the program never changes.

    When a packet ends with them as parsed, they leave with the payload in one slice. That
    holds only if each way through the parser extracts them last and in this order.
    """
    program = usage.program
    chosen: list[str] = []
    for h in reversed(program.deparse_order):
        if usage.is_dirty(h) or h in usage.flipped or h in program.union_members:
            break
        if usage.layouts[h].varbit or h in chosen:
            break
        chosen.insert(0, h)
    rank = {h: i for i, h in enumerate(chosen)}
    return set(rank) if _in_order(program, rank) else set()


def _in_order(program: Program, rank: dict[str, int]) -> bool:
    """Whether after a header of rank r only headers of higher rank are extracted."""
    states = program.parse_states
    start = program.parse_start
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
            if header is None and (level >= 0 or _touches(program, kind, value, rank)):
                return False
            new = rank.get(header, -1) if header else -1
            if level >= 0 and new <= level:
                return False
            level = new
        for t in states[name]["transitions"]:
            if t["next_state"]:
                waiting.append((t["next_state"], level))
    return True


def _touches(program: Program, kind: str, value: Json, rank: dict[str, int]) -> bool:
    if kind == "stack":
        return any(h in rank for h in program.stacks[value])
    unions = program.union_stacks[value[0]]
    return any(f"{u}.{value[1]}" in rank for u in unions)
