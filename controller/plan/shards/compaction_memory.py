"""Approved moves as text, so that an approval outlives the controller that was given it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from controller.plan.shards.block import block
from controller.plan.shards.compaction import Move


def to_json(moves: Iterable[Move]) -> str:
    """Text that `from_json` reads back as the same moves."""
    return json.dumps([asdict(one) for one in moves])


def from_json(text: str) -> tuple[Move, ...]:
    """The moves; ValueError when the text is none."""
    try:
        return tuple(
            Move(
                str(one["subdivision"]),
                str(block(one["source"])),
                str(block(one["target"])),
                int(one["in_use"]),
                str(one["reason"]),
            )
            for one in json.loads(text)
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"these are no approved moves: {error!r}") from error
