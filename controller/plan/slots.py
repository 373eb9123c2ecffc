"""Percentages → slots, changing as few slots as possible.

A slot set is chosen from by position (DESIGN of the data plane: `choice % 100`), so a slot that keeps its label keeps
its share of the stateless choices: only what must move is rewritten, in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from controller.model import SLOTS


def whole_slots(shares: Mapping[int, float]) -> dict[int, int]:
    """Round shares (label → percent, together 100) to whole slots by largest remainder.

    Ties go to the smaller label, so that the same shares always give the same slots.
    Raises ValueError when a share is negative or they do not add up to 100.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - SLOTS) > 1e-6:
        raise ValueError(f"shares must be at least 0 and add up to {SLOTS}: {dict(shares)}")
    floors = {label: int(share + 1e-9) for label, share in shares.items()}
    left = SLOTS - sum(floors.values())
    by_remainder = sorted(shares, key=lambda label: (-(shares[label] - floors[label]), label))
    for label in by_remainder[:left]:
        floors[label] += 1
    return {label: count for label, count in floors.items() if count}


def slots(previous: Sequence[int] | None, shares: Mapping[int, float]) -> tuple[int, ...]:
    """The slots that give these shares, as close to `previous` as can be.

    `previous` is the 100 labels in force, or None for a new slot set (labels then follow in ascending order).
    """
    want = whole_slots(shares)
    if previous is None or len(previous) != SLOTS:
        return tuple(label for label in sorted(want) for _ in range(want[label]))
    surplus = Counter(previous)
    surplus.subtract(want)
    missing = [label for label in sorted(want) for _ in range(max(0, -surplus[label]))]
    result = list(previous)
    for index in range(SLOTS - 1, -1, -1):
        label = result[index]
        if missing and surplus[label] > 0:
            surplus[label] -= 1
            result[index] = missing.pop()
    return tuple(result)
