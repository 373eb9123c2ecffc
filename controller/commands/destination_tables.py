"""Destinations as tables for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.commands.tables import NONE, age, clock, number, table

Json = Mapping[str, Any]
STYLES = {"ready": "green", "preparing": "yellow", "draining": "blue", "failed": "red"}
MOST_STEPS = 10
MOST_DEMAND = 25


def destinations(state: Json) -> RenderableType:
    """Everything about destinations."""
    parts: list[RenderableType] = [
        _demand(state),
        _copies(state["copies"]),
        _served(state),
        Text(f"{state['redirects']['rows']} rows of redirects on every edge"),
    ]
    for name in state["redirects"]["left_out"]:
        parts.append(Text(f"The rows of {name} do not fit: its primary serves it", style="red"))
    for site in state["sites"]:
        if not site["up"]:
            parts.append(Text(f"No router of site {site['site']} is in service", style="red"))
    if state["dry_run"]:
        parts.append(Text("Dry run: nothing of this is written", style="yellow"))
    for one in state["steps"][:MOST_STEPS]:
        parts.append(Text(f"{clock(one['time_s'])} {one['reason']}"))
    return Group(*parts)


def _demand(state: Json) -> Table:
    homes = {one["service"]: one["primary_site"] for one in state["destinations"]}
    sites = {(one["service"], one["location"]): one["site"] for one in state["served"]}
    shown = table(
        "Demand, new connections per second",
        "service", "from", "expected", "90 %", "observed", "correction", "served at",
        right=("expected", "90 %", "observed", "correction"),
    )  # fmt: skip
    for row in state["demand"][:MOST_DEMAND]:
        cell = row["service"], row["location"]
        copy = sites.get(cell)
        shown.add_row(
            row["service"],
            row["location"],
            number(row["expected_cps"], 1),
            number(row["reserve_cps"], 1),
            number(row["observed_cps"], 1),
            f"x {row['correction']:.2f}",
            Text(copy, style="green") if copy else homes.get(row["service"], NONE),
        )
    return shown


def _copies(rows: Sequence[Json]) -> Table:
    shown = table(
        "Standby copies", "service", "site", "state", "for", "share/s", "routers",
        right=("for", "share/s"),
    )  # fmt: skip
    now_s = time.time()
    for row in rows:
        shown.add_row(
            row["service"],
            row["site"],
            Text(row["state"], style=STYLES.get(row["state"], "")),
            age(now_s - row["since_s"]),
            number(row["share_cps"], 1),
            ", ".join(row["routers"]),
        )
    return shown


def _served(state: Json) -> Table:
    known = {(o["service"], o["location"], o["site"]): o for o in state["achieved"]}
    shown = table(
        "Redirects", "service", "from", "to", "connections", "refused", "ms", "primary ms", "gain",
        right=("connections", "refused", "ms", "primary ms", "gain"),
    )  # fmt: skip
    for row in state["served"]:
        one = known.get((row["service"], row["location"], row["site"]), {})
        shown.add_row(
            row["service"],
            row["location"],
            row["site"],
            number(one.get("connections")),
            number(one.get("refused")),
            number(one.get("latency_ms"), 1),
            number(one.get("primary_ms"), 1),
            number(one.get("gain")),
        )
    return shown
