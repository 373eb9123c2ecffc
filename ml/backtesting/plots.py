"""The plots of a backtest as inline SVG (matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import matplotlib.dates as dates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ml.backtesting.figures import Figures, relative_loss_over_time
from ml.backtesting.replay import Replay
from ml.page_plots import svg
from ml.series import Floats

BLUE, ORANGE, GREY, RED = "#1769aa", "#c2570c", "#5b6875", "#c62828"
WIDTH_IN = 10.0


def ratios(found: Figures) -> str:
    """Loss relative to persistence's per horizon, with 95 % intervals."""
    figure, axes = _panels(1, 2, 2.9, sharey=True)
    labels = [duration(one.horizon_s) for one in found.horizons]
    for plot, title, intervals in (
        (axes[0], "Quantiles (pinball loss)", [one.pinball_ratio for one in found.horizons]),
        (axes[1], "Median (absolute error)", [one.mae_ratio for one in found.horizons]),
    ):
        values = np.array([one.value for one in intervals])
        spread = [
            values - [one.low for one in intervals],
            [one.high for one in intervals] - values,
        ]
        plot.bar(range(len(values)), values, color=BLUE, width=0.62, alpha=0.9)
        plot.errorbar(
            range(len(values)), values, np.maximum(spread, 0), fmt="none", ecolor="#1d2733",
            elinewidth=1.1, capsize=3,
        )  # fmt: skip
        plot.axhline(1.0, color=RED, linewidth=1.1)
        for index, value in enumerate(values):
            plot.text(index, 0.03, f"{value:.2f}", ha="center", va="bottom", color="white")
        plot.set_xticks(range(len(labels)), labels)
        plot.set_title(title)
        plot.set_xlabel("ahead")
        plot.grid(axis="x", visible=False)
        plot.set_axisbelow(True)
    axes[0].set_ylabel("of persistence's")
    return svg(figure)


def calibration(found: Figures) -> str:
    """What share of outcomes lay below each forecast quantile; beside it, of probabilities."""
    both = bool(found.reliability)
    figure, axes = _panels(1, 2, 3.3)
    levels = [level for level, _ in found.levels]
    shares = [share for _, share in found.levels]
    axes[0].plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    axes[0].plot(levels, shares, color=BLUE, marker="o", linewidth=1.4)
    axes[0].set(xlabel="quantile forecast", ylabel="outcomes at or below", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_title("Quantiles")
    if both:
        said = [one.forecast for one in found.reliability]
        came = [one.came for one in found.reliability]
        size = [12 + 90 * (one.number / found.reliability[0].number) for one in found.reliability]
        axes[1].plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        axes[1].plot(said, came, color=ORANGE, linewidth=1.2)
        axes[1].scatter(said, came, s=np.clip(size, 12, 100), color=ORANGE, zorder=3)
        axes[1].set(xlabel="probability forecast", ylabel="threshold exceeded", xlim=(0, 1))
        axes[1].set_ylim(0, 1)
        axes[1].set_title("Probability of exceeding the threshold")
    else:
        _targets(axes[1], found)
    return svg(figure)


def over_time(replay: Replay) -> str:
    """Pinball loss relative to persistence's over the time of the backtest."""
    figure, axes = _panels(1, 1, 2.5)
    times, values = relative_loss_over_time(replay)
    plot = axes[0]
    plot.plot(moments(times), values, color=BLUE, marker="o", markersize=3, linewidth=1.2)
    plot.axhline(1.0, color=RED, linewidth=1.1)
    for number, fold in enumerate(replay.folds, 1):
        plot.axvline(moments([fold.begin_s])[0], color=GREY, linewidth=1, linestyle=":")
        plot.annotate(
            f"training {number}", (moments([fold.begin_s])[0], 1.0), xytext=(3, -3),
            xycoords=("data", "axes fraction"), textcoords="offset points", va="top", color=GREY,
        )  # fmt: skip
    plot.set_ylabel("of persistence's")
    plot.set_ylim(bottom=0)
    _dates(plot)
    return svg(figure)


def bands(replay: Replay, found: Figures, unit: str) -> str:
    """What was forecast for a moment, and what came: the best, the middle and the worst target."""
    middle = len(replay.settings.horizons_s) // 2
    horizon_s = replay.settings.horizons_s[middle]
    names = [one.target for one in found.each]
    chosen = list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])) if names else []
    figure, axes = _panels(max(1, len(chosen)), 1, 2.2 * max(1, len(chosen)), sharex=True)
    low, half = 0, int(np.argmin(np.abs(np.asarray(replay.settings.quantiles) - 0.5)))
    for plot, name in zip(axes, chosen, strict=False):
        rows = replay.target == replay.targets.index(name)
        times = moments(replay.times_s[rows] + horizon_s)
        values = replay.predicted[rows, middle]
        plot.fill_between(
            times, values[:, low], values[:, -1], color=BLUE, alpha=0.22, linewidth=0,
            label=f"band forecast {duration(horizon_s)} ahead",
        )  # fmt: skip
        plot.plot(times, values[:, half], color=BLUE, linewidth=1.1, label="median forecast")
        plot.plot(
            times, replay.outcome[rows, middle], color="#1d2733", linewidth=0.9, label="what came"
        )
        if replay.threshold is not None:
            plot.axhline(replay.threshold, color=RED, linewidth=1, linestyle="--")
        ratio = next(one.pinball_ratio for one in found.each if one.target == name)
        plot.set_title(f"{name}: {ratio:.2f} of persistence's loss")
        plot.set_ylabel(unit)
        _dates(plot)
    if chosen:
        axes[0].legend(loc="upper left", ncols=3, frameon=False, fontsize=8)
    return svg(figure)


def _targets(plot: Axes, found: Figures) -> None:
    ratio = [one.pinball_ratio for one in found.each]
    plot.plot(range(1, len(ratio) + 1), ratio, color=BLUE, marker="o", markersize=3, linewidth=1)
    plot.axhline(1.0, color=RED, linewidth=1.1)
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    plot.set(xlabel="targets, the best first", ylabel="pinball loss, of persistence's")
    plot.set_ylim(bottom=0)
    plot.set_title("Targets")


def duration(seconds: float) -> str:
    """60 → 1 min, 45 → 45 s."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def moments(times_s: Floats | Sequence[float]) -> Floats:
    """Unix seconds as matplotlib's dates."""
    return np.asarray(times_s, dtype=np.float64) / 86400.0


def _dates(plot: Axes) -> None:
    locator = dates.AutoDateLocator(tz=UTC, minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    plot.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    plot.xaxis.set_major_formatter(formatter)


def _panels(
    rows: int, columns: int, height_in: float, *, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH_IN, height_in), sharex=sharex, sharey=sharey,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    return figure, [one for row in axes for one in row]


def day(time_s: float) -> str:
    """A moment for a person, UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")
