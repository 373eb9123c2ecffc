"""The trees of one horizon: a median, and the outer quantiles of what is left around it.

Five quantiles need three forests so, not five, and they cannot cross. Where exactly the levels lie in
between is found on data that the trees have not seen, and followed in service (`ml.forecasting.conformal`): a
locally weighted conformal forecast (Lei et al., "Distribution-free predictive inference for
regression", 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from ml.series import Floats
from ml.settings import Settings

OUTER = 0.08  # the lower side's level, and the upper side's distance from 1
SIDE_RATE = 0.2  # learning rate of the sides
LEAST_REACH = 0.02  # of the mean absolute residual: no reach is narrower
LEAF_ROWS = 50
WITHIN = 0.99  # of the outcomes count with what they are, those beyond with as much as these
WITHIN_SIDES = 0.995
SIDE_ROWS = 30_000  # for the sides, which need fewer
ROWS_PER_LEAF = 1000  # a small history affords small trees only
LEAST_LEAVES = 12
NETWORK_SHARE = 0.4  # of `ml.forecasting.network` in the median
FEATURE_SHARE = 0.3  # of the inputs are looked at for a split: quicker, and no worse


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Three estimators of outputs in units. least: the narrowest reach, most: the largest median
    on either side, both in units.
    """

    median: HistGradientBoostingRegressor
    lower: HistGradientBoostingRegressor
    upper: HistGradientBoostingRegressor
    least: float
    most: float

    def outputs(self, inputs: Floats, beside: Floats) -> tuple[Floats, Floats, Floats]:
        """inputs: (rows, inputs). beside: the network's medians, (rows,).

        Median, reach below and reach above, each (rows,).
        """
        median = np.clip(blended(self.median.predict(inputs), beside), -self.most, self.most)
        below = np.maximum(-self.lower.predict(inputs), self.least)
        above = np.maximum(self.upper.predict(inputs), self.least)
        return median, below, above


def blended(median: Floats, beside: Floats) -> Floats:
    """The trees' median with the network's share in it."""
    return np.asarray((1.0 - NETWORK_SHARE) * median + NETWORK_SHARE * beside)


def grow(inputs: Floats, outcome: Floats, beside: Floats, settings: Settings, seed: int) -> Forest:
    """inputs: (rows, inputs). outcome: (rows,), in units, all known. beside: the network's medians,
    (rows,), which have their share in the median that the sides stand on.
    """
    leaves = _leaves(len(inputs), settings)
    median = _estimator("absolute_error", None, settings.iterations, leaves, settings, seed)
    # A series that woke after hours of stillness moves by a thousand of its units: a leaf of such
    # rows would forecast as much for one whose unit is large.
    most = float(np.quantile(np.abs(outcome), WITHIN)) + 1e-9
    median.fit(inputs, np.clip(outcome, -most, most))
    residual = outcome - np.clip(blended(median.predict(inputs), beside), -most, most)
    least = LEAST_REACH * float(np.abs(residual).mean()) + 1e-9
    widest = float(np.quantile(np.abs(residual), WITHIN_SIDES)) + 1e-9
    residual = np.clip(residual, -widest, widest)
    if len(inputs) > SIDE_ROWS:
        some = np.random.default_rng(seed).choice(len(inputs), SIDE_ROWS, replace=False)
        inputs, residual = inputs[some], residual[some]
    leaves = _leaves(len(inputs), settings)
    lower, upper = (
        _estimator("quantile", level, settings.side_iterations, leaves, settings, seed)
        for level in (OUTER, 1.0 - OUTER)
    )
    return Forest(median, lower.fit(inputs, residual), upper.fit(inputs, residual), least, most)


def _leaves(rows: int, settings: Settings) -> int:
    return int(np.clip(rows // ROWS_PER_LEAF, LEAST_LEAVES, settings.leaves))


def _estimator(
    loss: str,
    level: float | None,
    iterations: int,
    leaves: int,
    settings: Settings,
    seed: int,
) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss=loss,
        quantile=level,
        max_iter=iterations,
        max_leaf_nodes=leaves,
        learning_rate=settings.learning_rate if level is None else SIDE_RATE,
        min_samples_leaf=LEAF_ROWS,
        max_features=FEATURE_SHARE,
        max_bins=127,
        early_stopping=False,
        random_state=seed,
    )
