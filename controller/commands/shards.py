"""Commands about shards: what there is, and approving a compaction."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.commands import address_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    get,
    out,
    overview,
    post,
    say,
)

shards = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


overview(
    shards,
    "shards",
    address_tables.shards,
    "Show shards, subdivisions and their demand, how scattered the free space is, and what could be joined.",
)


@shards.command(epilog="Example: umbra shards compact 3f1c0a9be2d4")
def compact(
    plan: Annotated[str, typer.Argument(metavar="ID", help="as umbra shards shows it")],
    yes: Annotated[bool, typer.Option("--yes", help="do it without asking")] = False,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a compaction: new shards are claimed beside the others, the scattered ones drain."""
    client = daemon(api, token_file)
    if not yes:
        found = get(client, "shards")["compaction"]
        if found["id"] == plan:
            out().print(address_tables.moves(found["moves"]))
        typer.confirm("These shards give no more addresses. Go on?", abort=True)
    moves = post(client, "shards/compact", {"id": plan})
    say(moves, as_json, f"{len(moves)} shards are being moved")
