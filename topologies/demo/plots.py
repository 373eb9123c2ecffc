"""Plots of the demo's report as inline SVG (matplotlib). What the traffic says, and beside it what
umbra said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.page_plots import svg
from topologies.demo.record import Prediction, RunRecord
from topologies.load.analysis import live, per_second, sampled

COLOURS = {"r1": "#1769aa", "r2": "#c2570c", "r3": "#2e7d32", "r4": "#6a1b9a"}
SPARE_COLOURS = ("#00838f", "#ad1457", "#5d4037")
BREACH = "#d32f2f"
STEP_S = 0.2
WIDTH_IN = 10.5
FORECAST_HORIZON_S = 10.0


def colour(router: str, routers: Sequence[str]) -> str:
    """The router's colour, the same in every plot."""
    return COLOURS.get(router) or SPARE_COLOURS[list(routers).index(router) % len(SPARE_COLOURS)]


def panels(rows: int, columns: int, height_in: float) -> tuple[Figure, list[list[Axes]]]:
    """A figure as wide as the page; panels of a column share their times, those of a row their values."""
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH_IN, height_in),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    return figure, [list(row) for row in axes]


def _end_s(record: RunRecord) -> float:
    return max([record.seconds, *(attempt.end_s for attempt in record.traffic.attempts)])


def _times(record: RunRecord) -> list[float]:
    return [STEP_S * index for index in range(int(_end_s(record) / STEP_S) + 1)]


def connections(records: Mapping[str, RunRecord]) -> str:
    """Live connections of every router against threshold and capacity, both runs side by side."""
    any_record = next(iter(records.values()))
    routers = list(any_record.capacity)
    figure, axes = panels(len(routers), len(records), 1.7 * len(routers))
    for column, (name, record) in enumerate(records.items()):
        series = live(record.traffic.passages)
        times_s = _times(record)
        for row, router in enumerate(routers):
            panel = axes[row][column]
            counts = sampled(series.get(router, ()), times_s)
            limit = record.capacity[router] - record.threshold[router]
            panel.step(times_s, counts, where="post", color=colour(router, routers), linewidth=1.4)
            panel.axhline(limit, color="#b8860b", linestyle="--", linewidth=1)
            panel.axhline(record.capacity[router], color=BREACH, linewidth=1)
            for from_s, to_s in record.breach_spans.get(router, ()):
                panel.axvspan(from_s, to_s, color=BREACH, alpha=0.15, linewidth=0)
            panel.set_ylim(0, record.capacity[router] * 1.12)
            panel.set_xlim(0, _end_s(record))
            if row == 0:
                panel.set_title(f"{name} run")
            if column == 0:
                panel.set_ylabel(f"{router}: connections")
                panel.text(0.5, limit, "threshold", fontsize=7, va="bottom", color="#8a6508")
                panel.text(
                    0.5, record.capacity[router], "capacity", fontsize=7, va="bottom", color=BREACH
                )
            if row == len(routers) - 1:
                panel.set_xlabel("seconds")
    return svg(figure)


def shifts(records: Mapping[str, RunRecord]) -> str:
    """Percentage of every router's new connections that went to its shadows."""
    figure, axes = panels(1, len(records), 2.4)
    for column, (name, record) in enumerate(records.items()):
        panel = axes[0][column]
        for router in record.capacity:
            points = [
                (shot.time_s, shot.routers[router]["shift_pct"])
                for shot in record.snapshots
                if router in shot.routers
            ]
            panel.step(
                [time_s for time_s, _ in points],
                [pct for _, pct in points],
                where="post",
                color=colour(router, list(record.capacity)),
                label=router,
                linewidth=1.4,
            )
        panel.set_title(f"{name} run")
        panel.set_ylim(-1, 65)  # room for the legend
        panel.set_xlim(0, _end_s(record))
        panel.set_xlabel("seconds")
        if column == 0:
            panel.set_ylabel("shifted, % of new")
            panel.legend(loc="upper left", fontsize=8, frameon=False, ncols=len(record.capacity))
    return svg(figure)


