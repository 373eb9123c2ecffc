"""Two means compared block by block, however often one looks: latency.

A block's observation is the difference of the arms' mean logarithms of latency in that block, so whatever makes
both faster or slower (the hour, the load) cancels, and so does a change of the share. Connections of one
arm within a block wait in the same queue: they are one observation, not many. The test is the sequential t-test
with a Gaussian mixture over the effect (Wang and Ramdas 2025, "Anytime-valid t-tests and confidence sequences for
Gaussian means with unknown variance"; the mixture of mSPRT with the variance unknown): with
z = sqrt(weight), x = z·difference, Z = sum z², S = sum z·x, V = sum x², n blocks,

    E(d) = sqrt(c²/(Z + c²)) · (V' / (V' - S'²/(Z + c²)))^(n/2),   S', V' those of x - d·z,

is the likelihood ratio of a maximal invariant under scale, so a martingale if the blocks are Gaussian around d with
any constant variance; {d: E(d) < 1/alpha} is an interval, in closed form, and holds at all times with a chance of at
least 1 - alpha. Weights are n_a·n_b/(n_a + n_b) of the block's counts, so that small blocks tell less.

What it supposes: differences of blocks are Gaussian (means of 20 logarithms nearly are) and independent. Blocks
that are short depend on the ones before; therefore the estimated variance is always raised by (1 + r)/(1 - r),
r being their lag-1 autocorrelation corrected for its bias plus one standard error. That is a safeguard, not a
proof, and costs up to a third more blocks where it was not needed; tests/unit/ab shows that the stated rate holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.plan.ab.values import Interval

PRIOR = 4.0  # c²: effects of about half a block's noise are found soonest
MOST_DEPENDENT = 0.9  # of r
FEW = 8  # blocks, below which r says nothing


@dataclass(frozen=True, slots=True)
class MeansTest:
    """The state after some blocks; `after` gives the next. unit: weight of the first block, by which all
    are divided. z2, zx, x2: the sums Z, S, V. lag_*: sums over neighbouring blocks: x·x', z·x' + z'·x, z·z'.
    """

    blocks: int = 0
    unit: float = 0.0
    z2: float = 0.0
    zx: float = 0.0
    x2: float = 0.0
    lag_xx: float = 0.0
    lag_zx: float = 0.0
    lag_zz: float = 0.0
    last_z: float = 0.0
    last_x: float = 0.0

    def after(self, difference: float, count_a: int, count_b: int) -> MeansTest:
        """The state after a block; one without any of either arm changes nothing."""
        if not count_a or not count_b:
            return self
        weight = count_a * count_b / (count_a + count_b)
        unit = self.unit or weight
        z = math.sqrt(weight / unit)
        x = z * difference
        return MeansTest(
            self.blocks + 1,
            unit,
            self.z2 + z * z,
            self.zx + z * x,
            self.x2 + x * x,
            self.lag_xx + x * self.last_x,
            self.lag_zx + z * self.last_x + self.last_z * x,
            self.lag_zz + z * self.last_z,
            z,
            x,
        )

    @property
    def mean(self) -> float:
        """Weighted mean of the differences; NaN before the first block."""
        return self.zx / self.z2 if self.z2 else float("nan")

    @property
    def autocorrelation(self) -> float:
        """Of neighbouring blocks, as estimated; 0 while there are few."""
        left = self._squares
        if self.blocks < FEW or left <= 0.0:
            return 0.0
        mean = self.mean
        lagged = self.lag_xx - mean * self.lag_zx + mean * mean * self.lag_zz
        return min(max(lagged / left, -1.0), 1.0)

    @property
    def dependence(self) -> float:
        """The autocorrelation to reckon with: without its bias, and one standard error above."""
        if not self.blocks:
            return 0.0
        r = self.autocorrelation
        careful = r + (1.0 + 3.0 * max(r, 0.0)) / self.blocks + 1.0 / math.sqrt(self.blocks)
        return min(max(careful, 0.0), MOST_DEPENDENT)

    def interval(self, alpha: float) -> Interval:
        """The mean difference: outside the bounds, at any time, with a chance of at most alpha."""
        whole = Interval(self.mean, -math.inf, math.inf)
        if self.blocks < 2:
            return whole
        likely = ((self.z2 + PRIOR) / (PRIOR * alpha * alpha)) ** (1.0 / self.blocks)
        room = 1.0 - likely * PRIOR / (self.z2 + PRIOR)
        if room <= 0.0:
            return whole
        r = self.dependence
        squares = self._squares * (1.0 + r) / (1.0 - r)
        half = math.sqrt(squares * (likely - 1.0) / (self.z2 * room))
        return Interval(self.mean, self.mean - half, self.mean + half)

    @property
    def _squares(self) -> float:
        """Weighted squared deviations from the mean."""
        return max(self.x2 - self.zx * self.zx / self.z2, 0.0) if self.z2 else 0.0
