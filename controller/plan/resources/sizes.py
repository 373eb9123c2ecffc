"""One amount over several shadows of different sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.model.resources import NOTHING, Amounts, ShadowSize


@dataclass(frozen=True, slots=True)
class Split:
    """Shadow → amounts, for every shadow, idle ones included. unplaced: what no shadow has room for."""

    amounts: Mapping[str, Amounts]
    unplaced: Amounts


def split(
    wanted: Amounts,
    shadows: Sequence[ShadowSize],
    in_use: Mapping[str, Amounts],
    warm: frozenset[str] = frozenset(),
) -> Split:
    """Place `wanted` on as few shadows as possible.

    Each has at least its idle amounts and what is in use there. The rest goes to shadows that are warm already, then
    to the smallest one that takes all of it, or, if none does, to the largest and so on. in_use, warm: by shadow.
    """
    given = {one.name: one.idle.at_least(in_use.get(one.name, NOTHING)) for one in shadows}
    placed = NOTHING
    for amounts in given.values():
        placed = placed + amounts
    rest = wanted.spare(placed)
    ready = [one for one in shadows if one.name in warm]
    cold = [one for one in shadows if one.name not in warm]
    for group in (ready, cold):
        left = sorted(group, key=lambda one: (*one.most, one.name))
        while left and any(rest):
            whole = [
                one for one in left if one.most.covers(rest + given[one.name]) or len(left) == 1
            ]
            chosen = whole[0] if whole else left[-1]
            left.remove(chosen)
            more = rest.at_most(chosen.most.spare(given[chosen.name]))
            given[chosen.name] = given[chosen.name] + more
            rest = rest.spare(more)
    return Split(given, rest)
