"""Commands that look at a running daemon: status, routers, decisions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from controller.commands import store_tables, tables
from controller.commands.client import Api
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    get,
    out,
    print_json,
    show,
)
from controller.model import Kind

POLL_S = 0.5
MOST_AT_ONCE = 1000


def status(
    api: ApiOption = API_DEFAULT, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Show the daemon, its switches, routers and services."""
    client = daemon(api, token_file)
    state = get(client, "state")
    if as_json:
        print_json(state)
        return
    health = get(client, "health")
    console = out()
    console.print(tables.header(state, health["version"], api))
    console.print(tables.nodes(state["nodes"], state["time_s"]))
    console.print(tables.routers(state["routers"]))
    console.print(tables.services(state["services"]))
    if state["replicas"]:
        console.print(tables.replicas(state["replicas"], state["time_s"]))
    if state["store"].get("delivery"):
        console.print(store_tables.delivery(state["store"]["delivery"]), soft_wrap=True)
    if state["troubles"]:
        console.print(tables.troubles(state["troubles"]), soft_wrap=True)


def routers(
    horizon_s: Annotated[
        float, typer.Option("--horizon", metavar="SECONDS", help="which forecast to show")
    ] = 30.0,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the service routers: connections, thresholds, shifts and forecasts."""
    found = get(daemon(api, token_file), "routers")
    show(found, as_json, lambda rows: tables.routers(rows, horizon_s))


def decisions(
    router: Annotated[str | None, typer.Option(help="only of this router")] = None,
    kind: Annotated[Kind | None, typer.Option(help="only of this kind")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_AT_ONCE, help="at most so many")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as they come")] = False,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was decided and why, the newest last."""
    client = daemon(api, token_file)
    chosen = kind.value if kind is not None else None
    found = get(client, "decisions", limit=limit, router=router, kind=chosen)
    oldest_first = list(reversed(found))
    if as_json and not follow:
        print_json(oldest_first)
        return
    for item in oldest_first:
        _show(item, as_json)
    if not follow:
        if not found:
            out().print("no decisions yet" if router is None else f"no decisions for {router} yet")
        return
    try:
        for item in _news(client, oldest_first, router, chosen):
            _show(item, as_json)
    except KeyboardInterrupt:
        return


def _show(item: dict[str, Any], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(item) + "\n")
        sys.stdout.flush()
    else:
        out().print(tables.decision(item), soft_wrap=True)


def _news(
    client: Api, seen: list[dict[str, Any]], router: str | None, kind: str | None
) -> Iterator[dict[str, Any]]:
    """Decisions that come after `seen`, for ever."""
    # Several decisions share a cycle's time, so the last moment is asked for again and the ids
    # that were already shown at it are left out.
    last_s = max((item["time_s"] for item in seen), default=0.0)
    at_last = {item["id"] for item in seen if item["time_s"] == last_s}
    while True:
        time.sleep(POLL_S)
        found = get(
            client, "decisions", limit=MOST_AT_ONCE, router=router, kind=kind, since_s=last_s
        )
        for item in reversed(found):
            if item["id"] in at_last:
                continue
            if item["time_s"] > last_s:
                last_s, at_last = item["time_s"], set()
            at_last.add(item["id"])
            yield item
