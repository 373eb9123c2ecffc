"""Plots of the evaluation as inline SVG (matplotlib, drawn without a display)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ml.evaluation.dataset import QUANTILES
from ml.evaluation.figures import OURS, Summary
from ml.evaluation.forecasts import REFERENCE, Example, SetScore

COLOURS = {
    OURS: "#1769aa",
    "lstm": "#c2570c",
    "ets": "#6a1b9a",
    "autoarima": "#ad1457",
    "seasonal_naive": "#5d4037",
    "persistence_margin": "#90a4ae",
    REFERENCE: "#455a64",
}
GRID = "#e3e6ea"


def ratios(summary: Summary) -> str:
    """Per cell each peer's MAE over persistence's: left of the line is better."""
    cells = [cell for cell in summary.cells if cell.peer != REFERENCE]
    rows = list(dict.fromkeys((cell.data_set, cell.horizon_s) for cell in cells))
    figure = Figure(figsize=(10.5, 0.24 * len(rows) + 1.3))
    axes = figure.add_subplot()
    axes.axvline(1.0, color="#455a64", linewidth=1)
    for peer in (name for name in COLOURS if name in summary.peers and name != REFERENCE):
        mine = {(c.data_set, c.horizon_s): c.mae_ratio for c in cells if c.peer == peer}
        at = [(mine[row], -number) for number, row in enumerate(rows) if row in mine]
        # Beyond the frame a mark sits on its edge.
        axes.scatter(
            [min(max(value, 0.3), 1.75) for value, _ in at],
            [number for _, number in at],
            s=46 if peer == OURS else 22,
            color=COLOURS[peer],
            label=peer,
            zorder=3 if peer == OURS else 2,
            marker="o" if peer == OURS else "D",
        )
    axes.set_yticks([-n for n in range(len(rows))], [f"{name}, {_ahead(h)}" for name, h in rows])
    axes.set_xlim(0.28, 1.78)
    axes.set_xlabel("mean absolute error over persistence's, on the same origins")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False, fontsize=8)
    return _svg(figure)


def coverage(summary: Summary) -> str:
    """Share of outcomes within the outermost quantiles, per set, overall and on the worst day."""
    names = list(summary.sets)
    figure = Figure(figsize=(10.5, 3.0))
    axes = figure.add_subplot()
    level = 100 * (QUANTILES[-1] - QUANTILES[0])
    axes.axhline(level, color="#455a64", linewidth=1)
    axes.axhspan(level - 1.5, level + 1.5, color="#cfe3f3", zorder=0)
    peers = [name for name in (OURS, "lstm", REFERENCE) if name in summary.peers]
    for number, peer in enumerate(peers):
        across = np.arange(len(names)) + 0.22 * (number - (len(peers) - 1) / 2)
        found = [summary.sets[name].get(peer) for name in names]
        overall = [one.coverage_pct if one else np.nan for one in found]
        worst = [one.worst_day_coverage_pct if one else np.nan for one in found]
        axes.vlines(across, worst, overall, color=COLOURS[peer], linewidth=2, alpha=0.5)
        axes.scatter(across, overall, color=COLOURS[peer], label=peer, s=36, zorder=3)
        axes.scatter(across, worst, color=COLOURS[peer], marker="v", s=26, zorder=3)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(top=100)
    axes.set_ylabel("covered, %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8)
    return _svg(figure)


def examples(scores: Sequence[SetScore]) -> str:
    """A stretch of every set's test part: our band, its median, and what came."""
    columns = 2
    lines = -(-len(scores) // columns)
    figure = Figure(figsize=(10.5, 2.2 * lines))
    for number, score in enumerate(scores):
        _example(figure.add_subplot(lines, columns, number + 1), score.data.name, score.example)
    figure.tight_layout()
    return _svg(figure)


def _example(axes, name: str, example: Example) -> None:  # type: ignore[no-untyped-def]
    hours = (example.times_s - example.times_s[0]) / 3600.0
    ours = example.predicted.get(OURS, example.predicted.get(REFERENCE))
    if ours is not None:
        axes.fill_between(hours, ours[:, 0], ours[:, -1], color="#cfe3f3", linewidth=0)
        axes.plot(hours, ours[:, QUANTILES.index(0.5)], color=COLOURS[OURS], linewidth=0.9)
    axes.plot(hours, example.outcome, color="#1d2733", linewidth=0.8, alpha=0.8)
    axes.set_title(f"{name}: {example.target}, {_ahead(example.horizon_s)} ahead")
    axes.set_xlabel("hours into the test part")


def _ahead(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _svg(figure: Figure) -> str:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
        axes.title.set_fontsize(9)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r'width="[^"]*pt" height="[^"]*pt"', 'width="100%"', text, count=1)
