"""What a forecaster must offer to be compared."""

from __future__ import annotations

from typing import Protocol

from ml.evaluation.dataset import DataSet
from ml.evaluation.splits import Origins
from ml.series import Floats


class Absent(RuntimeError):
    """A peer cannot run here. The message says why, and what would let it run."""


class Fitted(Protocol):
    """A forecaster that has learnt what it will from the training and the calibration part."""

    def predict(self, data: DataSet, origins: Origins) -> Floats:
        """Quantile forecasts, shape (rows, horizons, quantiles of `dataset.QUANTILES`), non-decreasing
        in the quantile, in the series' units.

        Row i may use samples up to origin i, of all series, and nothing later.
        """
        ...


class Peer(Protocol):
    """name: in tables. seeded: whether the seed changes anything; if not, one run is enough.

    max_rows: how many origins of a set it is asked for (None: all). A slow peer is compared on an
    evenly thinned subset, on which the others are then measured too.
    """

    @property
    def name(self) -> str: ...

    @property
    def seeded(self) -> bool: ...

    @property
    def max_rows(self) -> int | None: ...

    def fit(self, data: DataSet, seed: int) -> Fitted:
        """Learn from samples up to the end of the calibration part. Raises Absent."""
        ...
