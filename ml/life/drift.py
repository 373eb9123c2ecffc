"""Whether the world is still the one that a model was trained in: its inputs, and its errors.

Inputs: the population stability index (PSI) of every input between the training rows and recent ones,
the mean over inputs. A few hours never look like a whole week, so the usual limit of 0.25 is only a floor:
the limit is what stretches of the same length, cut from the training rows themselves, have reached.

Errors: Page-Hinkley on the logarithm of the model's loss relative to persistence's. A busier day makes
both larger; a model that no longer fits makes only its own larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ml.series import Floats

BINS = 10
CHUNKS = 8  # recent inputs are compared over a stretch as long as an eighth of the training span
PSI_FLOOR = 0.25  # above it a population is usually held to have changed
MARGIN = 1.25  # over the largest PSI that a stretch of the training rows had
MIN_SHARE = 1e-3  # of an empty bin, so that the logarithm stays finite
MIN_ROWS = 100
WORST = 3


@dataclass(frozen=True, slots=True, eq=False)
class InputReference:
    """What the inputs looked like in training.

    names: of the inputs. edges: shape (inputs, BINS - 1), ascending. shares: shape
    (inputs, BINS + 1), of the training rows per bin, the last of rows where the input is unknown.
    limit: PSI above which recent inputs have drifted. span_s: of the training rows.
    """

    names: tuple[str, ...]
    edges: Floats
    shares: Floats
    limit: float
    span_s: float

    @property
    def stretch_s(self) -> float:
        """How long a stretch of recent inputs should be compared, in seconds."""
        return self.span_s / CHUNKS


@dataclass(frozen=True, slots=True)
class InputDrift:
    """psi: mean over the inputs. worst: the inputs that changed most, with their own PSI."""

    psi: float
    limit: float
    rows: int
    worst: tuple[tuple[str, float], ...]

    @property
    def drifted(self) -> bool:
        """Whether the inputs are no longer those of the training."""
        return self.psi > self.limit


def reference(inputs: Floats, times_s: Floats, names: Sequence[str]) -> InputReference:
    """The reference of training rows. inputs: shape (rows, inputs), NaN where unknown. times_s: of
    the rows, any order. ValueError with fewer than MIN_ROWS rows.
    """
    if len(inputs) < MIN_ROWS:
        raise ValueError(f"{len(inputs)} rows are too few for a reference: {MIN_ROWS} or more")
    levels = np.linspace(0, 1, BINS + 1)[1:-1]
    # An input that was never known has no edges; all its rows are in the last bin.
    known = np.isfinite(inputs).any(axis=0)
    edges = np.zeros((inputs.shape[1], BINS - 1))
    if known.any():
        edges[known] = np.nanquantile(inputs[:, known], levels, axis=0).T
    whole = InputReference(tuple(names), edges, _shares(inputs, edges), PSI_FLOOR, 0.0)
    begin_s, end_s = float(times_s.min()), float(times_s.max())
    parts = np.minimum((times_s - begin_s) * CHUNKS / max(end_s - begin_s, 1e-9), CHUNKS - 1)
    seen = [
        _psi(whole.shares, _shares(inputs[rows], edges)).mean()
        for part in range(CHUNKS)
        if (rows := parts.astype(np.int64) == part).sum() >= MIN_ROWS // 2
    ]
    limit = max(PSI_FLOOR, MARGIN * float(max(seen, default=0.0)))
    return replace(whole, limit=limit, span_s=end_s - begin_s)


def input_drift(known: InputReference, inputs: Floats) -> InputDrift | None:
    """How far recent inputs, shape (rows, inputs), are from the reference; None when there are
    fewer than MIN_ROWS rows or other inputs than the reference's.
    """
    if len(inputs) < MIN_ROWS or inputs.shape[1] != len(known.names):
        return None
    each = _psi(known.shares, _shares(inputs, known.edges))
    order = np.argsort(each)[::-1][:WORST]
    worst = tuple((known.names[index], float(each[index])) for index in order)
    return InputDrift(float(each.mean()), known.limit, len(inputs), worst)


def _shares(inputs: Floats, edges: Floats) -> Floats:
    shares = np.empty((inputs.shape[1], BINS + 1))
    for column in range(inputs.shape[1]):
        values = inputs[:, column]
        finite = values[np.isfinite(values)]
        bins: npt.NDArray[np.int64] = np.searchsorted(edges[column], finite, side="right")
        shares[column, :BINS] = np.bincount(bins, minlength=BINS) / len(values)
        shares[column, BINS] = 1.0 - len(finite) / len(values)
    return shares


def _psi(before: Floats, now: Floats) -> Floats:
    """Per input; Siddiqi 2006, "Credit Risk Scorecards"."""
    old, new = np.maximum(before, MIN_SHARE), np.maximum(now, MIN_SHARE)
    return np.asarray(((new - old) * np.log(new / old)).sum(axis=1))


@dataclass(frozen=True, slots=True)
class ErrorDrift:
    """Page-Hinkley (Page 1954) for a rising mean, one value at a time; `after` gives the next state.

    The first `LEARN` values teach level and spread; then, in units of the spread, the sum of
    (value - level - SLACK), held at 0 from below, drifts when it exceeds LIMIT. level, spread: of
    the learnt values (spread as sum of squares until they are learnt).
    """

    seen: int = 0
    level: float = 0.0
    spread: float = 0.0
    sum: float = 0.0
    latest: float = 0.0

    LEARN: ClassVar[int] = 20
    SLACK: ClassVar[float] = 0.5
    LIMIT: ClassVar[float] = 8.0
    LEAST_SPREAD: ClassVar[float] = 0.02  # of a logarithm: 2 % in the loss are never a drift

    @property
    def drifted(self) -> bool:
        """Whether the errors have grown for good."""
        return self.sum > self.LIMIT

    def after(self, value: float) -> ErrorDrift:
        """The state after one more value; one that is not finite is skipped."""
        if not math.isfinite(value):
            return self
        if self.seen < self.LEARN:
            seen = self.seen + 1
            level = self.level + (value - self.level) / seen
            spread = self.spread + (value - self.level) * (value - level)
            if seen == self.LEARN:
                spread = max(math.sqrt(spread / (seen - 1)), self.LEAST_SPREAD)
            return ErrorDrift(seen, level, spread, 0.0, value)
        step = (value - self.level) / self.spread - self.SLACK
        total = max(0.0, self.sum + step)
        return ErrorDrift(self.seen + 1, self.level, self.spread, total, value)
