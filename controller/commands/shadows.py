"""Commands about shadows: who is whose, and why."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import quote

import typer

from controller.commands import shadow_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    get,
    out,
    print_json,
)

shadows = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


@shadows.callback()
def listed(
    context: typer.Context,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every router's shadows: how far they are, in which failure domain, what they carry."""
    if context.invoked_subcommand is not None:
        return
    rows = get(daemon(api, token_file), "shadows")
    if as_json:
        print_json(rows)
    else:
        out().print(shadow_tables.assignments(rows))


@shadows.command(epilog="Example: umbra shadows why r1")
def why(
    router: Annotated[str, typer.Argument(metavar="NAME", help="whose shadows")],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all candidates of a router, and why each is its shadow, or is not."""
    found = get(daemon(api, token_file), f"shadows/{quote(router, safe='')}")
    if as_json:
        print_json(found)
    else:
        out().print(shadow_tables.why(found, time.time()))
