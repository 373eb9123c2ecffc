"""The daemon's state as tables and lines for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]
NONE = "-"
KIND_STYLES = {
    "shift": "yellow",
    "restore": "green",
    "hold": "magenta",
    "manual": "cyan",
    "freeze": "blue",
    "unfreeze": "blue",
    "failover": "bold red",
    "failback": "green",
    "drain": "cyan",
    "undrain": "cyan",
}


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """`value` with so many digits, or a dash when it is not known."""
    if value is None:
        return NONE
    return f"{value:.{digits}f}{unit}"


def age(seconds: float) -> str:
    """A duration in the largest unit that fits: 59 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def clock(time_s: float) -> str:
    """Unix time as local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(time_s))


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the style of all of them. right: columns of numbers."""
    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return shown


def nodes(rows: Sequence[Json], now_s: float) -> Table:
    """The switches."""
    shown = table(
        "Switches", "name", "stage", "site", "address", "state", "for", "entries", "last error",
        right=("for", "entries"),
    )  # fmt: skip
    for node in rows:
        if not node["up"]:
            state = Text("down", style="red")
        elif node["reconciled"]:
            state = Text("up", style="green")
        else:
            state = Text("up, reconciling", style="yellow")
        since = node["since_s"]
        shown.add_row(
            node["name"],
            node["stage"],
            node["site"],
            node["address"],
            state,
            age(now_s - since) if since is not None else NONE,
            str(node["entries"]),
            Text(node["last_error"] or ""),
        )
    return shown


def _notes(router: Json) -> Text:
    notes = Text()
    for condition, words, style in (
        (router["health"] in ("dead", "suspect"), router["health"], "bold red"),
        (router["health"] == "returning", "returning", "yellow"),
        (router["drained"], "drained", "cyan"),
        (bool(router["stand_ins"]), f"on {', '.join(router['stand_ins'])}", "yellow"),
        (
            router["move"] is not None and router["move"]["step"] != "drained",
            router["move"]["step"] if router["move"] else "",
            "yellow",
        ),
        (not router["up"], "down", "red"),
        (router["breach"], "in breach", "bold red"),
        (bool(router["refused_per_s"]), f"refuses {number(router['refused_per_s'], 1)}/s", "red"),
        (router["frozen"], "frozen", "blue"),
        (router["manual_pct"] is not None, "set by hand", "cyan"),
        (router["anomaly_severity"] > 0, f"anomaly {router['anomaly_severity']:.1f}/5", "yellow"),
    ):
        if condition:
            notes.append(", " if notes else "")
            notes.append(words, style=style)
    return notes


def _at(forecast: Json, horizon_s: float) -> Json:
    """The forecast's horizon nearest to `horizon_s`."""
    nearest: Json = min(forecast["horizons"], key=lambda item: abs(item["horizon_s"] - horizon_s))
    return nearest


def _band(forecast: Json | None, horizon_s: float) -> str:
    """The median, with the outermost quantiles."""
    if forecast is None or not forecast["horizons"]:
        return NONE
    quantiles = _at(forecast, horizon_s)["quantiles"]
    names = sorted(quantiles)
    low, high = quantiles[names[0]], quantiles[names[-1]]
    return f"{number(quantiles.get('p50'))} [{number(low)}…{number(high)}]"


def _expected_breach(forecast: Json | None) -> str:
    if forecast is None:
        return NONE
    text = f"{forecast['breach_probability'] * 100:.0f} %"
    if forecast["lead_s"] is not None:
        text = f"{text} in {forecast['lead_s']:.0f} s"
    return f"{text}, alarm" if forecast["alarm"] else text


def routers(rows: Sequence[Json], horizon_s: float = 30.0) -> Table:
    """The service routers. The forecast is of the connections alive at the nearest horizon."""
    horizons = {
        _at(router["forecast"], horizon_s)["horizon_s"]
        for router in rows
        if router["forecast"] and router["forecast"]["horizons"]
    }
    ahead = f"live in {min(horizons, default=horizon_s):g} s"
    columns = ("name", "live/cap.", "free (min)", "new/s", "shifted", ahead, "breach", "notes")
    shown = table("Service routers", *columns, right=columns[1:4])
    for router in rows:
        shifted = f"{router['shift_pct']:g} %"
        if router["shift_pct"] and router["shadows"]:
            shifted += f" to {', '.join(router['shadows'])}"
        for other, pct in router.get("ordered", {}).items():
            shifted += f", {pct:g} % ordered to {other}"
        shown.add_row(
            router["name"],
            f"{number(router['live'])}/{router['capacity'] or NONE}",
            f"{number(router['available'])} ({router['threshold_available']})",
            number(router["new_per_s"], 1),
            shifted,
            _band(router["forecast"], horizon_s),
            _expected_breach(router["forecast"]),
            _notes(router),
        )
    return shown


