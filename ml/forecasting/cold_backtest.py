"""Leads and false alarms of the cold-start model on simulated loads: `python -m ml.forecasting.cold_backtest`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml import simulate
from ml.breaches.breach import LIKELY, breach
from ml.forecasting.forecaster import Forecaster
from ml.score import pinball
from ml.series import Floats, Series

FIRST = 20  # samples before the first forecast
THRESHOLD = 175.0
MEAN_DURATION_S = 8.0
BEGIN_S = 60  # of a ramp
RAMP_PER_S = (6.0, 35.0)


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """warned: (series, second), whether a breach was likely. count: alike, connections. median_10s:
    alike, what was forecast for ten seconds later. pinball: mean over all forecasts.
    """

    warned: npt.NDArray[np.bool_]
    count: Floats
    median_10s: Floats
    pinball: float

    @property
    def alarms(self) -> tuple[int, int]:
        """(episodes, seconds) with a warning."""
        starts = self.warned[:, 1:] & ~self.warned[:, :-1]
        return int(starts.sum()), int(self.warned.sum())

    def leads_s(self, begin: int, threshold: float) -> Floats:
        """Per series, from the first warning at or after `begin` to the first count above the
        threshold; 0 when there was none, NaN when the count stays below.
        """
        leads = []
        for warned, count in zip(self.warned, self.count, strict=True):
            above = np.flatnonzero(count > threshold)
            if not len(above):
                leads.append(np.nan)
                continue
            first = np.flatnonzero(warned[begin : above[0]])
            leads.append(float(above[0] - begin - first[0]) if len(first) else 0.0)
        return np.array(leads)


def backtest(series: list[Series], threshold: float, first: int = FIRST) -> Backtest:
    """Forecast every second of equally long series (targets all different) by what was known then.

    No model is trained: the cold-start model serves.
    """
    forecaster = Forecaster()
    count = np.stack([one.values for one in series])
    warned = np.zeros(count.shape, dtype=np.bool_)
    median = np.full(count.shape, np.nan)
    losses = []
    for index in range(first, count.shape[1]):
        made = forecaster.predict(series, float(series[0].times_s[index]))
        for row, one in enumerate(series):
            forecast = made[one.target]
            warned[row, index] = breach(forecast, threshold).probability >= LIKELY
            median[row, index] = forecast.at(10, 0.5)
            for horizon_s, values in zip(forecast.horizons_s, forecast.values, strict=True):
                if index + int(horizon_s) < count.shape[1]:
                    actual = count[row, index + int(horizon_s)]
                    losses.append(pinball(actual, np.array(values), forecast.quantiles))
    return Backtest(warned, count, median, float(np.mean(losses)))


def simulated(
    rate: simulate.Rate, length_s: int, seeds: int, duration_spread: float | None = None
) -> list[Series]:
    """The same load, `seeds` times by chance."""
    return [
        simulate.connections(
            rate,
            length_s,
            MEAN_DURATION_S,
            seed,
            target=str(seed),
            duration_spread=duration_spread,
        )
        for seed in range(seeds)
    ]


def main(seeds: int = 24) -> None:
    """Print the figures for durations that are exponential and for such that are alike."""
    usual = THRESHOLD / MEAN_DURATION_S
    for name, spread in (("exponential", None), ("uniform +-25 %", 0.25)):
        print(f"durations {name}, {seeds} seeds")
        calm = {f"flat, {pct} %": simulate.flat(pct / 100 * usual) for pct in (60, 70, 80)}
        for period_s in (300, 120):
            rate = simulate.diurnal(0.85 / 1.3 * usual, 0.3, period_s)
            calm[f"diurnal, {period_s} s, peak 85 %"] = rate
        for load, rate in calm.items():
            found = backtest(simulated(rate, 300, seeds, spread), THRESHOLD)
            episodes, seconds = found.alarms
            print(f"  {load}: {episodes} alarms, {seconds} s; pinball {found.pinball:.2f}")
        for rise_s in (5, 12, 30, 60, 120):
            rate = simulate.ramp(*RAMP_PER_S, BEGIN_S, rise_s)
            found = backtest(simulated(rate, BEGIN_S + rise_s + 30, seeds, spread), THRESHOLD)
            lead = found.leads_s(BEGIN_S, THRESHOLD)
            p10, p50, p90 = np.nanpercentile(lead, [10, 50, 90])
            print(
                f"  6 to 35/s in {rise_s} s: lead {p10:.1f} {p50:.1f} {p90:.1f} s, "
                f"mean {np.nanmean(lead):.1f} s; pinball {found.pinball:.2f}"
            )


if __name__ == "__main__":
    main()
