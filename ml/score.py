"""How good quantile forecasts are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.series import Floats


def pinball(actual: Floats, predicted: Floats, quantiles: Sequence[float]) -> Floats:
    """Pinball (quantile) loss, the mean over quantiles; Koenker and Bassett 1978.

    actual: shape (...,). predicted: shape (..., quantiles). Returns shape (...,), NaN where the
    actual value is NaN.
    """
    levels = np.asarray(quantiles, dtype=np.float64)
    error = actual[..., None] - predicted
    loss: Floats = np.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1)
    return loss


def coverage_pct(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of the known actual values within [low, high], in percent; NaN when none is known."""
    known = np.isfinite(actual)
    if not known.any():
        return float("nan")
    inside = (actual >= low) & (actual <= high)
    return float(100.0 * inside[known].mean())
