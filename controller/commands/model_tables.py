"""Forecasting models as tables and lines for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from controller.commands.tables import NONE, Json, age, clock, number, table

if TYPE_CHECKING:
    from ml.backtesting import Figures

STATE_STYLES = {"champion": "bold green", "challenger": "yellow", "rejected": "dim"}


def versions(rows: Sequence[Json], now_s: float) -> Table:
    """Every kept version."""
    shown = table(
        "Models", "version", "state", "age", "samples", "hold-out loss", "covered", "alarms",
        "trained for", "why it stands there", right=("age", "samples", "hold-out loss", "covered"),
    )  # fmt: skip
    for row in rows:
        metrics = row["metrics"]
        shown.add_row(
            row["id"],
            Text(row["state"], style=STATE_STYLES.get(row["state"], "")),
            age(now_s - row["created_s"]),
            str(row["samples"]),
            number(metrics.get("pinball_boosting"), 3),
            number(metrics.get("coverage_pct"), 1, " %"),
            _alarms(metrics),
            row["trigger"],
            row["reason"],
        )
    if not rows:
        shown.add_row(NONE, *[""] * 8)
    return shown


def serving(state: Json) -> str:
    """Who serves, who predicts in the dark and how they compare, in sentences."""
    lines = [f"{state['serving']} serves."]
    for dark in state["dark"]:
        contest = dark["contest"]
        lines.append(
            f"{dark['version']} ({dark['role']}) predicts in the dark: "
            f"{contest['rival_better_pct']:+.1f} % after {contest['blocks']} blocks, "
            f"{contest['outcomes']} outcomes; evidence {contest['wealth_rival_better']:.3g} that it "
            f"is better, {contest['wealth_serving_better']:.3g} that it is worse."
        )
    lines.append(alarm(state["alarm"]))
    drift, trainer = state["drift"], state["trainer"]
    lines.append(
        f"Errors: {drift['sum']:.1f} of {drift['limit']:.0f} towards a drift"
        + (
            f"; inputs: {trainer['input_psi']:.2f} of {trainer['input_psi_limit']:.2f}."
            if trainer["input_psi"] is not None
            else "."
        )
    )
    if trainer["training"]:
        lines.append("A training is under way.")
    return "\n".join(lines)


def alarm(rule: Json) -> str:
    """What counts as an alarm, and why that rule is in use."""
    if rule["rule"] == "simple":
        return (
            f"Alarms: a breach probability of at least {rule['level']:.2f} (the simple rule: "
            f"{rule['reason']})."
        )
    row = f" in {rule['samples']} samples in a row" if rule["samples"] > 1 else ""
    return (
        f"Alarms: a breach probability of at least {rule['level']:.2f}{row}; one stands for "
        f"{rule['hold_s']:g} s (trained for {rule['budget_per_day']:g} false alarms a day and "
        f"router; {rule['reason']})."
    )


def _alarms(metrics: Json) -> str:
    """The version's rule in short."""
    if not metrics.get("alarm_accepted"):
        return "simple rule"
    row = f" {metrics['alarm_samples']} times" if metrics["alarm_samples"] > 1 else ""
    return f"≥ {metrics['alarm_level']:.2f}{row}"


def event(item: Json) -> str:
    """A decision about a model, in one line."""
    return f"{clock(item['time_s'])}  {item['version']} {item['what']}: {item['reason']}"


def version(row: Json) -> Table:
    """One version with everything."""
    shown = table(row["id"], "", "value")
    for key, value in row.items():
        if isinstance(value, dict):
            for name, one in value.items():
                shown.add_row(f"{key}.{name}", _text(one))
        else:
            shown.add_row(key, _text(value))
    return shown


def backtest(found: Figures) -> Table:
    """A backtest's horizons."""
    shown = table(
        "Backtest", "ahead", "quantiles / persistence", "95 % interval", "median / persistence",
        "95 % interval ", "covered",
        right=("ahead", "quantiles / persistence", "median / persistence", "covered"),
    )  # fmt: skip
    for one in found.horizons:
        shown.add_row(
            _ahead(one.horizon_s),
            f"{one.pinball_ratio.value:.3f}",
            f"{one.pinball_ratio.low:.3f} to {one.pinball_ratio.high:.3f}",
            f"{one.mae_ratio.value:.3f}",
            f"{one.mae_ratio.low:.3f} to {one.mae_ratio.high:.3f}",
            f"{one.coverage_pct:.1f} %",
        )
    return shown


def _ahead(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
    return value if isinstance(value, str) else json.dumps(value)
