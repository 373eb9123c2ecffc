"""What a controller's classifier learns from, and is judged by: targets watched under many limits.

Recorded loads drift and may keep away from the limit that they will cross one day. So a model learns
under limits that every target did cross: quantiles of its own load in the stretch before, as well
as under its own limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.breaches.claims import Bools, Ints, Watch, watch
from ml.breaches.crossing_inputs import SPAN
from ml.breaches.warner import inputs_of
from ml.series import Floats, Series
from ml.windows import Windows, rolling, stacked

LEVELS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.995)
JUDGED_LEVELS = (0.9, 0.95, 0.98)
DAY_S = 86_400.0
PIECES = 8  # of a history shorter than so many days
LEAST_HORIZONS = 10.0  # of a piece
MIN_KNOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """inputs: (rows, columns). crossed: within the horizon, (rows,). series, ends: where each row is,
    (rows,). limits: (rows,).
    """

    inputs: Floats
    crossed: Bools
    series: Ints
    ends: Ints
    limits: Floats

    def __len__(self) -> int:
        return len(self.crossed)


def piece_steps(span_s: float, horizon: int, step_s: float) -> int:
    """How many steps a limit holds: a day, or an eighth of a short history."""
    seconds = min(DAY_S, max(span_s / PIECES, LEAST_HORIZONS * horizon * step_s))
    return max(1, round(seconds / step_s))


def by_quantiles(
    grids: Sequence[Series],
    start_s: float,
    end_s: float,
    levels: Sequence[float],
    horizon: int,
    step_s: float,
    piece: int,
) -> list[Watch]:
    """Each target under quantiles of its own piece before, set anew for each piece of [start_s, end_s).

    Pieces after one with less than half of its samples known, or without any change, have no limit.
    """
    found = []
    for row, grid in enumerate(grids):
        begin, end = np.searchsorted(grid.times_s, [start_s, end_s])
        for first in range(max(int(begin), piece), int(end), piece):
            before = grid.values[first - piece : first]
            if np.isfinite(before).mean() < MIN_KNOWN_SHARE:
                continue
            if np.nanmax(before) == np.nanmin(before):
                continue
            last = min(first + piece, int(end))
            for limit in np.nanquantile(before, levels).tolist():
                found.append(watch(row, grid.values, limit, horizon, step_s, first, last))
    return found


def by_own_limits(
    grids: Sequence[Series],
    start_s: float,
    end_s: float,
    limits: Mapping[str, float],
    horizon: int,
    step_s: float,
    piece: int,
) -> list[Watch]:
    """Each target that has a limit under it, piece by piece."""
    found = []
    for row, grid in enumerate(grids):
        if grid.target not in limits:
            continue
        begin, end = np.searchsorted(grid.times_s, [start_s, end_s])
        for first in range(int(begin), int(end), piece):
            last = min(first + piece, int(end))
            limit = limits[grid.target]
            found.append(watch(row, grid.values, limit, horizon, step_s, first, last))
    return found


def thinned(watches: Sequence[Watch], most: int) -> list[Watch]:
    """So many that they have at most `most` samples to be judged, evenly chosen: whole watches."""
    total = sum(int(one.eligible.sum()) for one in watches)
    stride = max(1, -(-total // max(most, 1)))
    # A stride with a factor in common with the number of limits would leave some of them out.
    order = np.random.default_rng(0).permutation(len(watches))[: -(-len(watches) // stride)]
    return [watches[index] for index in np.sort(order)]


def lessons(
    grids: Sequence[Series],
    watches: Sequence[Watch],
    channels: bool,
    most: int | None = None,
    seed: int = 0,
) -> Lessons:
    """A row for each sample below its limit whose outcome is known, by chance about `most` of them."""
    total = sum(int(np.count_nonzero(one.below & one.judged)) for one in watches)
    share = 1.0 if most is None else min(1.0, most / max(total, 1))
    random = np.random.default_rng(seed)
    rows: list[tuple[int, Ints, Floats, Bools]] = []
    for one in watches:
        at = np.flatnonzero(one.below & one.judged)
        if share < 1.0:
            at = at[random.random(len(at)) < share]
        if len(at):
            rows.append((one.row, one.first + at, np.full(len(at), one.threshold), one.crosses[at]))
    windows: list[Windows] = [rolling(grids[row], SPAN, ends) for row, ends, _, _ in rows]
    if not rows:
        nothing = np.zeros(0, dtype=np.int64)
        empty = np.zeros(0)
        return Lessons(np.zeros((0, 0)), np.zeros(0, dtype=np.bool_), nothing, nothing, empty)
    limits = np.concatenate([limit for _, _, limit, _ in rows])
    step_s, horizon = watches[0].step_s, watches[0].horizon
    return Lessons(
        inputs_of(stacked(windows), limits, horizon, step_s, channels),
        np.concatenate([crossed for _, _, _, crossed in rows]),
        np.concatenate([np.full(len(ends), row) for row, ends, _, _ in rows]),
        np.concatenate([ends for _, ends, _, _ in rows]),
        limits,
    )
