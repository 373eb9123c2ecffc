"""The demo's figures on the terminal: both runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from topologies.demo.record import Prediction

ROWS = (
    ("connections", "connections", 0),
    ("breach_s", "seconds in breach", 1),
    ("refused_per_1000", "refused per 1000", 1),
    ("broken_per_1000", "broken per 1000", 1),
    ("moved_per_1000", "moved per 1000", 1),
    ("failed_per_1000", "timed out or reset per 1000", 1),
    ("connect_p50_ms", "connect latency p50, ms", 1),
    ("connect_p99_ms", "connect latency p99, ms", 1),
    ("shifts", "shifts", 0),
)
ACT_ROWS = {
    "failure": (
        ("replication", "a router is killed; replication"),
        ("connections", "its connections"),
        ("broken", "of these broke"),
    ),
    "bursts": (
        ("held_ahead", "instances come in bursts; addresses held ahead"),
        ("instances", "instances"),
        ("warm", "of these got a warm address"),
        ("first_answer_p50_ms", "request to first answer p50, ms"),
        ("first_answer_p90_ms", "request to first answer p90, ms"),
    ),
    "sun": (
        ("mode", "demand follows the sun; redirects"),
        ("connections", "calls"),
        ("nearest_pct", "of these answered at the nearest site, %"),
        ("connect_mean_ms", "connect latency, mean, ms"),
        ("moved", "connections moved"),
    ),
    "resources": (
        ("way", "more comes than a router can treat; way"),
        ("refused_per_1000", "not served, per 1000"),
        ("connect_p99_ms", "connect latency p99, ms"),
        ("primary_full_s", "seconds in which the router was full"),
    ),
}


def table(runs: Mapping[str, Mapping[str, Any]], found: list[Prediction]) -> Table:
    """Both runs side by side."""
    result = Table(title="the same load, twice", title_style="bold")
    result.add_column("")
    for name in runs:
        result.add_column(name, justify="right")
    for key, words, places in ROWS:
        result.add_row(words, *(f"{figures[key]:.{places}f}" for figures in runs.values()))
    leads = ", ".join(f"{lead:.1f} s" for lead in runs["predictive"]["lead_s"]) or "-"
    result.add_row("lead time of each prediction", "-", leads)
    alarms = sum(1 for prediction in found if prediction.breach_s is None)
    result.add_row("predictions without a breach", "-", str(alarms))
    for act, rows in ACT_ROWS.items():
        result.add_section()
        for key, words in rows:
            result.add_row(words, *(_plain(figures[act][key]) for figures in runs.values()))
    return result


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
