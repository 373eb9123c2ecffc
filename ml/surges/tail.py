"""How rare is a value in its own series? A streaming tail probability in constant memory.

The largest values of the past are kept. A value among or below them has the probability of its rank;
beyond them the tail is taken to fall exponentially, by the median excess of the kept ones (Pickands
1975, Balkema and de Haan 1974: excesses over a high threshold follow a generalised Pareto law, here
the one with shape 0). The result is a number of decades, so that series of any unit compare.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort

LN_2, LN_10 = math.log(2.0), math.log(10.0)
KEPT = 40  # 15 to 60 differ by 2 points of the anomaly benchmark
MEMORY = 50_000


class Tail:
    """The upper tail of one stream of numbers.

    kept: how many of the largest are remembered. memory: samples of a generation. The tail is that of
    the present generation and the one before it, so that what was rare long ago may become rare again.
    """

    __slots__ = ("_count", "_excess", "_kept", "_largest", "_memory", "_present", "_present_count")

    def __init__(self, kept: int = KEPT, memory: int = MEMORY) -> None:
        if not 2 <= kept < memory:
            raise ValueError(f"kept is {kept}, memory {memory}: give 2 <= kept < memory")
        self._kept = kept
        self._memory = memory
        self._largest: list[float] = []  # of both generations, ascending
        self._present: list[float] = []  # of the present generation, ascending
        self._count = 0
        self._present_count = 0
        self._excess = 0.0  # decay length of the tail

    @property
    def count(self) -> int:
        """How many samples the estimate rests on."""
        return self._count

    @property
    def kept(self) -> int:
        """How many of the largest are remembered."""
        return self._kept

    def decades(self, value: float) -> float:
        """-log10 of the probability that a sample exceeds `value`, at least 0; 0 while there are no
        more samples than are kept.
        """
        if self._count <= self._kept:
            return 0.0
        least = self._largest[0]
        rank = math.log10(self._count / self._kept)
        if value > least:
            # Without any spread so far, whatever lies above it is as rare as can be told.
            spread = max(self._excess, 1e-3 * abs(least), 1e-12)
            return rank + (value - least) / (spread * LN_10)
        return max(0.0, rank * value / least) if least > 0 else 0.0

    def add(self, value: float) -> bool:
        """Learn one sample. Returns whether it is among the largest."""
        self._count += 1
        self._present_count += 1
        _keep(self._present, value, self._kept)
        entered = _keep(self._largest, value, self._kept)
        if entered:
            self._measure()
        if self._present_count >= self._memory:
            self._largest, self._present = self._present.copy(), []
            self._count, self._present_count = self._present_count, 0
            self._measure()
        return entered

    def _measure(self) -> None:
        # Of an exponential law the median excess is ln 2 times the mean one; up to half of the kept
        # samples may be surges without moving it far.
        if len(self._largest) == self._kept:
            self._excess = (self._largest[self._kept // 2] - self._largest[0]) / LN_2

    def above(self, value: float) -> int:
        """How many of the kept samples are at least `value`."""
        return len(self._largest) - bisect_left(self._largest, value)


class Evidence:
    """How unusual a residual is, for each direction on its own: rises and drops scatter differently.

    both: look at either direction; else only upwards. Decades are capped at `most`. apart: of samples
    closer than this to one that entered the largest, none is learned (runs declustering, Leadbetter et al.
    1983): a surge is one event, however long it lasts.
    """

    __slots__ = ("_apart", "_down", "_most", "_since", "_up")

    def __init__(
        self, both: bool, most: float, kept: int = KEPT, memory: int = MEMORY, apart: int = 0
    ) -> None:
        self._up = Tail(kept, memory)
        self._down = Tail(kept, memory) if both else None
        self._most = most
        self._apart = apart
        self._since = apart

    @property
    def count(self) -> int:
        """How many residuals were learned."""
        return self._up.count

    def decades(self, residual: float) -> float:
        """0 for a residual of the direction that is not looked at, and for NaN."""
        if residual > 0:
            return min(self._most, self._up.decades(residual))
        if residual < 0 and self._down is not None:
            return min(self._most, self._down.decades(-residual))
        return 0.0

    def larger(self, residual: float, similar: float) -> int:
        """How many of the largest of the same direction are at least `similar` times as large."""
        if residual >= 0 or self._down is None:
            return self._up.above(similar * max(residual, 0.0))
        return self._down.above(-similar * residual)

    def learn(self, residual: float) -> None:
        """A residual of the other direction counts as a zero of this one."""
        if math.isnan(residual):
            return
        self._since += 1
        if self._since < self._apart:
            residual = 0.0
        entered = self._up.add(max(residual, 0.0))
        if self._down is not None:
            entered = self._down.add(max(-residual, 0.0)) or entered
        if entered and self._apart and self._up.count > self._up.kept:
            self._since = 0


def combined(decades: float, views: int) -> float:
    """Decades of the sum of the decades of `views` independent views (Fisher 1932).

    -2 ln of a product of n uniform probabilities is chi-square with 2n degrees of freedom, whose tail
    has a closed form.
    """
    x = decades * LN_10
    term = total = 1.0
    for k in range(1, views):
        term *= x / k
        total += term
    return max(0.0, decades - math.log10(total))


def _keep(largest: list[float], value: float, kept: int) -> bool:
    if len(largest) < kept:
        insort(largest, value)
        return len(largest) == kept
    if value <= largest[0]:
        return False
    insort(largest, value)
    del largest[0]
    return True
