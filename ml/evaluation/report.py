"""The evaluation as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ml.evaluation import plots
from ml.evaluation.bootstrap import Interval
from ml.evaluation.figures import OURS, PeerSummary, Summary
from ml.evaluation.forecasts import SetScore

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; margin: 0; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 18px 0 6px; }
p { margin: 6px 0 10px; max-width: 80ch; } .quiet { color: #5b6875; }
section { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; padding: 4px 20px 16px;
  margin: 18px 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; padding: 4px 8px; border-bottom: 1px solid #e6eaee; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.ours td { background: #eef5fb; font-weight: 600; }
.warning { background: #fff4e0; border-left: 4px solid #c2570c; padding: 8px 14px; }
svg { display: block; height: auto; }
"""


def html(
    summary: Summary,
    scores: Sequence[SetScore],
    *,
    figures: Mapping[str, tuple[float, str]],
    notes: Sequence[str] = (),
    sections: Sequence[tuple[str, str]] = (),
) -> str:
    """The whole page. figures: name → (value, unit) as in the JSON. notes: what a reader must know
    first (generated data, a quick run). sections: further (title, HTML) of breaches and surges.
    """
    parts = [
        "<h1>umbra: how good the forecasts are</h1>",
        "<p class=quiet>Chronological split (60 % training, 20 % calibration, 20 % test) with a purge, rolling "
        "origin, all peers on the same origins in the same run. "
        "Parameters come from the training and the calibration part.</p>",
        *(f"<p class=warning>{escape(note)}</p>" for note in notes),
        _section(
            "Over all sets",
            _peers(summary.peers),
            "Ratios to persistence on the same origins: geometric means over the cells (set and horizon), with 95 % "
            "intervals of a block bootstrap. “Ours over it” below 1 means that umbra's error is smaller.",
        ),
        _section(
            "Every cell",
            plots.ratios(summary),
            "Large dots are umbra. Left of the line is better than the last value.",
        ),
        _section(
            "Do the bands hold?",
            plots.coverage(summary),
            "Share of outcomes between the 5 % and the 95 % quantile: dots overall, triangles on the worst day. The "
            "blue stripe is 90 ± 1.5 %.",
        ),
        _section(
            "What it looks like",
            plots.examples(scores),
            "The first days of each test part: the band and the median that were forecast for a moment, and what came "
            "(black). One series of each set, the one that moves most.",
        ),
        *(_section(title, body) for title, body in sections),
        _section("Per set", "".join(_set(summary, score) for score in scores)),
        _section("All figures", _figures(figures)),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>umbra: forecasts</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _section(title: str, body: str, text: str = "") -> str:
    words = f"<p class=quiet>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{words}{body}</section>"


def _peers(peers: Mapping[str, PeerSummary]) -> str:
    head = (
        "<tr><th>peer</th><th class=n>MAE / persistence</th><th class=n>pinball / persistence</th>"
        "<th class=n>covered</th><th class=n>worst day</th><th class=n>ours over it</th>"
        "<th class=n>cells we win</th><th class=n>forecasts</th></tr>"
    )
    rows = "".join(
        f"<tr{' class=ours' if name == OURS else ''}><td>{escape(name)}</td>"
        f"<td class=n>{_interval(one.mae_ratio)}</td><td class=n>{_interval(one.pinball_ratio)}</td>"
        f"<td class=n>{one.coverage_pct:.1f} %</td><td class=n>{_percent(one.worst_day_coverage_pct)}</td>"
        f"<td class=n>{_interval(one.ours_over) if one.ours_over else ''}</td>"
        f"<td class=n>{'' if one.ours_better_cells_pct is None else f'{one.ours_better_cells_pct:.0f} %'}</td>"
        f"<td class=n>{one.forecasts:,}</td></tr>"
        for name, one in peers.items()
    )
    return f"<table>{head}{rows}</table>"


def _set(summary: Summary, score: SetScore) -> str:
    data = score.data
    left = "; ".join(f"{name}: {why}" for name, why in data.left_out.items())
    text = f"{len(data.series)} series every {data.step_s:.0f} s, {len(score.origins):,} origins. {data.source}."
    if left:
        text += f" Left out: {left}."
    missing = "; ".join(f"{name} is absent: {why}" for name, why in score.absent.items())
    return (
        f"<h2>{escape(data.name)}</h2><p class=quiet>{escape(text)} {escape(missing)}</p>"
        f"{_peers(summary.sets[data.name])}"
    )


def _figures(figures: Mapping[str, tuple[float, str]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{value:,.4g}</td><td>{escape(unit)}</td></tr>"
        for name, (value, unit) in figures.items()
    )
    return f"<table><tr><th>figure</th><th class=n>value</th><th>unit</th></tr>{rows}</table>"


def _percent(value: float) -> str:
    return f"{value:.1f} %" if value == value else "too few"


def _interval(one: Interval) -> str:
    return f"{one.value:.3f} <small>({one.low:.3f} to {one.high:.3f})</small>"
