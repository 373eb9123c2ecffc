"""Planned events: what is known about the load before it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.series import Floats

ALL_TARGETS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """A time in which new connections are expected to come `expected_factor` times as often.

    start_s, end_s: Unix seconds, the end exclusive. targets: names; empty means every target.
    """

    name: str
    start_s: float
    end_s: float
    targets: tuple[str, ...] = ALL_TARGETS
    expected_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.end_s > self.start_s:
            raise ValueError(f"event {self.name!r}: end_s must be after start_s")
        if not self.expected_factor > 0:
            raise ValueError(f"event {self.name!r}: expected_factor must be above 0")

    def concerns(self, target: str) -> bool:
        return not self.targets or target in self.targets


def log_factors(
    calendar: Sequence[PlannedEvent], targets: Sequence[str], times_s: Floats
) -> Floats:
    """Natural logarithm of the planned load factor, shape of `times_s` (rows, ...).

    Row r of `times_s` belongs to targets[r]. Overlapping events multiply.
    """
    logs = np.zeros_like(times_s)
    for event in calendar:
        during = (times_s >= event.start_s) & (times_s < event.end_s)
        if not during.any():
            continue
        concerned = np.array([event.concerns(target) for target in targets], dtype=bool)
        during &= concerned.reshape((-1,) + (1,) * (times_s.ndim - 1))
        logs[during] += np.log(event.expected_factor)
    return logs


def seconds_to_next_start(
    calendar: Sequence[PlannedEvent], targets: Sequence[str], times_s: Floats
) -> Floats:
    """Seconds until the next event of each row's target starts; NaN when none is planned."""
    waits = np.full(len(times_s), np.nan)
    for event in calendar:
        concerned = np.array([event.concerns(target) for target in targets], dtype=bool)
        ahead = event.start_s - times_s
        sooner = concerned & (ahead > 0) & ~(waits <= ahead)
        waits[sooner] = ahead[sooner]
    return waits
