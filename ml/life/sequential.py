"""A test that may be looked at after every observation: betting on the sign of a mean.

Waudby-Smith and Ramdas 2024 ("Estimating means of bounded random variables by betting"), used for
comparing forecasters as in Choe and Ramdas 2024 ("Comparing sequential forecasters"). A gambler
who starts with 1 bets on each next observation being positive. If the mean, given the
past, is never above 0, the chance that the wealth ever reaches 1/alpha is at most alpha (Ville), however
often one looks and whenever one stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LARGEST_BET = 0.75  # of what the worst observation could take


@dataclass(frozen=True, slots=True)
class BettingTest:
    """Evidence that observations in [-bound, bound] have a mean above 0; `after` gives the next state.

    seen: observations. log_wealth: natural logarithm of the wealth. mean, squares: of the
    observations, the sum of squared deviations.
    """

    bound: float
    seen: int = 0
    log_wealth: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def wealth(self) -> float:
        """The gambler's wealth: 1 at the beginning, 20 is evidence at the level of 5 %."""
        return math.exp(min(self.log_wealth, 700.0))

    def rejects(self, alpha: float) -> bool:
        """Whether "the mean is not above 0" is refuted at level alpha."""
        return self.log_wealth >= -math.log(alpha)

    @property
    def bet(self) -> float:
        """The next stake per unit of observation: the growth-optimal one for the mean and variance
        so far (with one imaginary observation of 0 and a quarter of the widest variance).
        """
        mean = self.mean * self.seen / (self.seen + 1)
        variance = (self.squares + 0.25 * self.bound**2) / (self.seen + 1)
        return min(max(mean / (variance + mean * mean), 0.0), LARGEST_BET / self.bound)

    def after(self, value: float) -> BettingTest:
        """The state after one more observation, clipped to the bound."""
        value = min(max(value, -self.bound), self.bound)
        seen = self.seen + 1
        mean = self.mean + (value - self.mean) / seen
        return BettingTest(
            self.bound,
            seen,
            self.log_wealth + math.log1p(self.bet * value),
            mean,
            self.squares + (value - self.mean) * (value - mean),
        )
