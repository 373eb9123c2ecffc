"""What a trained model learns while it serves: where its quantiles lie, and when not to trust it.

Two forecasts are made for every target and horizon: the model's, and persistence with a margin (the last
value, spread as changes were in training). Both are corrected by what came (`ml.forecasting.conformal`), and
both are scored. Where the model's recent loss exceeds persistence's, persistence serves, until the
model is better again; where only its median is worse, the last value takes the median's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.conformal import Conformal, Index
from ml.forecasting.outputs import Outputs
from ml.score import pinball
from ml.series import Floats

PATIENCE = 30.0  # outcomes before a model may be distrusted
MEMORY = 300.0  # outcomes over which losses are averaged
# The outcomes of a long horizon overlap, and thirty in a row are but one: so many times its steps at least.
PATIENCE_HORIZONS, MEMORY_HORIZONS = 10.0, 30.0
RELIEF = 0.98  # a distrusted model must be this much better to serve again


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """What training hands to serving. scores: first standard scores of the model's quantiles, and
    still_scores: of persistence's, both (horizons, quantiles). still_below, still_above:
    persistence's reaches in units, (horizons,). gain: steps of the corrections, (horizons,
    quantiles).
    """

    scores: Floats
    still_scores: Floats
    still_below: Floats
    still_above: Floats
    gain: Floats


class Online:
    """The state of all targets that one model serves. Not thread-safe."""

    def __init__(
        self, quantiles: Sequence[float], priors: Priors, horizon_steps: Sequence[int]
    ) -> None:
        self._quantiles = tuple(quantiles)
        steps = np.asarray(horizon_steps, dtype=np.float64)
        self._patience = np.maximum(PATIENCE, PATIENCE_HORIZONS * steps)
        self._remembered = np.maximum(MEMORY, MEMORY_HORIZONS * steps)
        self._priors = priors
        self._model = Conformal(quantiles, priors.scores, priors.gain)
        self._still = Conformal(quantiles, priors.still_scores, priors.gain)
        self._rows: dict[str, int] = {}
        horizons = len(priors.gain)
        self._middle = self._quantiles.index(0.5) if 0.5 in self._quantiles else None
        self._loss = np.zeros((0, 2, horizons))  # of model and persistence
        self._error = np.zeros((0, 2, horizons))  # alike, of the medians
        self._count = np.zeros((0, horizons))
        self._trusted = np.ones((0, horizons), dtype=np.bool_)
        self._centred = np.ones((0, horizons), dtype=np.bool_)  # whose median is the model's

    @property
    def size(self) -> int:
        """Targets ever seen."""
        return len(self._rows)

    def index(self, targets: Sequence[str]) -> Index:
        """The rows of these targets; new ones are made."""
        for target in targets:
            if target not in self._rows:
                self._rows[target] = len(self._rows)
        missing = len(self._rows) - len(self._count)
        if missing > 0:
            room = max(missing, len(self._count))
            horizons = self._count.shape[1]
            self._loss = np.concatenate([self._loss, np.zeros((room, 2, horizons))])
            self._error = np.concatenate([self._error, np.zeros((room, 2, horizons))])
            self._centred = np.concatenate([self._centred, np.ones((room, horizons), np.bool_)])
            self._count = np.concatenate([self._count, np.zeros((room, horizons))])
            self._trusted = np.concatenate([self._trusted, np.ones((room, horizons), np.bool_)])
            self._model.grow(len(self._count))
            self._still.grow(len(self._count))
        return np.array([self._rows[target] for target in targets], dtype=np.int64)

    def persistence(self, base: Floats, last: Floats, unit: Floats) -> Outputs:
        """Persistence with a margin relative to the base, in units. base, unit: (rows, horizons)."""
        median = (last[:, None] - base) / unit
        return Outputs(
            median,
            np.broadcast_to(self._priors.still_below, median.shape),
            np.broadcast_to(self._priors.still_above, median.shape),
        )

    def serve(
        self, index: Index, made: Outputs, still: Outputs
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Quantiles in units, (rows, horizons, quantiles), and where they are the model's.

        made: the model's outputs, still: `persistence`, both (rows, horizons).
        """
        trusted = self._trusted[index]
        served = made.levels(self._model.scores(index))
        if not trusted.all():
            instead = still.levels(self._still.scores(index))
            served = np.where(trusted[:, :, None], served, instead)
        centred = self._centred[index]
        if self._middle is not None and not centred.all():
            middle = served[:, :, self._middle]
            served[:, :, self._middle] = np.where(centred, middle, still.median)
            served.sort(axis=-1)
        return served, trusted

    def learn(
        self, index: Index, horizon: int, made: Outputs, still: Outputs, outcome: Floats
    ) -> None:
        """What came of both forecasts of one horizon. made, still: (rows,), as given to `serve`.

        outcome: (rows,), in units; unknown ones (NaN) teach nothing.
        """
        known = np.isfinite(outcome)
        if not known.any():
            return
        if not known.all():
            index, outcome = index[known], outcome[known]
            made, still = made.select(known), still.select(known)
        losses, errors = np.empty((len(index), 2)), np.empty((len(index), 2))
        for place, (one, by) in enumerate(((made, self._model), (still, self._still))):
            said = one.levels(by.of(index, horizon))
            losses[:, place] = pinball(outcome, said, self._quantiles)
            errors[:, place] = np.abs(outcome - one.median)
            by.learn(index, horizon, one.scores(outcome))
        count = self._count[index, horizon] + 1.0
        self._count[index, horizon] = count
        for kept, found, better in (
            (self._loss, losses, self._trusted),
            (self._error, errors, self._centred),
        ):
            before = kept[index, :, horizon]
            after = (
                before + (found - before) / np.minimum(count, self._remembered[horizon])[:, None]
            )
            kept[index, :, horizon] = after
            bound = np.where(better[index, horizon], 1.0, RELIEF)
            better[index, horizon] = (after[:, 0] <= bound * after[:, 1]) | (
                count < self._patience[horizon]
            )
