"""Corrections of the forecast of demand by what came: a factor per destination and location."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from controller.model.destinations import DemandCell
from controller.plan.redirects.settings import RedirectSettings

Cell = tuple[int, str]  # service, location


def corrections(
    before: Mapping[Cell, float],
    forecast_cps: Mapping[Cell, float],
    observed_cps: Mapping[Cell, float],
    settings: RedirectSettings,
) -> dict[Cell, float]:
    """Factors for the next forecasts, smoothed in their logarithm and bounded by `correction_max`.

    forecast_cps: what was forecast for the cycle that ended, before any correction; observed_cps: what came, to
    the copy or to the primary. Only cells that are in both change.
    """
    after = dict(before)
    limit = math.log(settings.correction_max)
    for cell in sorted(forecast_cps.keys() & observed_cps.keys()):
        seen, said = observed_cps[cell], forecast_cps[cell]
        if not (0 <= seen < math.inf and 0 <= said < math.inf):
            raise ValueError(
                f"demand of {cell[0]} from {cell[1]}: {seen} seen, {said} forecast; neither may be below 0"
            )
        error = math.log((seen + settings.floor_cps) / (said + settings.floor_cps))
        old = math.log(after.get(cell, 1.0))
        new = old + settings.smoothing * (error - old)
        after[cell] = math.exp(max(-limit, min(limit, new)))
    return after


def corrected(cell: DemandCell, factors: Mapping[Cell, float]) -> DemandCell:
    """The forecast times its factor, as placement takes it."""
    factor = factors.get((cell.service, cell.location), 1.0)
    return replace(cell, quantiles_cps=tuple(factor * one for one in cell.quantiles_cps))
