"""The last samples of a bounded number of rows, on one time axis."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Generic

import numpy as np

from controller.observe.space_saving import Key
from ml.series import Floats, Series


class AccessTable(Generic[Key]):
    """Rates per second by key and step. A row begins as NaN: what was before it was kept is not known."""

    def __init__(self, rows: int, keep: int, step_s: float) -> None:
        self.keep, self.step_s = keep, step_s
        self._slots: dict[Key, int] = {}
        self._free = list(range(rows - 1, -1, -1))
        # Twice the size: columns move to the front only once in `keep` steps.
        self._rates = np.full((rows, 2 * keep), np.nan)
        self._end = 0
        self._end_s = -np.inf

    @property
    def end_s(self) -> float:
        """The end of the last step, Unix seconds."""
        return self._end_s

    def keys(self) -> Collection[Key]:
        """All that have a row."""
        return self._slots.keys()

    def hold(self, keys: Iterable[Key]) -> None:
        """Rows for exactly these. Those that had one keep it with their history. No more than there are rows."""
        wanted = dict.fromkeys(keys)
        for key in [key for key in self._slots if key not in wanted]:
            self._free.append(self._slots.pop(key))
        for key in wanted:
            if key not in self._slots:
                slot = self._slots[key] = self._free.pop()
                self._rates[slot] = np.nan

    def append(self, end_s: float, counts: dict[Key, float] | None) -> None:
        """The step that ends at `end_s`: who is not in `counts` had none; None: nobody watched."""
        if self._end_s > -np.inf:
            missing = min(self.keep, round((end_s - self._end_s) / self.step_s) - 1)
            for _ in range(missing):
                self._column()[:] = np.nan
        column = self._column()
        column[:] = np.nan
        if counts is not None:
            for key, slot in self._slots.items():
                column[slot] = counts.get(key, 0.0) / self.step_s
        self._end_s = end_s

    def cut(self, end_s: float) -> None:
        """Forget what lies after: the clock was set back."""
        if self._end_s > end_s:
            steps = int(np.ceil((self._end_s - end_s) / self.step_s))
            self._end = max(0, self._end - steps)
            self._end_s = self._end_s - steps * self.step_s if self._end else -np.inf

    def means(self, steps: int, keys: Iterable[Key] | None = None) -> dict[Key, float]:
        """Of the last `steps` samples as far as known, of these keys or all; 0 without any."""
        wanted = list(self._slots if keys is None else keys)
        found = dict.fromkeys(wanted, 0.0)
        there = [key for key in wanted if key in self._slots]
        start = max(0, self._end - min(steps, self.keep))
        recent = self._rates[[self._slots[key] for key in there], start : self._end]
        known = np.isfinite(recent)
        means = np.where(known, recent, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        found.update(zip(there, means.tolist(), strict=True))
        return found

    def series(self, name: Key, target: str, steps: int) -> Series:
        """One row from its first known sample on; a rate belongs to the step that ends at its time."""
        slot = self._slots[name]
        values = self._rates[slot, max(0, self._end - min(steps, self.keep)) : self._end].copy()
        known = np.flatnonzero(np.isfinite(values))
        values = values[known[0] :] if len(known) else values[:0]
        ages = np.arange(len(values) - 1, -1, -1, dtype=np.float64)
        return Series(target, self._end_s - self.step_s * ages, values)

    def _column(self) -> Floats:
        if self._end == self._rates.shape[1]:
            self._rates[:, : self.keep - 1] = self._rates[:, self._end - self.keep + 1 :].copy()
            self._end = self.keep - 1
        self._end += 1
        column: Floats = self._rates[:, self._end - 1]
        return column
