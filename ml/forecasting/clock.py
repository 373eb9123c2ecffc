"""Model inputs from the time: where in the minute, hour, day and week a moment lies, in UTC."""

from __future__ import annotations

import numpy as np

from ml.series import Floats

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0
PERIODS = (("minute", 60.0), ("five_minutes", 300.0), ("quarter", 900.0), ("hour", 3600.0))


def names(step_s: float) -> tuple[str, ...]:
    """Phases of the periods that are longer than a step, and the day and the week."""
    phases = tuple(f"{name}_phase" for name, period_s in PERIODS if period_s >= 2 * step_s)
    return (*phases, "day_phase", "day_sine", "day_cosine", "weekday")


def unheard(step_s: float, span_s: float) -> tuple[str, ...]:
    """The names of phases that a history of this span has not heard twice.

    In a week's history a weekday is but a date: a model that learns from it extrapolates it.
    """
    short = [f"{name}_phase" for name, period_s in PERIODS if span_s < 2 * period_s]
    if span_s < 2 * DAY_S:
        short += ["day_phase", "day_sine", "day_cosine"]
    if span_s < 2 * WEEK_S:
        short.append("weekday")
    return tuple(name for name in short if name in names(step_s))


def inputs(times_s: Floats, step_s: float) -> Floats:
    """Shape (rows, len(names(step_s)))."""
    columns = [(times_s % period_s) / period_s for _, period_s in PERIODS if period_s >= 2 * step_s]
    day = (times_s % DAY_S) / DAY_S
    weekday = (np.floor(times_s / DAY_S) + _EPOCH_WEEKDAY) % 7
    columns += [day, np.sin(2 * np.pi * day), np.cos(2 * np.pi * day), weekday]
    return np.stack(columns, axis=1)
