"""When an A/B comparison goes on, ends well, and is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.plan.ab.values import Metric


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse the variant may be and still be fit (guardrails). latency_ratio: its geometric mean
    latency over the primary's. loss, refusals: its share minus the primary's, from 0 to 1.
    """

    latency_ratio: float = 1.1
    loss: float = 0.005
    refusals: float = 0.005

    def __post_init__(self) -> None:
        if not 1.0 <= self.latency_ratio <= 10.0:
            raise ValueError(f"latency_ratio is {self.latency_ratio}: from 1 to 10")
        for name in ("loss", "refusals"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}: from 0 to below 1")


@dataclass(frozen=True, slots=True)
class Rules:
    """alpha: chance of calling a variant fit that is worse than a margin allows. alpha_rollback: chance of
    ever taking back a variant that is within all margins. Both hold however often one looks.

    metrics: what is compared. better_on: the variant must be shown to be better there; None: not being
    worse is enough. shares_pct: shares of new traffic, one after the other, each for `stage_blocks`
    blocks. block_s, block_connections: a block ends when it is so long and each arm has so many new
    connections. least_blocks: before latency decides anything (the tests of shares are exact from the first
    block). longest_s: then it ends undecided.

    hard_pct: refused or lost, of at least `hard_count` in one observation of the variant while the
    primary has less than half of that: the variant is taken back at once, without any test.
    """

    alpha: float = 0.05
    alpha_rollback: float = 0.05
    metrics: tuple[Metric, ...] = (Metric.LATENCY, Metric.LOSS, Metric.REFUSALS)
    margins: Margins = field(default_factory=Margins)
    better_on: Metric | None = None
    shares_pct: tuple[float, ...] = (1.0, 5.0, 10.0, 25.0, 50.0)
    stage_blocks: int = 10
    block_s: float = 5.0
    block_connections: int = 20
    least_blocks: int = 20
    longest_s: float = 86_400.0
    hard_pct: float = 50.0
    hard_count: int = 20

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_rollback"):
            if not 0.0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name} is {getattr(self, name)}: above 0, at most 0.5")
        if not self.metrics:
            raise ValueError("metrics is empty: name at least one")
        if self.better_on is not None and self.better_on not in self.metrics:
            raise ValueError(f"better_on is {self.better_on}, which is not among the metrics")
        if not self.shares_pct or list(self.shares_pct) != sorted(set(self.shares_pct)):
            raise ValueError(f"shares_pct is {self.shares_pct}: at least one, rising")
        if not 0.0 < self.shares_pct[0] <= self.shares_pct[-1] < 100.0:
            raise ValueError(f"shares_pct is {self.shares_pct}: above 0, below 100")
        for name, least in (("stage_blocks", 1), ("block_connections", 1), ("least_blocks", 3)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: at least {least}")
        if self.block_s < 0 or self.longest_s <= 0:
            raise ValueError("block_s is at least 0, longest_s above 0")
