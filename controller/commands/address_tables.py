"""Addresses and shards as tables for a person."""

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
    "held": "yellow",
    "granted": "green",
    "cooling": "blue",
    "reserved": "magenta",
    "free": "",
    "claiming": "yellow",
    "assigned": "",
    "prefetched": "green",
    "draining": "blue",
}
MOST_STEPS = 8


def taken(found: Json) -> Text:
    """What a request got, in one line."""
    text = Text(f"{found['address']} for {found['owner']}: ")
    how = "again" if found["again"] else "warm" if found["warm"] else "cold"
    text.append(how, style="green" if found["warm"] else "yellow")
    text.append(f", MAC {found['mac']}, sequence {found['sequence']}")
    if found["external"]:
        text.append(f", outside {found['external']}")
    if found["host"]:
        text.append(f", on {found['host']}")
    if found["ready_ms"] is not None:
        text.append(f", listening after {found['ready_ms']:.1f} ms")
    return text


def addresses(rows: Sequence[Json]) -> Table:
    """Addresses, one a line."""
    shown = table(
        "Addresses", "address", "state", "for", "owner", "MAC", "host", "shard", "sequence",
        right=("for", "sequence"),
    )  # fmt: skip
    now_s = time.time()
    for row in rows:
        shown.add_row(
            row["address"],
            Text(row["state"], style=STYLES.get(row["state"], "")),
            age(now_s - row["since_s"]),
            row["owner"] or NONE,
            row["mac"] or NONE,
            row["host"] or NONE,
            row["shard"],
            str(row["sequence"]),
        )
    return shown


def shards(state: Json) -> RenderableType:
    """Everything about shards."""
    parts: list[RenderableType] = [_shards(state["shards"]), _subdivisions(state["subdivisions"])]
    parts.append(Text(f"Fragmentation of the free space: {100 * state['fragmentation']:.0f} %"))
    found = state["compaction"]
    if found["moves"]:
        parts.append(
            Text(
                f"Compaction {found['id']}: {found['routes_before']} routes become "
                f"{found['routes_after']}; approve it with umbra shards compact {found['id']}"
            )
        )
        parts.append(moves(found["moves"]))
    if found["approved"]:
        parts.append(Text(f"{len(found['approved'])} moves are approved and under way"))
    for name in state["hosts_down"]:
        parts.append(Text(f"The agent of host {name} does not answer", style="red"))
    for one in state["steps"][:MOST_STEPS]:
        parts.append(Text(f"{clock(one['time_s'])} {one['act']} {one['what']}: {one['reason']}"))
    return Group(*parts)


def moves(rows: Sequence[Json]) -> Table:
    """The moves of a compaction."""
    shown = table("Moves", "subdivision", "from", "to", "in use", "why", right=("in use",))
    for row in rows:
        shown.add_row(
            row["subdivision"], row["source"], row["target"], str(row["in_use"]), row["reason"]
        )
    return shown


def _shards(rows: Sequence[Json]) -> Table:
    counts = ("granted", "held", "cooling", "reserved", "of")
    shown = table(
        "Shards", "prefix", "subdivision", "state", "for", *counts, "routes", right=("for", *counts)
    )
    now_s = time.time()
    for row in rows:
        shown.add_row(
            row["prefix"],
            row["subdivision"] or NONE,
            Text(row["state"], style=STYLES.get(row["state"], "")),
            age(now_s - row["since_s"]),
            *(str(row[name]) for name in counts[:-1]),
            str(row["capacity"]),
            "yes" if row["routed"] else Text("no", style="red"),
        )
    return shown


def _subdivisions(rows: Sequence[Json]) -> Table:
    shown = table(
        "Subdivisions", "name", "granted", "warm", "needed", "expected/s", "instances", "Mbit/s", "score",
        "routes", "full",
        right=("granted", "warm", "needed", "expected/s", "instances", "Mbit/s", "score"),
    )  # fmt: skip
    for row in rows:
        demand = row["demand"]
        shown.add_row(
            row["name"],
            str(row["counts"]["granted"]),
            str(row["counts"]["held"]),
            " + ".join(str(one["needed"]) for one in row["warm"]) or NONE,
            number(row["expected_per_s"], 2),
            _interval(demand["instances"], 1.0) if demand else NONE,
            _interval(demand["bandwidth_bps"], 1e6) if demand else NONE,
            number(demand["score"] if demand else None),
            ", ".join(row["routes"]) or NONE,
            row["full"] or NONE,
        )
    return shown


def _interval(found: Json, unit: float) -> str:
    """Expected, and between which bounds: 12 (9–20)."""
    low, expected, high = (found[name] / unit for name in ("low", "expected", "high"))
    return f"{expected:.0f} ({low:.0f}-{high:.0f})"
