"""What a forecaster is asked for and how it learns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ml.calendars.events import PlannedEvent

CONNECTIONS = "connections"


@dataclass(frozen=True, slots=True)
class Settings:
    """The immutable configuration that training and serving share: one model per metric.

    metric: what is forecast. "connections" means live connections, which the queue model
    (`ml.forecasting.trend`) understands where their arrivals are known; any other name is just a name.
    horizons_s: seconds ahead, ascending, each at least one step. quantiles: levels in (0, 1),
    ascending. step_s: the grid on which models see the series. lookback_steps: how much of the past
    a model sees. min_history_s: no training before the longest series spans this. companions:
    channels that are other metrics of the same target, whose course tells of this one's. max_rows: forecast
    origins used for training, chosen by chance. iterations: trees of a median; side_iterations: of each
    side of the spread around it.
    """

    metric: str = CONNECTIONS
    horizons_s: tuple[float, ...] = (5, 10, 20, 30, 60, 120)
    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    step_s: float = 1.0
    lookback_steps: int = 120
    min_history_s: float = 1800.0
    calendar: tuple[PlannedEvent, ...] = ()
    companions: tuple[str, ...] = ()
    max_rows: int = 75_000
    iterations: int = 60
    side_iterations: int = 20
    leaves: int = 75
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        if self.step_s <= 0:
            raise ValueError(f"step_s must be positive, not {self.step_s}")
        if not self.horizons_s or self.horizons_s[0] < self.step_s:
            raise ValueError(
                f"horizons_s must name at least one horizon, none below step_s ({self.step_s} s)"
            )
        if any(right <= left for left, right in pairwise(self.horizons_s)):
            raise ValueError(f"horizons_s must ascend: {self.horizons_s}")
        if not self.quantiles or any(not 0 < level < 1 for level in self.quantiles):
            raise ValueError(f"quantiles must lie between 0 and 1: {self.quantiles}")
        if any(right <= left for left, right in pairwise(self.quantiles)):
            raise ValueError(f"quantiles must ascend: {self.quantiles}")
        if self.lookback_steps < 60:
            raise ValueError("lookback_steps must be at least 60")

    @property
    def queue(self) -> bool:
        """Whether the queue model knows this metric."""
        return self.metric == CONNECTIONS

    @property
    def horizon_steps(self) -> tuple[int, ...]:
        """Each horizon in grid steps, rounded, at least 1."""
        return tuple(max(1, round(horizon / self.step_s)) for horizon in self.horizons_s)
