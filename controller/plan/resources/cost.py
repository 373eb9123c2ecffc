"""Cost-benefit: what holding costs against what a breach would cost, from the forecast's quantiles and the prices.

For one resource with demand D the expected cost of an amount a over a cycle of h hours is
hold · a · h + breach · E[(D - a)+] · h, plus `change` if a differs from what is held. Without the price of a change it
is least at the quantile 1 - hold / breach of D (the newsvendor's critical ratio).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from controller.model.resources import Amounts, Prices, Resource


@dataclass(frozen=True, slots=True)
class Demand:
    """One resource's demand as quantiles: levels rise within (0, 1), values do not fall.

    Linear between the levels and beyond the outermost ones, where the nearest stretch goes on (never below 0): a
    forecast that ends at 0.95 does not say that nothing comes above it.
    """

    levels: tuple[float, ...]
    values: tuple[float, ...]

    def knots(self) -> tuple[tuple[float, float], ...]:
        """(level, value) from level 0 to level 1."""
        levels, values = self.levels, self.values
        if len(levels) == 1:
            return ((0.0, values[0]), (1.0, values[0]))
        low = values[0] - levels[0] * (values[1] - values[0]) / (levels[1] - levels[0])
        gap = (values[-1] - values[-2]) / (levels[-1] - levels[-2])
        high = values[-1] + (1.0 - levels[-1]) * gap
        inner = tuple(zip(levels, values, strict=True))
        return ((0.0, min(max(low, 0.0), values[0])), *inner, (1.0, high))

    def quantile(self, level: float) -> float:
        """The value of that level, clipped to 0..1."""
        knots = self.knots()
        level = min(max(level, 0.0), 1.0)
        for (left, low), (right, high) in pairwise(knots):
            if level <= right:
                return low + (high - low) * (level - left) / (right - left)
        return knots[-1][1]

    def shortfall(self, amount: float) -> float:
        """E[(D - amount)+], exactly, for this piecewise linear quantile function."""
        knots = self.knots()
        total = 0.0
        for (left, low), (right, high) in pairwise(knots):
            width = right - left
            if low >= amount:
                total += width * (0.5 * (low + high) - amount)
            elif high > amount:
                total += 0.5 * width * (high - amount) ** 2 / (high - low)
        return total


@dataclass(frozen=True, slots=True)
class Option:
    """One amount that could be held for the next cycle, and its expected cost in the currency of the prices."""

    name: str  # nothing, keep, best
    amount: float
    hold_cost: float
    breach_cost: float
    change_cost: float

    @property
    def cost(self) -> float:
        """What it is expected to cost in all."""
        return self.hold_cost + self.breach_cost + self.change_cost


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision for one resource, with all that it was chosen from. level: the critical ratio, 0..1."""

    resource: Resource
    chosen: Option
    options: tuple[Option, ...]
    level: float


@lru_cache(maxsize=1024)
def critical_ratio(hold: float, breach: float) -> float:
    """The probability with which demand should be met: 1 - hold / breach, 0 where a breach costs less than holding."""
    return max(0.0, 1.0 - hold / breach) if breach > 0 else 0.0


def choose(
    resource: Resource, demand: Demand, held: float, prices: Prices, period_s: float
) -> Choice:
    """The cheapest of: holding nothing, keeping what is held, and the best amount. The first one of equals."""
    hold, breach = prices.hold.of(resource), prices.breach.of(resource)
    level = critical_ratio(hold, breach)
    best = demand.quantile(level) if level > 0 else 0.0
    hours = period_s / 3600.0
    options = tuple(
        Option(
            name,
            amount,
            hold * amount * hours,
            breach * demand.shortfall(amount) * hours,
            0.0 if amount == held else prices.change,
        )
        for name, amount in (("best", best), ("keep", held), ("nothing", 0.0))
    )
    return Choice(resource, min(options, key=lambda one: one.cost), options, level)


def saving(options: Sequence[Option]) -> float:
    """What the best amount is expected to save against holding nothing; not below 0."""
    named = {one.name: one for one in options}
    return max(0.0, named["nothing"].cost - named["best"].cost)


@dataclass(frozen=True, slots=True)
class Regret:
    """What a cycle did cost, and would have cost at best, had its demand been known. unmet: demand beyond held."""

    cost: float
    best: float
    unmet: Amounts

    @property
    def regret(self) -> float:
        """Never below 0."""
        return self.cost - self.best


def regret_of(held: Amounts, demand: Amounts, prices: Prices, period_s: float) -> Regret:
    """Afterwards: the cost of `held` under the `demand` that came. Changes are left out: hindsight has none."""
    hours = period_s / 3600.0
    unmet = demand.spare(held)
    cost = (prices.hold.dot(held) + prices.breach.dot(unmet)) * hours
    best = prices.hold.at_most(prices.breach).dot(demand) * hours
    return Regret(max(cost, best), best, unmet)
