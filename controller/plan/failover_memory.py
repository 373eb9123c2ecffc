"""What must be known of failovers after a restart of the controller, and that as text."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[str, str]  # (holder, primary)


@dataclass(frozen=True, slots=True)
class FailoverState:
    """drained: by a person. targets: router that is away → who stands in for it. pinned: router that
    is away → its shadows when it went. numbers, generations: of the replicas in force.
    """

    drained: frozenset[str] = frozenset()
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pinned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[Pair, int] = field(default_factory=dict)
    generations: Mapping[Pair, int] = field(default_factory=dict)


def to_json(state: FailoverState) -> str:
    """Text that `from_json` reads back as the same state."""
    return json.dumps(
        {
            "drained": sorted(state.drained),
            "targets": state.targets,
            "pinned": state.pinned,
            "numbers": _rows(state.numbers),
            "generations": _rows(state.generations),
        },
        sort_keys=True,
    )


def from_json(text: str, known: Collection[str]) -> FailoverState:
    """The state, without switches that are no longer `known`; ValueError when the text is none."""
    try:
        plain: dict[str, Any] = json.loads(text)
        return FailoverState(
            frozenset(str(name) for name in plain["drained"] if name in known),
            _named(plain["targets"], known),
            _named(plain["pinned"], known),
            _pairs(plain["numbers"], known),
            _pairs(plain["generations"], known),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no state of failovers: {error}") from error


def _rows(pairs: Mapping[Pair, int]) -> list[tuple[str, str, int]]:
    return [(holder, primary, value) for (holder, primary), value in sorted(pairs.items())]


def _pairs(rows: list[tuple[str, str, int]], known: Collection[str]) -> dict[Pair, int]:
    return {(a, b): int(value) for a, b, value in rows if a in known and b in known}


def _named(plain: Mapping[str, list[str]], known: Collection[str]) -> dict[str, tuple[str, ...]]:
    kept = {
        str(name): tuple(str(other) for other in others if other in known)
        for name, others in plain.items()
        if name in known
    }
    return {name: others for name, others in kept.items() if others}
