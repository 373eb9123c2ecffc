"""A detector of ramps: demand on its way, in a line, to a limit that ordinary days stay below.

Beside the crossing classifier, with a share of its own of the budget of false alarms: the classifier asks how
ordinary days cross ordinary limits, this one what sets a ramp apart from them. It learns from ramps
added to recorded days (`ml.evaluation.breaches.ramp_injection`), and from the same days without.
"""

from __future__ import annotations

import numpy as np

from ml.breaches.crossing import CrossingModel, Member, fit_crossing
from ml.breaches.crossing_inputs import Ints, crossing_inputs
from ml.breaches.ramp_inputs import COLUMNS, ramp_inputs
from ml.series import Floats, Series

MEMBERS = (Member(False, 100, 15, 60), Member(True, 100, 15, 60), Member(False, 100, 15, 60))


def detector_inputs(
    series: Series, ends: Ints, limit: float, horizon: int, step_s: float
) -> Floats:
    """What the detector sees at the samples `ends`, (ends, columns), float32; horizon: steps."""
    values, shape = series.values, (limit, horizon, step_s)
    parts = (
        crossing_inputs(values, series.times_s, ends, *shape),
        ramp_inputs(values, ends, *shape),
    )
    return np.concatenate(parts, axis=1).astype(np.float32)


def fit_ramp(inputs: Floats, crossed: np.ndarray, seed: int = 0) -> CrossingModel:
    """Train on rows of `detector_inputs`, (rows, columns), and whether the limit was crossed within the
    horizon, (rows,). Errors as of `ml.breaches.crossing.fit_crossing`.
    """
    return fit_crossing(inputs, crossed, seed, more=COLUMNS, members=MEMBERS)