def replicas(rows: Sequence[Json], now_s: float) -> Table:
    """How complete each shadow's replicas are."""
    columns = ("of", "on", "state", "for", "connections", "passes", "why")
    shown = table("Replicas", *columns, right=columns[3:6])
    styles = {"synced": "green", "failed": "red"}
    for pair in rows:
        status = pair["status"]
        if status == "running" and pair["total"]:
            status += f" {100 * pair['done'] // pair['total']} %"
        state = Text(status, style=styles.get(pair["status"], "yellow"))
        why = Text(pair["reason"])
        if pair["error"]:
            why.append(f": {pair['error']}", style="red")
        since = age(now_s - pair["time_s"])
        sent, passes = str(pair["sent"]), str(pair["passes"])
        shown.add_row(pair["primary"], pair["shadow"], state, since, sent, passes, why)
    return shown


def services(rows: Sequence[Json]) -> Table:
    """The service addresses and how each edge shares out their new connections."""
    shown = table("Services", "id", "name", "address", "edge", "shares of new connections")
    for service in rows:
        by_edge: dict[str, list[str]] = {}
        for share in service["shares"]:
            by_edge.setdefault(share["edge"], []).append(f"{share['router']} {share['pct']} %")
        name = f"{service['address']}:{service['port']}/{service['protocol']}"
        first = [str(service["id"]), service["name"], name]
        for edge, shares in sorted(by_edge.items()) or [(NONE, [NONE])]:
            shown.add_row(*first, edge, ", ".join(shares))
            first = ["", "", ""]
    return shown


def header(state: Json, version: str, url: str) -> Text:
    """One line on the loop and on what persons asked for."""
    cycle = state["cycle"]
    up = sum(1 for node in state["nodes"] if node["up"])
    total = len(state["nodes"])
    line = Text(f"umbra {version} at {url}: ")
    line.append(f"{up} of {total} switches up", style="green" if up == total else "red")
    line.append(f"; cycle {cycle['number']}, one every {cycle['period_s']:g} s")
    if "total" in cycle["last_ms"]:
        line.append(f", the last took {cycle['last_ms']['total']:.0f} ms")
    line.append("; predictive" if cycle["predictive"] else "; thresholds only")
    if state["frozen"]:
        line.append("; frozen", style="bold blue")
    if state["dry_run"]:
        line.append("; dry run: nothing is written", style="bold yellow")
    return line


def troubles(found: Mapping[str, str]) -> Text:
    """What goes wrong now, one line each."""
    lines = [f"{name}: {what}" for name, what in sorted(found.items())]
    return Text("\n".join(("Troubles", *lines)), style="red")


def decision(item: Json) -> Text:
    """One decision as one line of a log."""
    line = Text(f"{clock(item['time_s'])}  ")
    line.append(f"{item['kind']:<8}", style=KIND_STYLES.get(item["kind"], ""))
    router = "all" if item["router"] == "*" else item["router"]
    line.append(f"  {router:<6}  ")
    before, after = item["shift_before_pct"], item["shift_after_pct"]
    if item["kind"] not in ("freeze", "unfreeze"):
        line.append(f"{before:g} → {after:g} %" if before != after else f"stays at {after:g} %")
        if item["shadows"]:
            line.append(f" to {', '.join(item['shadows'])}")
        line.append(f"  {item['trigger']}: ")
    line.append(item["reason"])
    if item["dry_run"]:
        line.append("  (dry run, not written)", style="yellow")
    elif item["written"]:
        line.append(f"  written to {', '.join(item['written'])}", style="dim")
        if item["decide_to_written_ms"] is not None:
            line.append(f" in {item['decide_to_written_ms']:.1f} ms", style="dim")
    for switch, error in item["failed"]:
        line.append(f"  NOT written to {switch}: {error}", style="red")
    return line
