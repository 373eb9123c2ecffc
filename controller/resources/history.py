"""What devices have used, in memory, on the grid of the forecasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from controller.model.resources import NOTHING, Amounts, Resource
from ml.series import Floats, Series

SET_BACK_S = 2.0  # samples further back in time than this mean that the clock was set back
EARLY = 0.999  # of a step: a loop's jitter must not cost a sample
_ROWS = 1 + len(Resource)


@dataclass(slots=True)
class _Step:
    """The step that is not complete yet."""

    total: Amounts = NOTHING
    count: int = 0


@dataclass(slots=True)
class UseHistory:
    """Means over steps of `step_s`; the last `keep` of each device. A series is a view, valid until the next `add`."""

    step_s: float
    keep: int
    _rows: dict[str, Floats] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)
    _steps: dict[str, _Step] = field(default_factory=dict)

    def add(self, device: str, time_s: float, use: Amounts) -> None:
        """One sample; one that is not later than the last is ignored, one much earlier means a clock set back."""
        rows = self._rows.get(device)
        if rows is None:
            # It grows as needed: most devices never fill two days of steps.
            rows = self._rows[device] = np.empty((_ROWS, min(256, 2 * self.keep)))
            self._ends[device] = 0
        end = self._ends[device]
        step = self._steps.setdefault(device, _Step())
        if end and time_s <= rows[0, end - 1]:
            if rows[0, end - 1] - time_s <= SET_BACK_S:
                return
            end = self._ends[device] = int(np.searchsorted(rows[0, :end], time_s))
            step.total, step.count = NOTHING, 0
        step.total, step.count = step.total + use, step.count + 1
        if end and time_s - rows[0, end - 1] < EARLY * self.step_s:
            return
        if end == rows.shape[1]:
            rows, end = self._room(device, rows, end)
        rows[:, end] = time_s, *(step.total * (1.0 / step.count))
        step.total, step.count = NOTHING, 0
        self._ends[device] = end + 1

    def load(self, device: str, samples: Iterable[tuple[float, Amounts]]) -> None:
        """Samples of an earlier run, oldest first."""
        for time_s, use in samples:
            self.add(device, time_s, use)

    def series(self, resource: Resource) -> list[Series]:
        """One per device, oldest first: cores, bytes, or bits per second."""
        row = 1 + list(Resource).index(resource)
        found = []
        for device, rows in self._rows.items():
            end = self._ends[device]
            first = max(0, end - self.keep)
            if end:
                found.append(Series(device, rows[0, first:end], rows[row, first:end]))
        return found

    def _room(self, device: str, rows: Floats, end: int) -> tuple[Floats, int]:
        if rows.shape[1] < 2 * self.keep:
            wider = np.empty((_ROWS, min(2 * self.keep, 2 * rows.shape[1])))
            wider[:, :end] = rows
            self._rows[device] = wider
            return wider, end
        rows[:, : self.keep - 1] = rows[:, end - self.keep + 1 :].copy()
        return rows, self.keep - 1
