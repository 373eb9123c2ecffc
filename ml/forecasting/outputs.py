"""A forecast's centre and how far the outcome may stray to either side: from these come quantiles.

Level a lies at median + s·reach with a standard score s, negative on the lower side, whose reach
is `below`. Scores ascend with the level, so that quantiles never cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.series import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """median, below, above: alike in shape, (rows, horizons) or (rows,); the reaches positive."""

    median: Floats
    below: Floats
    above: Floats

    def levels(self, scores: Floats) -> Floats:
        """The values at standard scores: shape of the median, and one axis more for the levels."""
        reach = np.where(scores > 0, self.above[..., None], self.below[..., None])
        return np.asarray(self.median[..., None] + scores * reach)

    def scores(self, outcome: Floats) -> Floats:
        """The standard scores of outcomes, NaN where they are."""
        error = outcome - self.median
        return np.asarray(error / np.where(error > 0, self.above, self.below))

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> Outputs:
        """The chosen rows."""
        return Outputs(self.median[rows], self.below[rows], self.above[rows])

    def horizon(self, horizon: int) -> Outputs:
        """One horizon, arrays of shape (rows,)."""
        return Outputs(self.median[:, horizon], self.below[:, horizon], self.above[:, horizon])
