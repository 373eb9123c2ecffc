"""What was at the same time yesterday and a week ago, in bounded memory.

Each target has a ring of bins of a fixed width, aligned to Unix time, that hold the mean of the
values in them, and a second one of broad bins: seven days in bins of a minute take 210 KB, whatever
the sampling interval. A bin says the same whether its samples came one by one or all at once, so that
training on a recorded history and serving see the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.series import Floats, Series

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
LEAST_WIDTH_S = 60.0
BROAD_WIDTH_S = 900.0
REACH_S = WEEK_S + 6 * 3600.0  # how far back is asked for, with what is looked at around it
_NONE = -1
Ends = tuple[Floats, Floats, Floats]


class Bins:
    """Mean values per bin of every target that was observed.

    width_s: of a bin. reach_s: how far back from a target's newest sample bins are kept.
    Not thread-safe.
    """

    def __init__(self, width_s: float, reach_s: float = REACH_S) -> None:
        self.width_s = width_s
        self._bins = int(np.ceil(reach_s / width_s)) + 2
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._asked: Sequence[str] = ()  # whose rows were looked up last, and these
        self._found: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._total = np.zeros((0, self._bins), dtype=np.float64)
        self._number = np.zeros((0, self._bins), dtype=np.float32)
        self._value = np.zeros((0, self._bins), dtype=np.float64)  # their ratio; NaN: unknown
        self._newest = np.zeros(0, dtype=np.int64)  # bin index, Unix time // width
        self._seen_s = np.zeros(0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def observe(self, series: Series) -> None:
        """Take in the samples that are later than those already seen of this target."""
        if not len(series):
            return
        row = self._row(series.target)
        seen_s = self._seen_s[row]
        last_s = float(series.times_s[-1])
        if last_s <= seen_s:
            return
        start = int(np.searchsorted(series.times_s, seen_s, side="right"))
        times, values = series.times_s[start:], series.values[start:]
        self._seen_s[row] = last_s
        if len(values) == 1:
            value = float(values[0])
            if value == value:  # known
                self._add(row, int(last_s // self.width_s), value)
            return
        known = np.isfinite(values)
        if not known.any():
            return
        index = np.floor(times[known] / self.width_s).astype(np.int64)
        fresh = index > index[-1] - self._bins
        self._advance(row, int(index[-1]))
        slot = index[fresh] % self._bins
        np.add.at(self._total[row], slot, values[known][fresh])
        np.add.at(self._number[row], slot, np.float32(1))
        self._value[row, slot] = self._total[row, slot] / self._number[row, slot]

    def observe_all(self, series: Sequence[Series], ends: Ends | None = None) -> None:
        """The same for many targets, none twice; quick where each has one new sample.

        ends: `ends_of(series)`, where it is known already.
        """
        rows = np.array([self._row(one.target) for one in series], dtype=np.int64)
        last_s, before_s, value = ends if ends is not None else ends_of(series)
        seen_s = self._seen_s[rows]
        index = np.floor(np.where(np.isfinite(last_s), last_s, 0.0) / self.width_s).astype(np.int64)
        ahead = index - self._newest[rows]
        simple = (last_s > seen_s) & (before_s <= seen_s) & (ahead <= 1) & np.isfinite(value)
        for place in np.flatnonzero((last_s > seen_s) & ~simple).tolist():
            self.observe(series[place])
        rows, index, ahead = rows[simple], index[simple], ahead[simple]
        slot = index % self._bins
        fresh = ahead == 1
        self._total[rows[fresh], slot[fresh]] = 0.0
        self._number[rows[fresh], slot[fresh]] = 0.0
        self._newest[rows[fresh]] = index[fresh]
        self._seen_s[rows] = last_s[simple]
        self._total[rows, slot] += value[simple]
        self._number[rows, slot] += 1
        self._value[rows, slot] = self._total[rows, slot] / self._number[rows, slot]

    def at(self, targets: Sequence[str], times_s: Floats) -> Floats:
        """The value of each target around these times, shape of times_s (targets, ...).

        Row r belongs to targets[r]. Interpolated linearly between the bins' centres; NaN where
        nothing is known.
        """
        if not len(self._newest):
            return np.full(times_s.shape, np.nan)
        rows = self._index(targets).reshape((-1,) + (1,) * (times_s.ndim - 1))
        place = times_s / self.width_s - 0.5
        lower = np.floor(place)
        share = place - lower
        lower = lower.astype(np.int64)
        left, right = self._mean(rows, lower), self._mean(rows, lower + 1)
        # Between a known and an unknown bin, the known one.
        left, right = np.where(np.isnan(left), right, left), np.where(np.isnan(right), left, right)
        return np.asarray(left + (right - left) * share)

    def before(self, targets: Sequence[str], times_s: Floats, number: int) -> Floats:
        """The last `number` bins that were over at these times, newest first, (targets, number).

        times_s: (targets,). NaN where nothing is known. The bin that holds the time is left out: in
        a memory of a whole history it already holds what came later.
        """
        if not len(self._newest):
            return np.full((len(targets), number), np.nan)
        last = np.floor(times_s / self.width_s).astype(np.int64) - 1
        return self._mean(self._index(targets)[:, None], last[:, None] - np.arange(number))

    def forget(self, targets: Sequence[str]) -> None:
        """Keep nothing of these targets (that exist no more); their room is used again."""
        self._asked = ()
        for target in targets:
            row = self._rows.pop(target, None)
            if row is not None:
                self._total[row], self._number[row], self._value[row] = 0.0, 0.0, np.nan
                self._seen_s[row] = -np.inf
                self._free.append(row)

    def _index(self, targets: Sequence[str]) -> npt.NDArray[np.int64]:
        """The rows of these targets, looked up once for the several questions of one batch."""
        if targets is not self._asked:
            self._found = np.array([self._rows.get(one, _NONE) for one in targets], dtype=np.int64)
            self._asked = targets if isinstance(targets, tuple) else ()
        return self._found

    def _mean(self, rows: npt.NDArray[np.int64], index: npt.NDArray[np.int64]) -> Floats:
        newest = self._newest[rows]
        held = (index <= newest) & (index > newest - self._bins) & (rows != _NONE)
        flat = rows * self._bins + index % self._bins
        return np.where(held, self._value.ravel().take(flat, mode="wrap"), np.nan)

    def _add(self, row: int, index: int, value: float) -> None:
        self._advance(row, index)
        slot = index % self._bins
        self._total[row, slot] += value
        self._number[row, slot] += 1
        self._value[row, slot] = self._total[row, slot] / self._number[row, slot]

    def _advance(self, row: int, index: int) -> None:
        """Empty the bins between the newest one and this."""
        passed = min(index - int(self._newest[row]), self._bins)
        if passed > 0:
            gone = np.arange(index - passed + 1, index + 1) % self._bins
            self._total[row, gone] = 0.0
            self._number[row, gone] = 0.0
            self._value[row, gone] = np.nan
            self._newest[row] = index

    def _row(self, target: str) -> int:
        row = self._rows.get(target)
        if row is not None:
            return row
        self._asked = ()
        if not self._free:
            size = len(self._newest)
            self._grow(max(4, 2 * size))
            self._free.extend(range(len(self._newest) - 1, size - 1, -1))
        row = self._free.pop()
        self._rows[target] = row
        self._newest[row] = np.iinfo(np.int64).min // 2
        self._seen_s[row] = -np.inf
        return row

    def _grow(self, size: int) -> None:
        more = size - len(self._newest)
        self._total = np.concatenate([self._total, np.zeros((more, self._bins))])
        self._number = np.concatenate(
            [self._number, np.zeros((more, self._bins), dtype=np.float32)]
        )
        self._value = np.concatenate([self._value, np.full((more, self._bins), np.nan)])
        self._newest = np.concatenate([self._newest, np.zeros(more, dtype=np.int64)])
        self._seen_s = np.concatenate([self._seen_s, np.full(more, -np.inf)])


def ends_of(series: Sequence[Series]) -> Ends:
    """The newest time and the one before it, -inf where there is none, and the newest value."""
    return (
        np.array([one.times_s[-1] if len(one.times_s) else -np.inf for one in series]),
        np.array([one.times_s[-2] if len(one.times_s) > 1 else -np.inf for one in series]),
        np.array([one.values[-1] if len(one.times_s) else np.nan for one in series]),
    )


class SeasonalMemory:
    """Bins of two widths: fine ones of a step, at least a minute, and broad ones of a quarter of an
    hour, at least of the fine ones' width.
    """

    def __init__(self, step_s: float, reach_s: float = REACH_S) -> None:
        self.fine = Bins(max(LEAST_WIDTH_S, step_s), reach_s)
        self.broad = Bins(max(BROAD_WIDTH_S, step_s), reach_s)

    def __len__(self) -> int:
        return len(self.fine)

    def observe(self, series: Series) -> None:
        """Take in the samples that are later than those already seen of this target."""
        self.fine.observe(series)
        self.broad.observe(series)

    def observe_all(self, series: Sequence[Series]) -> None:
        """The same for many targets, none twice."""
        ends = ends_of(series)
        self.fine.observe_all(series, ends)
        self.broad.observe_all(series, ends)

    def forget(self, targets: Sequence[str]) -> None:
        """Keep nothing of these targets (that exist no more); their room is used again."""
        self.fine.forget(targets)
        self.broad.forget(targets)


def memory_of(series: Sequence[Series], step_s: float) -> SeasonalMemory:
    """A memory of whole histories, as long as the longest of them: for training."""
    span_s = max((one.span_s for one in series), default=0.0)
    memory = SeasonalMemory(step_s, span_s + WEEK_S)
    for one in series:
        memory.observe(one)
    return memory
