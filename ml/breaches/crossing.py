"""Will a limit be crossed within the horizon? A direct classifier, one for all series of a metric.

A forecast gives the chance of being above a limit at one moment; what counts is the chance of being above it
at any moment of the horizon. Four members look at the same inputs (boosted trees on all columns, on the
short ones, small trees, a logistic regression on clipped inputs), each boosted one at half of the rows and, at each
split, half of the columns; the mean of their log odds is steadier than the best of them on short
histories. It is recalibrated on data that follow the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from ml.breaches.crossing_inputs import DIRECTIONS, NAMES, SHORT_COLUMNS
from ml.breaches.recalibration import IDENTITY, Recalibration, recalibrate
from ml.series import Floats

Bools = npt.NDArray[np.bool_]
MIN_CROSSINGS = 20
CLIP = 5.0  # standard deviations beyond which an input tells a line nothing more
_THREADS = ThreadpoolController()


@dataclass(frozen=True, slots=True)
class Member:
    """A boosted member: whether it sees the short columns alone, and how it grows."""

    short: bool
    iterations: int
    leaves: int
    least_leaf: int


MEMBERS = (
    Member(False, 90, 15, 60),
    Member(True, 90, 15, 60),
    Member(False, 120, 6, 200),
)
RATE, COLUMN_SHARE, BINS = 0.1, 0.5, 64
ROW_SHARE, MIN_ROWS = 0.5, 10_000  # that each member sees: half, but of few rows all


@dataclass(frozen=True, slots=True, eq=False)
class CrossingModel:
    """names: the inputs, `ml.breaches.crossing_inputs.NAMES` and what was given beside them. trees: boosted
    classifiers, and the columns that each sees. columns, centre, spread, weights, offset: the
    logistic member. recalibration: of the mean, fitted on calibration data.
    """

    names: tuple[str, ...]
    trees: tuple[HistGradientBoostingClassifier, ...]
    tree_columns: tuple[tuple[int, ...], ...]
    columns: tuple[int, ...]
    centre: Floats
    spread: Floats
    weights: Floats
    offset: float
    recalibration: Recalibration

    def raw(self, inputs: Floats) -> Floats:
        """Before recalibration: inputs (rows, columns) → probabilities (rows,)."""
        odds = [self.logistic(inputs)]
        with _THREADS.limit(limits=1):
            for tree, columns in zip(self.trees, self.tree_columns, strict=True):
                odds.append(np.asarray(tree.decision_function(inputs[:, columns])))
        mean = np.mean(odds, axis=0)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(mean, -30.0, 30.0))))

    def logistic(self, inputs: Floats) -> Floats:
        """The logistic member's log odds, (rows,)."""
        scaled = (inputs[:, self.columns] - self.centre) / self.spread
        return np.asarray(np.nan_to_num(np.clip(scaled, -CLIP, CLIP)) @ self.weights + self.offset)

    def probability(self, inputs: Floats) -> Floats:
        """Calibrated probabilities that the limit is crossed within the horizon, (rows,)."""
        return self.recalibration.apply(self.raw(inputs))

    def recalibrated(self, inputs: Floats, crossed: Bools) -> CrossingModel:
        """The same model, recalibrated on other data. inputs: (rows, columns); crossed: (rows,)."""
        return CrossingModel(
            self.names,
            self.trees,
            self.tree_columns,
            self.columns,
            self.centre,
            self.spread,
            self.weights,
            self.offset,
            recalibrate(self.raw(inputs), crossed),
        )


def fit_crossing(
    inputs: Floats,
    crossed: Bools,
    seed: int = 0,
    *,
    more: Sequence[tuple[str, int]] = (),
    members: Sequence[Member] = MEMBERS,
) -> CrossingModel:
    """Train on rows of `ml.breaches.crossing_inputs.crossing_inputs`; deterministic for a seed.

    inputs: (rows, columns), NaN = unknown; crossed: (rows,). more: (name, direction) of further columns after
    those of `NAMES`, such as margins of a forecast. members: the boosted ones. Raises ValueError
    with fewer than 20 rows that crossed, or that did not.
    """
    names = NAMES + tuple(name for name, _ in more)
    directions = np.array(DIRECTIONS + tuple(direction for _, direction in more))
    if inputs.shape[1] != len(names):
        raise ValueError(
            f"{inputs.shape[1]} columns instead of {len(names)}: name the others in `more`"
        )
    if min(int(crossed.sum()), int((~crossed).sum())) < MIN_CROSSINGS:
        raise ValueError(
            f"{int(crossed.sum())} of {len(crossed)} rows crossed: a classifier needs at least "
            f"{MIN_CROSSINGS} that did and as many that did not; use more history or lower limits"
        )
    telling = [column for column in range(len(names)) if _tells(inputs[:, column])]
    short = [column for column in telling if column < SHORT_COLUMNS or column >= len(NAMES)]
    trees, tree_columns = [], []
    share = max(ROW_SHARE, MIN_ROWS / len(crossed))
    with _THREADS.limit(limits=1):
        for number, member in enumerate(members):
            columns = short if member.short else telling
            mine = np.random.default_rng([seed, number]).random(len(crossed)) < share
            if len(np.unique(crossed[mine])) < 2:  # by chance no crossing at all among few
                mine[:] = True
            tree = HistGradientBoostingClassifier(
                max_iter=member.iterations,
                learning_rate=RATE,
                max_leaf_nodes=member.leaves,
                min_samples_leaf=min(member.least_leaf, max(5, len(crossed) // 50)),
                l2_regularization=1.0,
                max_features=COLUMN_SHARE,
                max_bins=BINS,
                early_stopping=False,
                monotonic_cst=directions[columns],
                random_state=seed,
            )
            trees.append(tree.fit(inputs[mine][:, columns], crossed[mine]))
            tree_columns.append(tuple(columns))
        centre = np.nanmean(inputs[:, telling], axis=0)
        spread = np.nanstd(inputs[:, telling], axis=0) + 1e-9
        scaled = np.nan_to_num(np.clip((inputs[:, telling] - centre) / spread, -CLIP, CLIP))
        line = LogisticRegression(C=0.1, tol=1e-3, max_iter=300).fit(scaled, crossed)
    return CrossingModel(
        names,
        tuple(trees),
        tuple(tree_columns),
        tuple(telling),
        centre,
        spread,
        np.asarray(line.coef_[0], dtype=np.float64),
        float(line.intercept_[0]),
        IDENTITY,
    )


def _tells(column: Floats) -> bool:
    """Whether a column has at least three different known values."""
    known = column[np.isfinite(column)]
    return len(known) > 0 and len(np.unique(known[:20_000])) > 2
