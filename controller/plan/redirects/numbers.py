"""Numbers of the slot sets that redirects lead to.

A number that changed its meaning would, between two writes, send connections of an old redirect to the new site. So
a copy keeps its number, and one that is given up leaves it unused until the others are used up, and at least for one
plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PER_SERVICE = 16  # slot sets of a service; the first is its primary one

Copy = tuple[int, str]  # service, site


@dataclass(frozen=True, slots=True)
class SlotNumber:
    """turn: of the last plan that used it."""

    number: int
    turn: int


def slot_set_numbers(
    copies: Iterable[Copy], before: Mapping[Copy, SlotNumber], turn: int
) -> dict[Copy, SlotNumber]:
    """The numbers of these copies (turn: now) and, with an earlier turn, those that are remembered.

    turn: one more than in the last plan. A copy for which there is no number now gets none.
    """
    wanted = sorted(set(copies))
    after = dict(before)
    for copy in wanted:
        if copy in after:
            after[copy] = SlotNumber(after[copy].number, turn)
    for copy in wanted:
        if copy in after:
            continue
        service = copy[0]
        own = {name: one for name, one in after.items() if name[0] == service}
        taken = {one.number for one in own.values()}
        first = service * PER_SERVICE
        free = [n for n in range(first + 1, first + PER_SERVICE) if n not in taken]
        if not free:
            rested = [(one.turn, name) for name, one in own.items() if one.turn < turn - 1]
            if not rested:
                continue
            free = [after.pop(min(rested)[1]).number]
        after[copy] = SlotNumber(free[0], turn)
    return after
