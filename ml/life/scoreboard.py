"""Forecasts of several models for the same moments, and what came: losses in blocks.

A block takes forecasts for two longest horizons, then waits for their outcomes, one longest horizon
more, in which nothing is taken: every outcome of a block is known before the next block's first forecast is
made, so that differences between models may be tested block by block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.forecast import Forecast
from ml.score import pinball
from ml.series import Floats

HORIZONS_PER_BLOCK = 2.0
ORIGINS_PER_BLOCK = 32  # at most: more forecasts of the same minutes tell little more


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What one block gave. loss: model → mean pinball loss, shape (targets, horizons), NaN where
    nothing was compared; error: model → mean absolute error of the median, likewise. still: mean
    absolute error of "it stays as it is". inside: model → share of outcomes within the outermost
    quantiles. outcomes: compared values, shape (targets, horizons).
    """

    begin_s: float
    end_s: float
    targets: tuple[str, ...]
    loss: Mapping[str, Floats]
    error: Mapping[str, Floats]
    inside: Mapping[str, Floats]
    still: Floats
    outcomes: Floats

    @property
    def compared(self) -> int:
        """Outcomes compared."""
        return int(self.outcomes.sum())


@dataclass(slots=True, eq=False)
class _Origin:
    """made_s; rows: of its targets; last: their values then; values: model → (n, horizons, quantiles),
    in single precision (a thousand targets wait in some MB); open: horizons whose outcome is to come.
    """

    made_s: float
    rows: list[int]
    last: Floats
    values: dict[str, npt.NDArray[np.float32]]
    open: set[int]


class Scoreboard:
    """Call `observe` and then `add` once a cycle. One set of horizons, quantiles and step for all."""

    def __init__(
        self, horizons_s: Sequence[float], quantiles: Sequence[float], step_s: float
    ) -> None:
        self._horizons_s = tuple(horizons_s)
        self._quantiles = tuple(quantiles)
        self._middle = int(np.argmin(np.abs(np.asarray(quantiles) - 0.5)))
        self._step_s = step_s
        self.block_s = HORIZONS_PER_BLOCK * self._horizons_s[-1]
        self._every_s = max(step_s, self.block_s / ORIGINS_PER_BLOCK)
        self._begin([], float("nan"))

    def _begin(self, models: Sequence[str], now_s: float) -> None:
        self._models = tuple(models)
        self._begin_s = now_s
        self._last_s = float("-inf")
        self._rows: dict[str, int] = {}
        self._pending: list[_Origin] = []
        wide = len(self._horizons_s)
        self._sums = {model: np.zeros((0, 3, wide)) for model in self._models}
        self._still = np.zeros((0, wide))
        self._outcomes = np.zeros((0, wide))

    def add(
        self,
        now_s: float,
        values: Mapping[str, float],
        forecasts: Mapping[str, Mapping[str, Forecast]],
    ) -> None:
        """The forecasts of this cycle, by model and target, with the values known now.

        Another set of models, or a clock set back, begins a new block.
        """
        if set(forecasts) != set(self._models) or not self._begin_s <= now_s:
            self._begin(list(forecasts), now_s)
        if not self._models or now_s >= self._begin_s + self.block_s:
            return
        if now_s < self._last_s + self._every_s - self._step_s / 2:
            return
        first = forecasts[self._models[0]]
        targets = [
            target
            for target in first
            if np.isfinite(values.get(target, np.nan))
            and all(target in forecasts[model] for model in self._models)
        ]
        if not targets:
            return
        self._last_s = now_s
        self._grow(targets)
        self._pending.append(
            _Origin(
                now_s,
                [self._rows[target] for target in targets],
                np.array([values[target] for target in targets]),
                {
                    model: np.array(
                        [forecasts[model][target].values for target in targets], dtype=np.float32
                    )
                    for model in self._models
                },
                set(range(len(self._horizons_s))),
            )
        )

    def observe(self, now_s: float, values: Mapping[str, float]) -> Block | None:
        """What is so now. Returns the block that this completes, if it does."""
        if self._pending:
            known = np.full(len(self._rows), np.nan)
            for target, row in self._rows.items():
                known[row] = values.get(target, np.nan)
            for origin in self._pending:
                for index in sorted(origin.open):
                    late_s = now_s - origin.made_s - self._horizons_s[index]
                    if late_s >= -self._step_s / 2:
                        origin.open.discard(index)
                        if late_s <= self._step_s:
                            self._compare(origin, index, known[origin.rows])
            self._pending = [origin for origin in self._pending if origin.open]
        over_s = self._begin_s + self.block_s + self._horizons_s[-1] + self._step_s
        if not self._models or not now_s >= over_s:
            return None
        block = self._block(now_s) if self._outcomes.sum() else None
        self._begin(self._models, now_s)
        return block

    def _grow(self, targets: Sequence[str]) -> None:
        for target in targets:
            self._rows.setdefault(target, len(self._rows))
        more = len(self._rows) - len(self._outcomes)
        if more > 0:
            wide = len(self._horizons_s)
            rows = np.zeros((more, wide))
            self._still = np.vstack([self._still, rows])
            self._outcomes = np.vstack([self._outcomes, rows])
            parts = np.zeros((more, 3, wide))
            self._sums = {m: np.concatenate([own, parts]) for m, own in self._sums.items()}

    def _compare(self, origin: _Origin, index: int, actual: Floats) -> None:
        known = np.isfinite(actual)
        rows = np.asarray(origin.rows)[known]
        actual = actual[known]
        self._outcomes[rows, index] += 1
        self._still[rows, index] += np.abs(actual - origin.last[known])
        for model, sums in self._sums.items():
            values = origin.values[model][known, index].astype(np.float64)
            sums[rows, 0, index] += pinball(actual, values, self._quantiles)
            sums[rows, 1, index] += np.abs(actual - values[:, self._middle])
            sums[rows, 2, index] += (actual >= values[:, 0]) & (actual <= values[:, -1])

    def _block(self, now_s: float) -> Block:
        number = np.where(self._outcomes > 0, self._outcomes, np.nan)
        means = {model: sums / number[:, None, :] for model, sums in self._sums.items()}
        return Block(
            self._begin_s,
            now_s,
            tuple(self._rows),
            {model: own[:, 0] for model, own in means.items()},
            {model: own[:, 1] for model, own in means.items()},
            {model: own[:, 2] for model, own in means.items()},
            self._still / number,
            self._outcomes,
        )
