"""A backtest as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ml.backtesting import plots
from ml.backtesting.figures import Figures
from ml.backtesting.replay import Replay
from ml.evaluation.bootstrap import Interval

MOST_TARGETS = 40

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 14px 0 4px; }
p { margin: 6px 0 10px; max-width: 80ch; } .quiet { color: #5b6875; }
section, .cards > div { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; }
section { padding: 4px 20px 16px; margin: 18px 0; overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px;
  margin: 18px 0; }
.cards > div { padding: 12px 16px; } .cards b { font-size: 22px; display: block; }
.cards span { color: #5b6875; font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 5px 10px; border-bottom: 1px solid #e6eaee;
  vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: #1b7a3d; font-weight: 600; } .worse { color: #c62828; font-weight: 600; }
svg { display: block; height: auto; }
"""


def html(replay: Replay, found: Figures, source: str, unit: str = "value") -> str:
    """The whole page. source: what was replayed, in words. unit: of the values, for the plots."""
    settings = replay.settings
    begin, end = plots.day(replay.folds[0].begin_s), plots.day(replay.folds[-1].end_s)
    served = ", ".join(f"{share:.0f} % {name}" for name, share in found.models.items())
    parts = [
        f"<h1>umbra: backtest</h1><p class=quiet>{escape(source)}: {len(replay.targets)} series, "
        f"{found.forecasts} forecasts from {begin} to {end} UTC, a step of "
        f"{plots.duration(settings.step_s)}</p>",
        "<p>The last 40 % of the history was forecast as the controller would have done it: the model "
        "was trained only on what lay before, and every forecast was made from what was known at its "
        "moment. Beside it stands <b>persistence</b>: the value stays as it is, with the quantiles of "
        "the series' own earlier changes. Below 1 is better than persistence.</p>",
        _cards(found),
        _section(
            "Against persistence",
            plots.ratios(found) + _horizons(found),
            "The thin lines are 95 % intervals from a block bootstrap over time.",
        ),
        _section(
            "Calibration",
            plots.calibration(found),
            "On the dotted line a forecast says what happens: of the outcomes, 95 % lie below the 95 % "
            "quantile.",
        ),
        _section(
            "Over time",
            plots.over_time(replay),
            f"Pinball loss relative to persistence's in each part of the time. Who forecast: {served}.",
        ),
        _section(
            "Forecasts and what came",
            plots.bands(replay, found, unit),
            "The target that was forecast best, one in the middle, and the worst.",
        ),
        _section("Targets", _targets(found), ""),
        _section("Trainings", _trainings(replay), "Each before the stretch that it was used for."),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>umbra backtest</title><style>{STYLE}</style></head><body><main>{''.join(parts)}"
        "</main></body></html>\n"
    )


def _cards(found: Figures) -> str:
    worst = found.worst_day_coverage_pct
    cards = [
        (
            "median, of persistence's error",
            f"{found.mae_over_persistence:.2f}",
            "mean over horizons",
        ),
        (
            "quantiles, of persistence's loss",
            f"{found.pinball_over_persistence:.2f}",
            "mean over horizons",
        ),
        (
            f"coverage of the {found.nominal_pct:.0f} % band",
            f"{found.coverage_pct:.1f} %",
            "all targets and horizons",
        ),
        (
            "coverage on the worst day",
            f"{worst:.1f} %" if worst == worst else "-",
            "all targets and horizons" if worst == worst else "too few forecasts for whole days",
        ),
    ]
    return (
        "<div class=cards>"
        + "".join(
            f"<div><span>{title}</span><b>{value}</b><span>{more}</span></div>"
            for title, value, more in cards
        )
        + "</div>"
    )


def _horizons(found: Figures) -> str:
    breach = found.horizons[0].brier is not None
    head = ["ahead", "pinball / persistence", "MAE / persistence", "coverage"]
    rows = [
        [
            plots.duration(one.horizon_s),
            _ratio(one.pinball_ratio),
            _ratio(one.mae_ratio),
            f"{one.coverage_pct:.1f} %",
            *([f"{one.brier:.4f}"] if one.brier is not None else []),
        ]
        for one in found.horizons
    ]
    return _table([*head, "Brier score of the threshold"] if breach else head, rows)


def _ratio(found: Interval) -> str:
    mark = "better" if found.high < 1 else "worse" if found.low > 1 else ""
    return (
        f"<span class='{mark}'>{found.value:.3f}</span> "
        f"<span class=quiet>{found.low:.3f} to {found.high:.3f}</span>"
    )


def _targets(found: Figures) -> str:
    shown = found.each
    text = ""
    if len(shown) > MOST_TARGETS:
        half = MOST_TARGETS // 2
        shown = (*found.each[:half], *found.each[-half:])
        text = f"<p class=quiet>The {half} best and the {half} worst of {len(found.each)}.</p>"
    rows = [
        [
            escape(one.target),
            str(one.forecasts),
            f"{one.pinball_ratio:.3f}",
            f"{one.mae_ratio:.3f}",
            f"{one.coverage_pct:.1f} %",
        ]
        for one in shown
    ]
    head = ["target", "forecasts", "pinball / persistence", "MAE / persistence", "coverage"]
    return text + _table(head, rows)


def _trainings(replay: Replay) -> str:
    rows = [
        [
            plots.day(fold.begin_s),
            str(fold.report.samples),
            str(fold.report.rows),
            f"{fold.report.seconds:.1f} s",
            "serves" if fold.report.accepted else "refused",
            escape(fold.report.reason),
        ]
        for fold in replay.folds
    ]
    return _table(
        ["on what lay before", "samples", "origins", "took", "", "why"], rows, right=(1, 2, 3)
    )


def _section(title: str, content: str, explanation: str) -> str:
    quiet = f"<p class=quiet>{escape(explanation)}</p>" if explanation else ""
    return f"<section><h2>{escape(title)}</h2>{quiet}{content}</section>"


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] | None = None
) -> str:
    """Cells are HTML. right: columns of numbers; all but the first when None."""
    kinds = [
        " class=n" if (index > 0 if right is None else index in right) else ""
        for index in range(len(head))
    ]
    titles = "".join(f"<th{k}>{escape(t)}</th>" for k, t in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{c}</td>" for k, c in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
