"""The numbers of the rules that size the warm range."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RangeSettings:
    """cycle_s: how often the range is planned. warm_up_s: from the plan until a new shadow instance answers.

    warm_share: of the grants, what shall find a warm address; the confidence of the range is steered to it.
    confidence: that the range lasts until the next one is warm, to begin with; it stays within
    least_confidence and most_confidence. gain: by how much one cold grant moves it (of ln(1 - confidence)).
    at_least, at_most: bounds of the range. watch_s: how fast the watched rates forget. release_after_s:
    so long an address must not have been needed before it is released. slack: so many, and
    slack_share of the range, are kept beyond what is needed before anything is released.
    early_s: so long before an announced event its addresses are warm. memory: of the windows remembered per
    expectation, half are forgotten when there are more.
    """

    cycle_s: float = 2.0
    warm_up_s: float = 2.0
    warm_share: float = 0.994
    confidence: float = 0.9998
    least_confidence: float = 0.8
    most_confidence: float = 0.99999
    gain: float = 0.01
    at_least: int = 1
    at_most: int = 4096
    watch_s: tuple[float, ...] = (10.0, 60.0, 600.0)
    release_after_s: float = 60.0
    slack: int = 1
    slack_share: float = 0.1
    early_s: float = 10.0
    memory: int = 400_000

    def __post_init__(self) -> None:
        if not (self.cycle_s > 0 and self.warm_up_s >= 0):
            raise ValueError("cycle_s must be above 0, and warm_up_s not below")
        if not 0 < self.least_confidence <= self.confidence <= self.most_confidence < 1:
            raise ValueError("it must be 0 < least_confidence <= confidence <= most_confidence < 1")
        if not 0 < self.warm_share < 1:
            raise ValueError(f"warm_share must lie between 0 and 1, not at {self.warm_share}")
        if not 0 <= self.at_least <= self.at_most:
            raise ValueError("it must be 0 <= at_least <= at_most")
        if not self.watch_s or min(self.watch_s) <= 0 or self.release_after_s < 0:
            raise ValueError("watch_s must be above 0, and release_after_s not below")

    @property
    def window_s(self) -> float:
        """What the range must last for: until what the next plan asks for is warm."""
        return self.cycle_s + self.warm_up_s
