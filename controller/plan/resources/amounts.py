"""From predicted utilisation to amounts (the specification's generateAllocationRequests), and these within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from controller.model.resources import Amounts, Policy, Resource
from controller.plan.resources.rules import Standing

# A multiple of a step, computed in floating point, must not be taken for a little more than itself.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """{resourceType, amount} of the pseudo-code; `amount` in cores, bytes or bits per second."""

    resource: Resource
    amount: float


def generate_allocation_requests(
    predicted_utilisation: Amounts, base: Amounts
) -> tuple[AllocationRequest, ...]:
    """Predicted utilisation x base allocation, for each resource."""
    wanted = predicted_utilisation.times(base)
    return tuple(AllocationRequest(resource, wanted.of(resource)) for resource in Resource)


@dataclass(frozen=True, slots=True)
class Bounded:
    """The amounts that may be asked for, and which bounds had a say."""

    amounts: Amounts
    reasons: tuple[str, ...]


def within(
    wanted: Amounts, held: Amounts, in_use: Amounts, policy: Policy, standing: Standing
) -> Bounded:
    """`wanted` as multiples of the step, raised no faster than allowed, within the bounds, and never below `in_use`.

    held, in_use: of all shadows together. What is in use goes before every bound: to take away what
    connections stand on would be worse than to hold too much.
    """
    reasons: list[str] = []
    if standing.frozen:
        wanted = held
        reasons.append("frozen by an exception")
    else:
        stepped = Amounts(*(_up(one, by) for one, by in zip(wanted, policy.step, strict=True)))
        wanted = stepped.at_most(held + policy.raise_most)
        if wanted != stepped:
            reasons.append("raised by at most raise_most in a cycle")
        raised = wanted.at_least(standing.least)
        if raised != wanted:
            reasons.append("raised to least")
        wanted = raised.at_most(standing.most)
        if wanted != raised:
            reasons.append("cut to most")
    kept = wanted.at_least(in_use)
    if kept != wanted:
        reasons.append("kept at what is in use")
    return Bounded(kept, tuple(reasons))


def _up(amount: float, step: float) -> float:
    # Beyond 2 ** 53 steps a float is a multiple of the step already, or cannot tell.
    if step <= 0 or amount / step >= 2.0**53:
        return amount
    return ceil(amount / step - _ROUNDING) * step
