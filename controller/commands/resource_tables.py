"""Resources of devices and comparisons as tables for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.commands.tables import NONE, age, clock, number, table

Json = Mapping[str, Any]
STYLES = {
    "idle": "",
    "queued": "yellow",
    "warming": "yellow",
    "ready": "green",
    "running": "",
    "fit": "green",
    "rolled back": "red",
    "undecided": "yellow",
}
MIB, MEGABIT = float(1 << 20), 1e6


def resources(state: Json) -> RenderableType:
    """Devices, their shadows, and what waits."""
    parts: list[RenderableType] = [devices(state["devices"]), shadows(state["devices"])]
    if state["queue"]:
        parts.append(queue(state["queue"]))
    for policy, over in state["over_budget"].items():
        what = f"policy {policy}: what must be held costs {over:.4g} an hour more than budget_per_h"
        parts.append(Text(what, style="red"))
    if state["dry_run"]:
        parts.append(Text("dry run: nothing of this is carried out", style="yellow"))
    return Group(*parts)


def devices(rows: Sequence[Json]) -> Table:
    """What devices use and are predicted to use."""
    shown = table(
        "Devices", "device", "policy", "mode", "has", "uses", "predicted", "full", "moves", "why",
        right=("full", "moves"),
    )  # fmt: skip
    for row in rows:
        shown.add_row(
            row["name"],
            row["policy"] or NONE,
            row["mode"] or NONE,
            amounts(row["capacity"]),
            amounts(row["use"]),
            amounts(row["predicted"]),
            _pct(row["utilisation"]),
            number(row["share_pct"], 0, " %"),
            row["reason"] or "nothing is known of it yet",
        )
    return shown


def shadows(rows: Sequence[Json]) -> Table:
    """Their shadows, and what these were given."""
    shown = table(
        "Shadows", "device", "shadow", "switch", "state", "given", "uses", "takes", "trouble",
        right=("takes",),
    )  # fmt: skip
    for row in rows:
        for own in row["shadows"]:
            shown.add_row(
                row["name"],
                own["name"],
                own["switch"],
                Text(own["state"], style=STYLES[own["state"]]),
                amounts(own["amounts"]),
                amounts(own["use"]),
                number(own["share_pct"], 0, " %"),
                Text(own["trouble"] or NONE, style="red" if own["trouble"] else ""),
            )
    return shown


def queue(rows: Sequence[Json]) -> Table:
    """The pre-warming queue."""
    shown = table(
        "Pre-warming", "device", "shadow", "state", "wants", "needed in", "failures", "trouble",
        right=("needed in", "failures"),
    )  # fmt: skip
    now_s = time.time()
    for row in rows:
        shown.add_row(
            row["device"],
            row["shadow"],
            Text(row["state"], style=STYLES[row["state"]]),
            amounts(row["amounts"]),
            age(row["needed_s"] - now_s),
            number(row["failures"]),
            row["trouble"] or NONE,
        )
    return shown


def decisions(rows: Sequence[Json]) -> Table:
    """Decisions, newest first."""
    shown = table(
        "Decisions about resources", "time", "device", "mode", "holds", "of", "moves", "regret",
        "why", right=("moves", "regret"),
    )  # fmt: skip
    for row in rows:
        reasons = "; ".join([*row["reasons"], *row["by"], row["share_reason"]])
        shown.add_row(
            clock(row["time_s"]),
            row["device"],
            Text(row["mode"], style="" if row["mode"] == "active" else "yellow"),
            amounts(row["amounts"]),
            amounts(row["inputs"]["use"]),
            f"{row['share_pct']} %",
            number(row["regret"], 6),
            reasons,
        )
    return shown


def comparisons(state: Json) -> RenderableType:
    """Comparisons, those that run first, each with its metrics."""
    rows = [*state["running"], *state["ended"]]
    if not rows:
        return Text("no comparison runs; begin one with umbra ab start PRIMARY VARIANT")
    return Group(*(comparison(row) for row in rows))


def comparison(row: Json) -> RenderableType:
    """One comparison."""
    shown = table(
        f"{row['variant']} against {row['primary']}", "metric", row["primary"], row["variant"],
        "effect", "at all times", "margin", "verdict", right=("effect", "margin"),
    )  # fmt: skip
    for name, one in row["metrics"].items():
        low, high = (NONE if one[key] is None else f"{one[key]:.4g}" for key in ("low", "high"))
        shown.add_row(
            name,
            *(NONE if one[arm] is None else f"{one[arm]:.4g}" for arm in ("primary", "variant")),
            NONE if one["effect"] is None else f"{one['effect']:.4g}",
            f"{low} to {high}",
            f"{one['margin']:g}",
            one["verdict"],
        )
    said = Text(row["state"], style=STYLES[row["state"]])
    said.append(f", {row['share_pct']:g} % of new connections, {row['blocks']} blocks: ", style="")
    said.append(row["reason"], style="")
    return Group(shown, said)


def amounts(value: Json | None) -> str:
    """0.50 cores, 256 MiB, 10 Mbit/s; what has no limit is left out."""
    if value is None:
        return NONE
    parts = []
    if value["cpu_cores"] is not None:
        parts.append(f"{value['cpu_cores']:.2f} cores")
    if value["memory_bytes"] is not None:
        parts.append(f"{value['memory_bytes'] / MIB:.0f} MiB")
    if value["network_bps"] is not None:
        parts.append(f"{value['network_bps'] / MEGABIT:.3g} Mbit/s")
    return ", ".join(parts) or "no limit"


def _pct(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.0f} %"
