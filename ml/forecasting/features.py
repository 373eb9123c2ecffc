"""The one transform from windows to model inputs, for training and for serving alike.

Everything a tree sees is relative: differences from the present value in units of the window's own
mean absolute difference, logarithms, phases. Trees cannot extrapolate, so neither levels nor
times may be inputs or targets in absolute form. Each row depends on its own target alone (its window
and what the seasonal memory holds of it), hence a row has the same features whether it is one of
thousands in training or the only one in serving.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.calendars.events import events_on, log_factors, seconds_to_next_start
from ml.forecasting import (
    clock,
    companion_inputs,
    hour_inputs,
    queue_inputs,
    season_inputs,
    window_inputs,
)
from ml.forecasting.seasonal import SeasonalMemory
from ml.series import Floats
from ml.settings import Settings
from ml.windows import Windows

DECIMALS = 6
# An event without a factor has the factor 1: only that it is on tells it from none.
EVENT_NAMES = ("event_factor", "event_wait", "event_factor_then", "event_on", "event_on_then")
# Calendars are written out for two weeks: a training row of a week ago knows three ahead, serving two.
MOST_WAIT_S = 7 * 86_400.0


def names(settings: Settings) -> tuple[str, ...]:
    """The inputs, in order."""
    return (
        *window_inputs.NAMES,
        *clock.names(settings.step_s),
        *season_inputs.names(settings),
        *hour_inputs.NAMES,
        *(queue_inputs.NAMES if settings.queue else ()),
        *companion_inputs.names(settings),
        *EVENT_NAMES,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """inputs: shape (horizons, rows, len(names)). base: the value that a model's output of 0 means,
    (rows, horizons). unit: what an output of 1 adds, (rows, horizons), both in the metric's unit.
    last: the newest value, (rows,). usable: rows that a model may see, (rows,): their value is
    known now and not constant.
    """

    inputs: Floats
    base: Floats
    unit: Floats
    last: Floats
    usable: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.last)

    def select(self, rows: npt.NDArray[np.bool_]) -> Features:
        """The chosen rows; the features themselves when all are chosen."""
        if rows.all():
            return self
        return Features(
            self.inputs[:, rows],
            self.base[rows],
            self.unit[rows],
            self.last[rows],
            self.usable[rows],
        )


def features(windows: Windows, memory: SeasonalMemory, settings: Settings) -> Features:
    """The inputs of every row at every horizon. Times of day and weekdays are UTC."""
    ahead_s = np.asarray(settings.horizons_s, dtype=np.float64)
    steps = np.asarray(settings.horizon_steps, dtype=np.float64)
    seen = window_inputs.look(windows)
    unit = seen.scale[:, None] * np.sqrt(steps)
    wide = len(names(settings))
    inputs = np.empty((len(ahead_s), len(windows), wide))
    column = 0

    def put(block: Floats) -> None:
        """(rows, inputs) for all horizons alike, or (horizons, rows, inputs)."""
        nonlocal column
        # A matrix product of one row may differ from that of a thousand in its last bits: rounded off,
        # so that no split of a tree lies between two roundings of the same number.
        inputs[:, :, column : column + block.shape[-1]] = np.round(block, DECIMALS)
        column += block.shape[-1]

    put(window_inputs.inputs(seen))
    put(clock.inputs(windows.times_s, settings.step_s))
    put(season_inputs.inputs(windows, seen, memory, settings))
    put(hour_inputs.inputs(windows, seen, memory, settings))
    base = np.repeat(seen.last[:, None], len(ahead_s), axis=1)
    if settings.queue:
        block, base = queue_inputs.inputs(windows, seen, settings)
        put(block)
    if settings.companions:
        put(companion_inputs.inputs(windows, settings))
    calendar, targets = settings.calendar, windows.targets
    then_s = windows.times_s[:, None] + ahead_s[None, :]
    wait = seconds_to_next_start(calendar, targets, windows.times_s)
    events = np.empty((len(ahead_s), len(windows), len(EVENT_NAMES)))
    events[:, :, 0] = log_factors(calendar, targets, windows.times_s)
    events[:, :, 1] = np.where(wait > MOST_WAIT_S, np.nan, wait)
    events[:, :, 2] = log_factors(calendar, targets, then_s).T
    events[:, :, 3] = events_on(calendar, targets, windows.times_s)
    events[:, :, 4] = events_on(calendar, targets, then_s).T
    put(events)
    usable = np.isfinite(windows.values[:, -1]) & np.isfinite(seen.scale)
    return Features(inputs, base, unit, seen.last, usable)


def fingerprint(settings: Settings) -> str:
    """Identifies the inputs that a model was trained on; another fingerprint, another model."""
    text = repr(
        (
            settings.metric,
            names(settings),
            settings.horizons_s,
            settings.step_s,
            settings.lookback_steps,
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
