"""Means and slopes over what is known of rows of samples, in which NaN is a missing one."""

from __future__ import annotations

import numpy as np

from ml.series import Floats


def mean_of_known(values: Floats) -> Floats:
    """Over the last axis; NaN where none is known."""
    known = np.isfinite(values)
    number = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    mean: Floats = np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
    return mean


def slope_of_known(values: Floats) -> Floats:
    """Least squares, per step, of each row; NaN with fewer than two known. values: (rows, samples)."""
    known = np.isfinite(values)
    age = np.where(known, np.arange(values.shape[1], dtype=np.float64), np.nan)
    lever = np.where(known, age - mean_of_known(age)[:, None], 0.0)
    inertia = (lever**2).sum(axis=1)
    product = (lever * np.where(known, values, 0.0)).sum(axis=1)
    slope: Floats = np.divide(product, inertia, out=np.full(len(values), np.nan), where=inertia > 0)
    return slope
