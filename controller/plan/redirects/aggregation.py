"""The fewest rows of a longest-prefix table that say the same (ORTC: Draves, King, Venkatachary, Zill, 1999).

Bottom up, each node of the binary tree learns which values its row could have so that its part takes the fewest rows:
those that both halves want, or, if there is none, those that either wants. Top down, a node whose part does with the
value that it inherits has no row. What is beyond every prefix has `default`, which takes no row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from controller.plan.redirects.sources import BITS

Prefix = tuple[int, int, str]  # network, length, value


@dataclass(frozen=True, slots=True)
class _Node:
    values: frozenset[str]
    halves: tuple[_Node, _Node] | None = None


def fewest_rows(prefixes: Sequence[Prefix], default: str) -> list[Prefix]:
    """Rows with the same value as `prefixes` for every IPv4 address, as few as possible, sorted.

    prefixes: each (network, length) once, in any order. The time is proportional to those that differ from
    the prefix around them, times 32.
    """
    needed = _differing(sorted(prefixes), default)
    rows: list[Prefix] = []
    if needed:
        tree = _tree(needed, [one[0] for one in needed], 0, len(needed), 0, 0, default)
        _choose(tree, 0, 0, default, rows)
    return rows


def _differing(ordered: Sequence[Prefix], default: str) -> list[Prefix]:
    """Without those that say what the prefix around them says already."""
    kept: list[Prefix] = []
    around: list[tuple[int, str]] = []  # last address and value of the prefixes that we are within
    for network, length, value in ordered:
        while around and around[-1][0] < network:
            around.pop()
        if value != (around[-1][1] if around else default):
            kept.append((network, length, value))
        around.append((network + (1 << (BITS - length)) - 1, value))
    return kept


def _tree(
    prefixes: Sequence[Prefix],
    networks: Sequence[int],
    first: int,
    last: int,
    network: int,
    length: int,
    inherited: str,
) -> _Node:
    """Of prefixes[first:last], which are all within network/length."""
    if first < last and prefixes[first][1] == length:  # the prefix itself comes first
        inherited = prefixes[first][2]
        first += 1
    if first == last:
        return _Node(frozenset((inherited,)))
    middle = network | 1 << (BITS - 1 - length)
    split = bisect_left(networks, middle, first, last)
    low = _tree(prefixes, networks, first, split, network, length + 1, inherited)
    high = _tree(prefixes, networks, split, last, middle, length + 1, inherited)
    return _Node(low.values & high.values or low.values | high.values, (low, high))


def _choose(node: _Node, network: int, length: int, inherited: str, rows: list[Prefix]) -> None:
    if inherited not in node.values:
        inherited = min(node.values)
        rows.append((network, length, inherited))
    if node.halves is not None:
        _choose(node.halves[0], network, length + 1, inherited, rows)
        _choose(node.halves[1], network | 1 << (BITS - 1 - length), length + 1, inherited, rows)
