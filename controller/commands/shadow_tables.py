"""Shadows as tables for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from controller.commands.tables import NONE, age, clock, number, table

Json = Mapping[str, Any]
STYLES = {"shadow": "green", "candidate": "", "full": "yellow", "failed": "red", "unusable": "red"}


def _trip(item: Json) -> str:
    """A round trip; a star marks one that is not measured."""
    if item["round_trip_ms"] is None:
        return NONE
    return f"{item['round_trip_ms']:.2f}{'' if item['measured'] else '*'}"


def assignments(rows: Sequence[Json]) -> RenderableType:
    """Who is whose shadow."""
    shown = table(
        "Shadows", "router", "domain", "shadow", "in domain", "there and back ms", "is shadow of",
        "carries packets/s", right=("there and back ms", "carries packets/s"),
    )  # fmt: skip
    for row in rows:
        own = row["shadows"] or [None]
        for index, shadow in enumerate(own):
            first = index == 0
            shown.add_row(
                row["router"] if first else "",
                row["domain"] if first else "",
                shadow["name"] if shadow else Text("none", style="red"),
                shadow["domain"] if shadow else NONE,
                _trip(shadow) if shadow else NONE,
                ", ".join(row["primaries"]) or NONE if first else "",
                _carries(row["carries_pps"]) if first else "",
            )
    return Group(shown, *_star(shadow for row in rows for shadow in row["shadows"]))


def why(found: Json, now_s: float) -> RenderableType:
    """All candidates of one router."""
    rules = found["rules"]
    parts: list[RenderableType] = [
        Text(
            f"{found['router']} in {found['domain']}: {rules['per_router']} shadows, one of them in "
            f"another failure domain if one is within {rules['near_ms']:g} ms; replaced by who is "
            f"{rules['margin']:g} times better for {rules['patience_s']:g} s"
        )
    ]
    shown = table(
        f"Candidates of {found['router']}", "name", "state", "domain", "there and back ms", "± ms",
        "free/cap.", "counted on by", "cost ms", "why",
        right=("there and back ms", "± ms", "free/cap.", "counted on by", "cost ms"),
    )  # fmt: skip
    for one in found["candidates"]:
        spread = one["spread_ms"]
        shown.add_row(
            one["name"],
            Text(one["state"].replace("_", " "), style=STYLES.get(one["state"], "yellow")),
            one["domain"],
            _trip(one),
            number(spread / 2 if spread is not None else None, 2),
            f"{number(one['available'])}/{number(one['capacity'])}",
            str(one["primaries"]),
            number(one["cost_ms"], 2),
            one["why"],
        )
    parts += [shown, *_star(found["candidates"])]
    tested = [one for one in found["candidates"] if one["load_test"] or one["load_test_trouble"]]
    if tested:
        parts.append(_tests(tested))
    if found["changes"]:
        parts.append(Text("Changes", style="bold"))
        parts += [_change(one, now_s) for one in reversed(found["changes"])]
    return Group(*parts)


def _tests(rows: Sequence[Json]) -> RenderableType:
    shown = table(
        "Synthetic load", "name", "age", "clean packets/s", "of", "lost %", "mean ms", "most ms",
        "bound packets/s", "ended", right=("age", "clean packets/s", "of", "lost %", "mean ms",
        "most ms", "bound packets/s"),
    )  # fmt: skip
    for one in rows:
        test = one["load_test"]
        if test is None:
            shown.add_row(one["name"], *[NONE] * 7, one["load_test_trouble"])
            continue
        last = test["steps"][-1] if test["steps"] else None
        shown.add_row(
            one["name"],
            age(test["age_s"]),
            number(test["clean_pps"]),
            number(test["target_pps"]),
            number(last["lost_pct"] if last else None, 1),
            number(last["mean_ms"] if last else None, 2),
            number(last["max_ms"] if last else None, 2),
            _carries(one["carries_pps"]),
            one["load_test_trouble"] or test["stopped"] or "at its target",
        )
    return shown


def _carries(pps: float | None) -> str:
    return "no bound" if pps is None else number(pps)


def _star(items: Any) -> list[Text]:
    unmeasured = any(one["round_trip_ms"] is not None and not one["measured"] for one in items)
    return [Text("* not measured: after the configured delays", style="dim")] if unmeasured else []


def _change(one: Json, now_s: float) -> Text:
    line = Text(f"{clock(one['time_s'])}  ({age(now_s - one['time_s'])} ago)  ")
    if one["before"] and one["after"]:
        line.append(f"{one['before']} → {one['after']}", style="yellow")
    elif one["after"]:
        line.append(f"+ {one['after']}", style="green")
    else:
        line.append(f"- {one['before']}", style="red")
    line.append(f"  {one['why']}")
    return line
