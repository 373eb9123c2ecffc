"""Forecasts that wait for their outcomes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.conformal import Index
from ml.forecasting.features import Features
from ml.forecasting.online import Online
from ml.forecasting.outputs import Outputs
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """Of one moment and horizon. due_s: when the outcomes come; index: of the targets; base, unit:
    (rows,); made, still: as given to `Online.serve`, of this horizon.
    """

    due_s: Floats
    last_due_s: float
    index: Index
    base: Floats
    unit: Floats
    made: Outputs
    still: Outputs


class Pending:
    """Notes forecasts, and teaches `Online` when what they forecast has come."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: list[deque[_Made]] = [deque() for _ in settings.horizons_s]
        self._noted_s = -np.inf

    def note(
        self,
        now_s: float,
        times_s: Floats,
        inputs: Features,
        index: Index,
        made: Outputs,
        still: Outputs,
    ) -> None:
        """Remember what was forecast at `now_s` from the samples at times_s, (rows,).

        A moment that was noted already is not noted again; after a step back in time, what waited
        is forgotten.
        """
        if now_s == self._noted_s:
            return
        if now_s < self._noted_s:
            for waiting in self._waiting:
                waiting.clear()
        self._noted_s = now_s
        for horizon, waiting in enumerate(self._waiting):
            due_s = times_s + self._settings.horizons_s[horizon]
            waiting.append(
                _Made(
                    due_s,
                    float(due_s.max()),
                    index,
                    inputs.base[:, horizon],
                    inputs.unit[:, horizon],
                    made.horizon(horizon),
                    still.horizon(horizon),
                )
            )

    def settle(self, now_s: float, windows: Windows, index: Index, online: Online) -> None:
        """Compare what has come with what was forecast. index: of the windows' targets."""
        size = windows.values.shape[1]
        step_s = self._settings.step_s
        place: npt.NDArray[np.int64] | None = None
        for horizon, waiting in enumerate(self._waiting):
            while waiting and waiting[0].last_due_s <= now_s + 1e-6:
                one = waiting.popleft()
                if place is None:
                    place = np.full(max(online.size, 1), -1, dtype=np.int64)
                    place[index] = np.arange(len(index))
                rows = place[one.index]
                back = np.rint((windows.times_s[rows] - one.due_s) / step_s).astype(np.int64)
                there = (rows >= 0) & (back >= 0) & (back < size)
                value = windows.values[rows, size - 1 - np.where(there, back, 0)]
                outcome = np.where(there, (value - one.base) / one.unit, np.nan)
                online.learn(one.index, horizon, one.made, one.still, outcome)
