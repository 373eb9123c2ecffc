"""Breach events, claims and what alarms are worth: the arithmetic of warnings.

An event is the first sample above the threshold after a quiet time of one horizon; what follows, until
it has been quiet again for one horizon, belongs to the same episode and can be neither predicted
nor missed. An alarm is a claim: "above the threshold within the horizon". While a claim stands no
other is made; a score that is still high when it ends is a new claim. So precision is the share of claims
that came true, recall the share of events with a claim standing before them, and false alarms a
day count broken claims, whatever the interval of the series.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.series import Floats

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
LEAST_LEAD = 0.1  # of the horizon
_LONG_AGO = 1 << 40


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """One series under one threshold, from its sample `first` to before `last`.

    row: which series of its set. horizon: steps. The arrays are of shape (last - first,). below:
    known and not above the threshold. eligible: below, and outside any episode; there an alarm can be
    raised. crosses: whether any of the next `horizon` samples is above the threshold. judged:
    whether that is known, that is, whether it crosses or the series goes on for the horizon.
    onsets: the events, counted from `first`.
    """

    row: int
    threshold: float
    horizon: int
    step_s: float
    first: int
    last: int
    below: Bools
    eligible: Bools
    crosses: Bools
    judged: Bools
    onsets: Ints

    @property
    def days(self) -> float:
        """Eligible time, days."""
        return float(np.count_nonzero(self.eligible)) * self.step_s / 86_400.0


def watch(
    row: int, values: Floats, threshold: float, horizon: int, step_s: float, first: int, last: int
) -> Watch:
    """Find the events of one series: `values`, shape (n,), on its grid, NaN = missing."""
    begin = max(0, first - horizon)
    end = min(len(values), last + horizon)
    part = values[begin:end]
    above = np.nan_to_num(part, nan=-np.inf) > threshold
    since = _since_above(above)
    before = np.concatenate([[_LONG_AGO], since[:-1]])
    inside = slice(first - begin, last - begin)
    onset = (above & (before >= horizon))[inside]
    onset[0] = False  # nothing could be said before it
    below = (np.isfinite(part) & ~above)[inside]
    crosses = _ahead_any(above, horizon)[inside]
    judged = crosses | (np.arange(first, last) + horizon < len(values))
    eligible = below & (since[inside] >= horizon)
    return Watch(
        row,
        threshold,
        horizon,
        step_s,
        first,
        last,
        below,
        eligible,
        crosses,
        judged,
        np.flatnonzero(onset),
    )


def _ahead_any(above: Bools, horizon: int) -> Bools:
    total = np.concatenate([[0], np.cumsum(above)])
    index = np.arange(len(above))
    end = np.minimum(index + 1 + horizon, len(above))
    return np.asarray(total[end] > total[index + 1])


def _since_above(above: Bools) -> Ints:
    """Samples since the last one above: 0 at such a sample, very many before the first."""
    index = np.arange(len(above), dtype=np.int64)
    last = np.maximum.accumulate(np.where(above, index, -_LONG_AGO))
    return np.asarray(index - last, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule did. events, warned: onsets, and those that a claim stood for early enough. alarms,
    true_alarms: claims, and those that came true. days: eligible time. leads_s: per warned
    event, from the first claim that covers it to the onset.
    """

    events: int
    warned: int
    alarms: int
    true_alarms: int
    days: float
    leads_s: tuple[float, ...]

    @property
    def recall(self) -> float:
        """Share of events warned of; NaN without events."""
        return self.warned / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        """Share of claims that came true; NaN without claims."""
        return self.true_alarms / self.alarms if self.alarms else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 when nothing was warned of."""
        if not self.warned or not self.true_alarms:
            return 0.0
        return 2.0 * self.precision * self.recall / (self.precision + self.recall)

    @property
    def false_per_day(self) -> float:
        """Broken claims per eligible day."""
        return (self.alarms - self.true_alarms) / self.days if self.days else float("nan")

    def lead_s(self, percent: float) -> float:
        """A percentile of the leads, seconds; NaN when nothing was warned of."""
        return float(np.percentile(self.leads_s, percent)) if self.leads_s else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Several watches one after the other, with a horizon of nothing between them.

    starts: where each watch begins. eligible, below, crosses, judged, onset: as of `Watch`, shape (n,).
    resume: where the next claim may be made after one at this sample, shape (n,).
    """

    starts: tuple[int, ...]
    watches: tuple[Watch, ...]
    eligible: Bools
    below: Bools
    crosses: Bools
    judged: Bools
    onset: Bools
    resume: Ints
    days: float

    @property
    def horizon(self) -> int:
        """Steps within which a claim must come true; the same for all."""
        return self.watches[0].horizon

    @property
    def least(self) -> int:
        """The least lead of a warning, steps."""
        return max(1, math.ceil(LEAST_LEAD * self.horizon))

    @property
    def step_s(self) -> float:
        """Seconds between samples; the same for all."""
        return self.watches[0].step_s

    def spread(self, scores: Sequence[Floats]) -> Floats:
        """One score per sample, from one array (last - first,) per watch; -inf between them."""
        result = np.full(len(self.eligible), -np.inf)
        for start, score in zip(self.starts, scores, strict=True):
            result[start : start + len(score)] = score
        return result


