"""Two proportions compared, exactly, however often one looks: loss and refusals.

An e-process for each possible difference d of the shares (variant minus primary). A gambler who doubts "the
difference is at most d" bets in every block, before its outcomes: each of the primary's n_a connections
multiplies the wealth by 1 + a·(y - m), each of the variant's n_b by 1 + b·(y - m - d), y = 1 when it was refused or
lost, with n_a·a + n_b·b = 0 and b > 0. If the shares are p and p + d, the expected factor of a block is
(1 + a(p - m))^n_a · (1 + b(p - m))^n_b, whose logarithm is concave in p with derivative 0 and value 0 at
p = m: never above 1, whatever p is in that block (and smaller when the difference is below d). So the
wealth reaches 1/alpha with a chance of at most alpha (Ville). With d = 0 and the best m this is the
e-variable of Turner, Ly and Grünwald 2024 ("Generic E-variables for exact sequential k-sample tests"); the bets
follow the shares seen so far. Inverted over d it gives a confidence sequence.

What it supposes: within a block, outcomes are independent given the past and the two shares of that block. The
shares themselves may change from block to block as they like, together. Where one arm alone has its bursts,
blocks differ more than they should; as far as earlier blocks have shown that (`dispersion`, supposed to be 6
before any are seen), stakes shrink and what such bursts would gain is taken off. That is a safeguard, not a
proof; where outcomes are independent it only makes the test more careful, and the bound stays exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.plan.ab.values import Interval

Floats = NDArray[np.float64]
BOLDEST = 0.9  # of the wealth can be lost with one connection
DOUBT, DOUBT_BLOCKS = (
    6.0,
    3.0,
)  # the dispersion before anything is known, and how many blocks outweigh it
_STEPS = np.geomspace(1e-4, 1.0, 49)[:-1]
GRID: Floats = np.concatenate([-_STEPS[::-1], [0.0], _STEPS])


@dataclass(frozen=True, slots=True)
class SharesTest:
    """The state after some blocks; `after` gives the next. grid: differences that are tested, rising.
    above, below: natural logarithm of the wealth against "the difference is at most d" and "at least d";
    most_*: the highest it has been. of_*, hits_*: totals of the primary (a) and the variant (b). d1, d2:
    sums of the blocks' differences and of their squares; expected: of the variances that independent
    outcomes would give them.
    """

    grid: tuple[float, ...] = tuple(float(d) for d in GRID)
    above: tuple[float, ...] = ()
    below: tuple[float, ...] = ()
    most_above: tuple[float, ...] = ()
    most_below: tuple[float, ...] = ()
    of_a: int = 0
    hits_a: int = 0
    of_b: int = 0
    hits_b: int = 0
    blocks: int = 0
    d1: float = 0.0
    d2: float = 0.0
    expected: float = 0.0

    @property
    def dispersion(self) -> float:
        """How many times more the blocks' differences vary than independent outcomes would; at least 1."""
        known, weight = 0.0, 0.0
        if self.blocks > 1 and self.expected > 0.0:
            weight = self.blocks - 1.0
            squares = max(self.d2 - self.d1 * self.d1 / self.blocks, 0.0)
            known = squares * self.blocks / self.expected
        return max((known + DOUBT * DOUBT_BLOCKS) / (weight + DOUBT_BLOCKS), 1.0)

    @classmethod
    def with_margin(cls, margin: float) -> SharesTest:
        """One whose grid has this difference, too."""
        return cls(grid=tuple(sorted({*(float(d) for d in GRID), margin})))

    def after(self, of_a: int, hits_a: int, of_b: int, hits_b: int) -> SharesTest:
        """The state after a block; one without any of either arm only counts in the totals."""
        nothing = (0.0,) * len(self.grid)
        above, below = self.above or nothing, self.below or nothing
        d1, d2, expected = self.d1, self.d2, self.expected
        if of_a and of_b:
            d = np.array(self.grid)
            gained = [
                _gain(d, self._expected(), self.dispersion, sign, of_a, hits_a, of_b, hits_b)
                for sign in (1.0, -1.0)
            ]
            above = tuple((np.array(above) + gained[0]).tolist())
            below = tuple((np.array(below) + gained[1]).tolist())
            difference, p = hits_b / of_b - hits_a / of_a, (hits_a + hits_b) / (of_a + of_b)
            d1, d2 = d1 + difference, d2 + difference**2
            expected += p * (1 - p) * (1 / of_a + 1 / of_b)
        return SharesTest(
            self.grid,
            above,
            below,
            tuple(map(max, self.most_above or nothing, above)),
            tuple(map(max, self.most_below or nothing, below)),
            self.of_a + of_a,
            self.hits_a + hits_a,
            self.of_b + of_b,
            self.hits_b + hits_b,
            self.blocks + bool(of_a and of_b),
            d1,
            d2,
            expected,
        )

    def interval(self, alpha: float) -> Interval:
        """The difference of the shares: each bound is wrong at any time with a chance of at most alpha/2.
        Bounds are values of the grid, or -1 and 1.
        """
        enough = -math.log(alpha / 2)
        low = max(
            (d for d, w in zip(self.grid, self.most_above, strict=False) if w >= enough),
            default=-1.0,
        )
        high = min(
            (d for d, w in zip(self.grid, self.most_below, strict=False) if w >= enough),
            default=1.0,
        )
        if not self.of_a or not self.of_b:
            return Interval(float("nan"), low, high)
        return Interval(self.hits_b / self.of_b - self.hits_a / self.of_a, low, high)

    def _expected(self) -> tuple[float, float]:
        """The shares to bet on: those seen, and half a connection of each kind."""
        return (self.hits_a + 0.5) / (self.of_a + 1), (self.hits_b + 0.5) / (self.of_b + 1)


def _gain(
    d: Floats,
    expected: tuple[float, float],
    dispersion: float,
    sign: float,
    of_a: int,
    hits_a: int,
    of_b: int,
    hits_b: int,
) -> Floats:
    """What a block adds to the logarithm of the wealth against "at most d" (sign 1) or "at least d" (-1)."""
    p_a, p_b = expected
    n = of_a + of_b
    # m and m + d are the shares under doubt that come nearest to those expected.
    low, high = np.maximum(0.0, -d), np.minimum(1.0, 1.0 - d)
    tiny = 1e-6 * (high - low)
    m = np.clip((of_a * p_a + of_b * (p_b - d)) / n, low + tiny, high - tiny)
    spread = m * (1 - m) / of_a + (m + d) * (1 - m - d) / of_b
    # b = stake/of_b, a = -stake/of_a: the stake of the largest growth for small edges, within bounds.
    stake = sign * np.maximum(sign * (p_b - p_a - d), 0.0) / (spread * dispersion)
    if sign > 0:
        most = BOLDEST * np.minimum(of_b / (m + d), of_a / (1 - m))
        stake = np.minimum(stake, most)
    else:
        most = BOLDEST * np.minimum(of_b / (1 - m - d), of_a / m)
        stake = np.maximum(stake, -most)
    a, b = -stake / of_a, stake / of_b
    gained: Floats = (
        hits_a * np.log1p(a * (1 - m))
        + (of_a - hits_a) * np.log1p(-a * m)
        + hits_b * np.log1p(b * (1 - m - d))
        + (of_b - hits_b) * np.log1p(-b * (m + d))
    )
    # What a stake of this size gains without any edge when blocks vary so much more than they should.
    return gained - 0.5 * stake * stake * spread * (dispersion - 1.0)
