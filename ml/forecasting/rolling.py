"""What a forecaster would have said at every step of a recorded history, many steps at a time.

The same as calling `Forecaster.predict` at each step, online corrections included, but the model is run on
thousands of rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.forecasting.boosting import TrainedModel
from ml.forecasting.cold import cold_forecast
from ml.forecasting.features import Features, features
from ml.forecasting.forecaster import WARM_SAMPLES
from ml.forecasting.online import Online
from ml.forecasting.outputs import Outputs
from ml.forecasting.seasonal import SeasonalMemory, memory_of
from ml.series import Floats, Series
from ml.windows import Windows, rolling, stacked

BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """times_s: of the origins, shape (moments,). values: (moments, targets, horizons, quantiles), NaN
    where a target has no value within the window. boosted: (moments, targets, horizons), whether
    the trained model serves.
    """

    times_s: Floats
    values: Floats
    boosted: npt.NDArray[np.bool_]


def roll(model: TrainedModel, series: Sequence[Series], start_s: float, end_s: float) -> Rolled:
    """Forecasts from every sample time in [start_s, end_s], each from what was known then.

    series: all on the same regular grid of the model's step. Online learning begins at start_s: begin
    some days before what is to be judged. Raises ValueError for series on different grids.
    """
    times = series[0].times_s
    if any(len(one) != len(times) or (one.times_s != times).any() for one in series):
        raise ValueError("roll: the series must be on one grid; resample them first")
    settings = model.settings
    moments = np.flatnonzero((times >= start_s) & (times <= end_s))
    memory = memory_of(series, settings.step_s)
    horizons, levels = len(settings.horizons_s), len(settings.quantiles)
    shape = (len(moments), len(series), horizons, levels)
    values = np.full(shape, np.nan, dtype=np.float64)
    boosted = np.zeros(shape[:3], dtype=np.bool_)
    online = Online(settings.quantiles, model.priors, settings.horizon_steps)
    index = online.index([one.target for one in series])
    actual = np.stack([one.values for one in series], axis=1)  # (steps, targets)
    learner = _Learner(model, online, index, actual, int(moments[0]) if len(moments) else 0)
    each = max(1, BLOCK_ROWS // len(series))
    for begin in range(0, len(moments), each):
        block = moments[begin : begin + each]
        made = _Block.of(model, series, memory, block)
        for offset, moment in enumerate(block):
            learner.settle(int(moment))
            served, trusted = learner.serve(int(moment), made, offset)
            values[begin + offset] = served
            boosted[begin + offset] = trusted
    return Rolled(times[moments], values, boosted)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Per moment and target: the windows' features, the model's outputs, and whether it may serve;
    the cold-start model's values where it may not.
    """

    inputs: Features
    made: Outputs
    fitting: npt.NDArray[np.bool_]
    cold: Floats
    targets: int

    @classmethod
    def of(
        cls,
        model: TrainedModel,
        series: Sequence[Series],
        memory: SeasonalMemory,
        moments: npt.NDArray[np.int64],
    ) -> _Block:
        settings = model.settings
        parts = [rolling(one, settings.lookback_steps, moments) for one in series]
        # Rows moment by moment, so that a moment's targets lie together.
        order = np.arange(len(series) * len(moments)).reshape(len(series), -1).T.ravel()
        windows = stacked(parts).select(order)
        inputs = features(windows, memory, settings)
        known = np.isfinite(windows.values)
        fitting = inputs.usable & (known.sum(axis=1) >= WARM_SAMPLES)
        fitting = fitting & model.knows(inputs) if model.forests else np.zeros_like(fitting)
        shape = (len(windows), len(settings.horizons_s))
        made = Outputs(*(np.full(shape, np.nan) for _ in range(3)))
        if fitting.any():
            found = model.outputs(inputs.select(fitting))
            made.median[fitting] = found.median
            made.below[fitting] = found.below
            made.above[fitting] = found.above
        cold = np.full((*shape, len(settings.quantiles)), np.nan)
        rows = np.flatnonzero(~fitting & known.any(axis=1))
        if len(rows):
            cold[rows] = _cold(windows.select(rows), model)
        return cls(inputs, made, fitting, cold, len(series))


def _cold(windows: Windows, model: TrainedModel) -> Floats:
    # A missing newest sample is a window that ends before: the age of the last known one counts.
    return cold_forecast(windows, np.zeros(len(windows)), model.settings)[0]


class _Learner:
    """Online learning along the moments of a replay."""

    def __init__(
        self,
        model: TrainedModel,
        online: Online,
        index: npt.NDArray[np.int64],
        actual: Floats,
        first: int,
    ) -> None:
        self._steps = model.settings.horizon_steps
        self._online = online
        self._index = index
        self._actual = actual
        self._first = first
        longest = self._steps[-1] + 1
        targets, horizons = len(index), len(self._steps)
        self._ring = longest
        self._made = np.full((3, longest, targets, horizons), np.nan)
        self._last = np.full((longest, targets), np.nan)
        self._base = np.full((longest, targets, horizons), np.nan)
        self._unit = np.full((longest, targets, horizons), np.nan)

    def settle(self, moment: int) -> None:
        """Learn from what came at this moment."""
        for horizon, steps in enumerate(self._steps):
            origin = moment - steps
            if origin < self._first:
                continue
            slot = origin % self._ring
            made = np.isfinite(self._unit[slot, :, horizon])
            if not made.any():
                continue
            outcome = (self._actual[moment] - self._base[slot, :, horizon]) / self._unit[
                slot, :, horizon
            ]
            self._online.learn(
                self._index[made],
                horizon,
                Outputs(*self._made[:, slot, made, horizon]),
                self._still(slot, made).horizon(horizon),
                outcome[made],
            )

    def serve(
        self, moment: int, block: _Block, offset: int
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Values of all targets, (targets, horizons, quantiles), and where they are the model's."""
        rows = slice(offset * block.targets, (offset + 1) * block.targets)
        slot = moment % self._ring
        values = block.cold[rows].copy()
        boosted = np.zeros(values.shape[:2], dtype=np.bool_)
        self._unit[slot] = np.nan
        fitting = block.fitting[rows]
        if not fitting.any():
            return values, boosted
        inputs, made = block.inputs, block.made.select(rows).select(fitting)
        base, unit = inputs.base[rows][fitting], inputs.unit[rows][fitting]
        self._made[:, slot, fitting] = made.median, made.below, made.above
        self._base[slot, fitting], self._unit[slot, fitting] = base, unit
        self._last[slot, fitting] = inputs.last[rows][fitting]
        still = self._still(slot, fitting)
        served, trusted = self._online.serve(self._index[fitting], made, still)
        values[fitting] = np.maximum(base[:, :, None] + served * unit[:, :, None], 0.0)
        boosted[fitting] = trusted
        return values, boosted

    def _still(self, slot: int, targets: npt.NDArray[np.bool_]) -> Outputs:
        return self._online.persistence(
            self._base[slot, targets], self._last[slot, targets], self._unit[slot, targets]
        )
