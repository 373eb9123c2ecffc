"""How much of the access history is kept, and how finely."""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """step_s: what a sample of the history spans. keep: samples kept of each cell. cells: of so many (destination,
    location) a history is kept; counters: so many compete for it. Memory: cells x keep x 16 bytes.

    half_life_s: after it a connection counts half in that competition. sample_every: a digest stands for
    so many connections where no counter says how many there were. prior_samples: past shares count as so many digests.
    """

    step_s: float = 60.0
    keep: int = 2880
    cells: int = 1024
    counters: int = 8192
    half_life_s: float = DAY_S
    sample_every: int = 1
    prior_samples: float = 5.0

    def __post_init__(self) -> None:
        if not (self.step_s > 0 and self.half_life_s > 0):
            raise ValueError("step_s and half_life_s must be above 0")
        if self.keep < 2 or self.cells < 1 or self.sample_every < 1:
            raise ValueError("keep must be at least 2, cells and sample_every at least 1")
        if self.counters < self.cells:
            raise ValueError(
                f"counters ({self.counters}) must not be fewer than cells ({self.cells})"
            )
        if not self.prior_samples >= 0:
            raise ValueError("prior_samples must not be below 0")