def refusals(records: Mapping[str, RunRecord]) -> str:
    """Refused connections per second, both runs."""
    figure, axes = panels(1, len(records), 1.9)
    refused = {
        name: per_second(record.traffic.attempts, "refused", int(record.seconds) + 1)
        for name, record in records.items()
    }
    most = max((count for counts in refused.values() for count in counts), default=1)
    for column, (name, record) in enumerate(records.items()):
        panel = axes[0][column]
        counts = refused[name]
        panel.bar(range(len(counts)), counts, width=0.9, color=BREACH, align="edge")
        panel.set_title(f"{name} run: {sum(counts)} refused")
        panel.set_xlim(0, _end_s(record))
        panel.set_ylim(0, max(1, most) * 1.15)  # the panels share their axis
        panel.set_xlabel("seconds")
        if column == 0:
            panel.set_ylabel("refused per s")
    return svg(figure)


def _forecast_points(
    record: RunRecord, router: str, horizon_s: float
) -> list[tuple[float, dict[str, float]]]:
    """(moment that was forecast, quantiles) of every forecast whose horizon is `horizon_s`."""
    points: list[tuple[float, dict[str, float]]] = []
    for shot in record.snapshots:
        forecast = shot.routers.get(router, {}).get("forecast")
        for horizon in forecast["horizons"] if forecast else ():
            if horizon["horizon_s"] == horizon_s:
                points.append((shot.time_s + horizon_s, horizon["quantiles"]))
    return points


def forecasts(
    record: RunRecord, found: Sequence[Prediction], horizon_s: float = FORECAST_HORIZON_S
) -> str:
    """Forecasts with their bands against what came, per router; empty when there are no forecasts."""
    routers = [router for router in record.capacity if _forecast_points(record, router, horizon_s)]
    if not routers:
        return ""
    figure, axes = panels(len(routers), 1, 1.8 * len(routers))
    series = live(record.traffic.passages)
    times_s = _times(record)
    for row, router in enumerate(routers):
        panel = axes[row][0]
        points = _forecast_points(record, router, horizon_s)
        moments = [moment for moment, _ in points]
        low, middle, high = (_quantile(points, level) for level in (0, 1, 2))
        tint = colour(router, list(record.capacity))
        panel.fill_between(
            moments, low, high, color=tint, alpha=0.18, linewidth=0, label="forecast, band"
        )
        panel.plot(
            moments, middle, color=tint, linestyle=":", linewidth=1.3, label="forecast, median"
        )
        panel.step(
            times_s,
            sampled(series.get(router, ()), times_s),
            where="post",
            color="#222",
            linewidth=1.1,
            label="came",
        )
        panel.axhline(
            record.capacity[router] - record.threshold[router],
            color="#b8860b",
            linestyle="--",
            linewidth=1,
        )
        for prediction in found:
            if prediction.router == router:
                panel.axvline(prediction.decided_s, color="#555", linewidth=1)
                panel.annotate(
                    "shift decided",
                    (prediction.decided_s, 0),
                    (2, 4),
                    textcoords="offset points",
                    fontsize=7,
                )
        panel.set_ylabel(f"{router}: connections")
        panel.set_xlim(0, _end_s(record))
        panel.set_ylim(0, record.capacity[router] * 1.4)
        if row == 0:
            panel.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
        if row == len(routers) - 1:
            panel.set_xlabel("seconds")
    return svg(figure)


def _quantile(points: Sequence[tuple[float, Mapping[str, Any]]], place: int) -> list[float]:
    """Lowest (0), middle (1) or highest (2) quantile of each forecast."""
    values = []
    for _, quantiles in points:
        ordered = [
            quantiles[name] for name in sorted(quantiles, key=lambda name: float(name.lstrip("pq")))
        ]
        values.append(float(ordered[(0, len(ordered) // 2, -1)[place]]))
    return values