def joined(watches: Sequence[Watch]) -> Joined:
    """All watches as one. Raises ValueError when there is none, or horizons or steps differ."""
    if not watches:
        raise ValueError("no watches: the part is shorter than a day, or has no limit")
    if len({(one.horizon, one.step_s) for one in watches}) > 1:
        raise ValueError("watches of different horizons or steps cannot be joined")
    horizon = watches[0].horizon
    sizes = [one.last - one.first + horizon for one in watches]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = int(starts[-1])
    eligible, below, crosses, judged, onset = (np.zeros(total, dtype=np.bool_) for _ in range(5))
    for start, one in zip(starts.tolist(), watches, strict=False):
        part = slice(start, start + one.last - one.first)
        eligible[part], below[part] = one.eligible, one.below
        crosses[part], judged[part] = one.crosses, one.judged
        onset[start + one.onsets] = True
    index = np.arange(total, dtype=np.int64)
    coming = np.minimum.accumulate(np.where(onset, index, total)[::-1])[::-1]
    coming = np.append(coming[1:], total)  # the next onset after this sample
    return Joined(
        tuple(starts[:-1].tolist()),
        tuple(watches),
        eligible,
        below,
        crosses,
        judged,
        onset,
        np.minimum(coming, index + horizon),
        sum(one.days for one in watches),
    )


def claims(fires: Bools, field: Joined) -> Ints:
    """The samples at which an alarm is raised, when `fires`, shape (n,), says where it would be."""
    candidates = np.flatnonzero(fires & field.eligible)
    resume = field.resume[candidates].tolist()
    listed = candidates.tolist()
    made: list[int] = []
    position = 0
    while position < len(listed):
        made.append(listed[position])
        position = bisect_left(listed, resume[position], position + 1)
    return np.array(made, dtype=np.int64)


def leads(made: Ints, field: Joined) -> Ints:
    """Per event the steps from the first claim that covers it; not positive where there is none."""
    onsets = np.flatnonzero(field.onset)
    padded = np.append(made, len(field.onset) + field.horizon)
    return np.asarray(onsets - padded[np.searchsorted(made, onsets - field.horizon)])


def tally(fires: Bools, field: Joined) -> Tally:
    """What the alarms of a rule were worth."""
    made = claims(fires, field)
    lead = leads(made, field)
    warned = lead >= field.least
    return Tally(
        len(lead),
        int(np.count_nonzero(warned)),
        int(np.count_nonzero(field.judged[made])),
        int(np.count_nonzero(field.crosses[made])),
        field.days,
        tuple((lead[warned] * field.step_s).tolist()),
    )
