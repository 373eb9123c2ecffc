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
    overview,
    show,
)

shadows = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)


overview(
    shadows,
    "shadows",
    shadow_tables.assignments,
    "Show every router's shadows: how far they are, in which failure domain, what they carry.",
)


@shadows.command(epilog="Example: umbra shadows why r1")
def why(
    router: Annotated[str, typer.Argument(metavar="NAME", help="whose shadows")],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all candidates of a router, and why each is its shadow, or is not."""
    found = get(daemon(api, token_file), f"shadows/{quote(router, safe='')}")
    show(found, as_json, lambda told: shadow_tables.why(told, time.time()))
