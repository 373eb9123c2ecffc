"""Chronological splits with a purge, and rolling origins. Nothing is ever shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.series import Floats

Integers = npt.NDArray[np.int64]
TRAIN_SHARE, CALIBRATION_SHARE = 0.6, 0.2
THINNING_SEED = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Unix seconds. Training sees samples up to train_end_s; origins of the calibration part lie in
    [calibration_start_s, calibration_end_s], those of the test part in [test_start_s, test_end_s].

    Between the parts lies a purge: an outcome of one part is never an origin of the next.
    """

    begin_s: float
    train_end_s: float
    calibration_start_s: float
    calibration_end_s: float
    test_start_s: float
    test_end_s: float


def chronological(begin_s: float, end_s: float, purge_s: float) -> Split:
    """60 % training, 20 % calibration, 20 % test of [begin_s, end_s], in this order.

    purge_s: cut from the end of the training and of the calibration part, at least the longest
    horizon. Raises ValueError when a part would be empty.
    """
    span_s = end_s - begin_s
    first = begin_s + TRAIN_SHARE * span_s
    second = begin_s + (TRAIN_SHARE + CALIBRATION_SHARE) * span_s
    if purge_s >= CALIBRATION_SHARE * span_s:
        raise ValueError(
            f"a span of {span_s:.0f} s is too short for a purge of {purge_s:.0f} s between its parts"
        )
    return Split(begin_s, first - purge_s, first, second - purge_s, second, end_s)


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """Moments from which forecasts are made: row i is sample `index[i]` of series `series[i]`.

    Ordered by series, then time. Both of shape (rows,).
    """

    series: Integers
    index: Integers

    def __len__(self) -> int:
        return len(self.index)

    def select(self, rows: npt.NDArray[np.bool_] | Integers) -> Origins:
        """The chosen rows."""
        return Origins(self.series[rows], self.index[rows])


def rolling_origins(
    values: Floats,
    times_s: Floats,
    start_s: float,
    end_s: float,
    longest_steps: int,
    max_rows: int | None = None,
) -> Origins:
    """Every sample in [start_s, end_s] that is known, and whose longest horizon ends by end_s.

    values: shape (series, steps), NaN missing. max_rows: keep at most so many, at the same times for
    all series: one by chance (with a fixed seed) out of each of equally long stretches, since an even
    stride would fall in step with minutes and hours.
    """
    first = int(np.searchsorted(times_s, start_s, side="left"))
    last = int(np.searchsorted(times_s, end_s, side="right")) - longest_steps
    moments = np.arange(first, max(first, last), dtype=np.int64)
    if max_rows is not None and len(moments) * len(values) > max_rows:
        moments = _thinned(moments, max(1, max_rows // len(values)))
    known = np.isfinite(values[:, moments])
    series, at = np.nonzero(known)
    return Origins(series.astype(np.int64), moments[at])


def outcomes(values: Floats, origins: Origins, horizon_steps: tuple[int, ...]) -> Floats:
    """What came, shape (rows, horizons); NaN where it is missing or beyond the end."""
    padded = np.concatenate([values, np.full((len(values), horizon_steps[-1]), np.nan)], axis=1)
    ahead = np.asarray(horizon_steps, dtype=np.int64)
    found: Floats = padded[origins.series[:, None], origins.index[:, None] + ahead[None, :]]
    return found


def _thinned(moments: Integers, count: int) -> Integers:
    edges = np.linspace(0, len(moments), count + 1)
    draws = np.random.default_rng(THINNING_SEED).random(count)
    chosen = np.floor(edges[:-1] + draws * np.diff(edges)).astype(np.int64)
    return np.asarray(moments[np.unique(chosen)])
