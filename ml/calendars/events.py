"""Planned events: what is known about the load before it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    for event, during in _during(calendar, targets, times_s):
        logs[during] += np.log(event.expected_factor)
    return logs


def events_on(calendar: Sequence[PlannedEvent], targets: Sequence[str], times_s: Floats) -> Floats:
    """How many events are on, whatever their factor. Shapes as of `log_factors`."""
    number = np.zeros_like(times_s)
    for _, during in _during(calendar, targets, times_s):
        number[during] += 1.0
    return number


def _during(
    calendar: Sequence[PlannedEvent], targets: Sequence[str], times_s: Floats
) -> Iterator[tuple[PlannedEvent, npt.NDArray[np.bool_]]]:
    """The events that are on at any of the times, and where."""
    if not times_s.size:
        return
    first_s, last_s = float(times_s.min()), float(times_s.max())
    for event in calendar:
        if event.start_s > last_s or event.end_s <= first_s:
            continue  # a calendar may hold thousands
        concerned = np.array([event.concerns(target) for target in targets], dtype=bool)
        during = (times_s >= event.start_s) & (times_s < event.end_s)
        during &= concerned.reshape((-1,) + (1,) * (times_s.ndim - 1))
        if during.any():
            yield event, during


def seconds_to_next_start(
    calendar: Sequence[PlannedEvent], targets: Sequence[str], times_s: Floats
) -> Floats:
    """Seconds until the next event of each row's target starts; NaN when none is planned."""
    waits = np.full(len(times_s), np.nan)
    if not len(times_s):
        return waits
    first_s = float(times_s.min())
    starts: dict[tuple[str, ...], list[float]] = {}
    for event in calendar:
        if event.start_s > first_s:
            starts.setdefault(event.targets, []).append(event.start_s)
    for names, unsorted_s in starts.items():
        concerned = np.array([not names or target in names for target in targets], dtype=bool)
        starts_s = np.append(np.sort(unsorted_s), np.nan)
        following = starts_s[np.searchsorted(starts_s[:-1], times_s, side="right")] - times_s
        waits = np.where(concerned, np.fmin(waits, following), waits)
    return waits
