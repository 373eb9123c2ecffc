"""One recorded set of series, on a regular grid, and what is asked of forecasts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ml.evaluation.splits import Split, chronological
from ml.series import Floats, Series, companions

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# What is left out is decided on the training part alone.
MIN_KNOWN_SHARE = 0.5
MIN_MOVING_SHARE = 0.1
# Horizons beyond those of the first protocol, by the interval: addresses and subdivisions are planned hours
# ahead. Declared in docs/foresight.md before anything was measured at them.
LONGER_S: Mapping[float, tuple[float, ...]] = {60.0: (3600.0,), 300.0: (3600.0, 10_800.0)}


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """name: of the set. step_s: the natural interval. horizons_s: ascending multiples of it.

    series: every one on the grid `times_s` (Unix seconds, one step apart; NaN: missing), equally
    long. left_out: target → why it is not among `series`. source: where the data are published.
    """

    name: str
    step_s: float
    horizons_s: tuple[float, ...]
    series: tuple[Series, ...]
    source: str
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def times_s(self) -> Floats:
        """The common grid, Unix seconds."""
        return self.series[0].times_s

    @property
    def horizon_steps(self) -> tuple[int, ...]:
        """Each horizon in steps."""
        return tuple(round(horizon_s / self.step_s) for horizon_s in self.horizons_s)

    @property
    def companions(self) -> tuple[str, ...]:
        """The channels of any series that are other metrics of the same target."""
        return companions(self.series)

    @property
    def split(self) -> Split:
        """The fixed chronological split, purged by the longest horizon."""
        times = self.times_s
        return chronological(float(times[0]), float(times[-1]), self.horizons_s[-1])

    @property
    def values(self) -> Floats:
        """All series, shape (series, steps)."""
        return np.stack([one.values for one in self.series])

    def scales(self) -> Floats:
        """Per series the mean absolute one-step change of its training part, in its own units.

        The errors of series with different units are compared in this unit (the scale of MASE;
        Hyndman and Koehler 2006).
        """
        until = int(np.searchsorted(self.times_s, self.split.train_end_s, side="right"))
        change = np.abs(np.diff(self.values[:, :until], axis=1))
        return np.asarray(np.nanmean(change, axis=1))


def farther(data: DataSet) -> DataSet:
    """The same set with the longer horizons of its interval too; the purge of its split follows."""
    return replace(data, horizons_s=(*data.horizons_s, *LONGER_S.get(data.step_s, ())))


def first_horizons_s(data: DataSet) -> tuple[float, ...]:
    """Those of its horizons that are in the first protocol."""
    longer = LONGER_S.get(data.step_s, ())
    return tuple(one for one in data.horizons_s if one not in longer)


def grid_s(begin_s: float, step_s: float, size: int) -> Floats:
    """`size` times, one step apart."""
    times: Floats = begin_s + step_s * np.arange(size, dtype=np.float64)
    return times


def data_set(
    name: str,
    step_s: float,
    horizons_s: tuple[float, ...],
    series: list[Series],
    source: str,
) -> DataSet:
    """A set of those series whose training part says something.

    Left out are series with less than half of the training samples known, and such that change at
    fewer than a tenth of the training steps (constant, all zero, idle but for a few moments).
    Raises ValueError when none remains.
    """
    if not series:
        raise ValueError(f"data set {name}: no series")
    whole = DataSet(name, step_s, horizons_s, tuple(series), source)
    if any(len(one) != len(series[0]) for one in series):
        raise ValueError(f"data set {name}: the series are not on one grid")
    until = int(np.searchsorted(whole.times_s, whole.split.train_end_s, side="right"))
    kept: list[Series] = []
    left_out: dict[str, str] = {}
    for one in series:
        training = one.values[:until]
        change = np.diff(training)
        known = float(np.isfinite(training).mean())
        pairs = int(np.isfinite(change).sum())
        moving = float((np.abs(change) > 0).sum() / pairs) if pairs else 0.0
        if known < MIN_KNOWN_SHARE:
            left_out[one.target] = f"{100 * known:.0f} % of the training samples known"
        elif moving < MIN_MOVING_SHARE:
            left_out[one.target] = f"changes at {100 * moving:.0f} % of the training steps"
        else:
            kept.append(one)
    if not kept:
        raise ValueError(f"data set {name}: every series is constant or mostly missing")
    return DataSet(name, step_s, horizons_s, tuple(kept), source, left_out)
