"""AutoETS and AutoARIMA (statsforecast), fitted anew at every origin they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.evaluation.dataset import QUANTILES, DataSet
from ml.evaluation.peer import Absent
from ml.evaluation.splits import Origins
from ml.series import Floats

HISTORY = 300  # samples up to the origin that are fitted
ROWS, ARIMA_ROWS = 120, 60  # origins of a set
_LEVELS = [50, 90]
_COLUMNS = ("lo-90", "lo-50", "mean", "hi-50", "hi-90")  # of QUANTILES


@dataclass(frozen=True, slots=True)
class Statistical:
    """One of the automatic models, without a season: a day has 288 to 8,640 steps, which neither can fit.

    At each origin the order is chosen and the parameters are fitted on the last 300 samples (gaps
    interpolated); the model's own intervals give the quantiles.
    """

    name: str
    make: Callable[[], Any]
    seeded: bool = False
    max_rows: int | None = ROWS

    def fit(self, data: DataSet, seed: int) -> Statistical:
        """Nothing is learnt before the origin. Raises Absent without statsforecast."""
        self.make()
        return self

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """A fit per row."""
        longest = data.horizon_steps[-1]
        at = np.asarray(data.horizon_steps) - 1
        found = np.empty((len(origins), len(at), len(QUANTILES)))
        values = data.values
        for row, (series, index) in enumerate(zip(origins.series, origins.index, strict=True)):
            history = values[series, max(0, index - HISTORY + 1) : index + 1]
            found[row] = self._ahead(_filled(history), longest)[at]
        return np.sort(found, axis=-1)

    def _ahead(self, history: Floats, longest: int) -> Floats:
        if np.ptp(history) == 0:  # nothing to fit
            return np.full((longest, len(QUANTILES)), history[-1])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                ahead = self.make().forecast(y=history, h=longest, level=_LEVELS)
                found = np.stack([np.asarray(ahead[name]) for name in _COLUMNS], axis=1)
            except (ValueError, ZeroDivisionError, np.linalg.LinAlgError, FloatingPointError):
                found = np.full((longest, len(QUANTILES)), np.nan)
        # A fit that fails is answered as its users would: by the last value.
        return np.where(np.isfinite(found), found, history[-1])


def auto_ets() -> Statistical:
    """Exponential smoothing: error, trend and damping chosen by AICc."""
    return Statistical("ets", lambda: _models().AutoETS(season_length=1))


def auto_arima() -> Statistical:
    """ARIMA with stepwise choice of the order by AICc."""
    return Statistical(
        "autoarima", lambda: _models().AutoARIMA(season_length=1), max_rows=ARIMA_ROWS
    )


def _models() -> Any:
    try:
        from statsforecast import models
    except ImportError as error:
        raise Absent(
            f"statsforecast is not installed (pip install 'umbra[baselines]'): {error}"
        ) from error
    return models


def _filled(history: Floats) -> Floats:
    known = np.flatnonzero(np.isfinite(history))
    return np.interp(np.arange(len(history)), known, history[known])
