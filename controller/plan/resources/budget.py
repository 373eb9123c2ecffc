"""Budget caps: when all shadows of a policy would cost more per hour than allowed, those go first that save most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.model.resources import Amounts


@dataclass(frozen=True, slots=True)
class Wish:
    """floor: what must be held in any case (in use, least). wanted: at least the floor. saving_per_h: what
    is expected to be saved by holding `wanted`.
    """

    device: str
    floor: Amounts
    wanted: Amounts
    saving_per_h: float


def granted(
    wishes: Sequence[Wish], price: Amounts, budget_per_h: float
) -> tuple[Mapping[str, Amounts], float]:
    """Device → amounts within the budget, and by how much the floors alone exceed it (per hour; 0: they do not).

    Floors are always granted. The rest goes to the wishes in the order of saving per cost; the last one that
    fits in part gets a part.
    """
    found = {one.device: one.wanted for one in wishes}
    if sum(price.dot(one.wanted) for one in wishes) <= budget_per_h:
        return found, 0.0
    left = budget_per_h - sum(price.dot(one.floor) for one in wishes)
    over = max(0.0, -left)
    left = max(0.0, left)
    dear = [(price.dot(one.wanted.spare(one.floor)), one) for one in wishes]
    for cost, one in sorted(dear, key=_order):
        if cost <= left:
            left -= cost
            continue
        more = one.wanted.spare(one.floor) * (left / cost)
        # Rounding must neither cost more than is left nor give more than is wanted.
        found[one.device] = (one.floor + more).at_most(one.wanted)
        left = 0.0
    return found, over


def _order(pair: tuple[float, Wish]) -> tuple[float, str]:
    cost, one = pair
    return (-one.saving_per_h / cost if cost > 0 else float("-inf"), one.device)
