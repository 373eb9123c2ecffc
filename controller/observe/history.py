"""The latest samples of every router in memory: what a forecast is made from in each cycle."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ml.series import MEAN_DURATION_S, NEW_PER_S, Floats, Series, connections_series

SET_BACK_S = 2.0  # samples further back in time than this mean that the clock was set back
_CHANNELS = 4  # time, demand, new per second, mean duration


class History:
    """Keeps the last `keep` samples per router; a series is a view on them, without copying.

    A series is valid until the next `add` for its router.
    """

    def __init__(self, keep: int = 240) -> None:
        self.keep = keep
        self._rows: dict[str, Floats] = {}
        self._ends: dict[str, int] = {}

    def add(
        self, router: str, time_s: float, count: float, new_per_s: float, mean_duration_s: float
    ) -> None:
        """One sample; one that is not later than the last is ignored.

        One that is much earlier means that the clock was set back: what lies after it goes.
        """
        rows = self._rows.get(router)
        if rows is None:
            # Twice the size: rows move to the front only once in `keep` samples.
            rows = self._rows[router] = np.empty((_CHANNELS, 2 * self.keep))
            self._ends[router] = 0
        end = self._ends[router]
        if end and time_s <= rows[0, end - 1]:
            if rows[0, end - 1] - time_s <= SET_BACK_S:
                return
            end = int(np.searchsorted(rows[0, :end], time_s))
        if end == rows.shape[1]:
            rows[:, : self.keep - 1] = rows[:, end - self.keep + 1 :].copy()
            end = self.keep - 1
        rows[:, end] = time_s, count, new_per_s, mean_duration_s
        self._ends[router] = end + 1

    def load(self, series: Series) -> None:
        """Samples of an earlier run."""
        for row in zip(
            series.times_s[-self.keep :].tolist(),
            series.values[-self.keep :].tolist(),
            series.channel(NEW_PER_S)[-self.keep :].tolist(),
            series.channel(MEAN_DURATION_S)[-self.keep :].tolist(),
            strict=True,
        ):
            self.add(series.target, *row)

    def series(self, router: str) -> Series:
        """The last samples of one router, oldest first; empty when there are none."""
        if router not in self._rows:
            empty = np.empty(0)
            return connections_series(router, empty, empty, empty, empty)
        end = self._ends[router]
        rows = self._rows[router][:, max(0, end - self.keep) : end]
        return connections_series(router, rows[0], rows[1], rows[2], rows[3])

    def all(self, routers: Iterable[str]) -> list[Series]:
        """The series of these routers that have samples."""
        return [self.series(router) for router in routers if router in self._rows]
