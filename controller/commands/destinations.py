"""Commands about destinations: what is asked for from where, copies, redirects; and saying that a copy fails."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.commands import destination_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    overview,
    post,
    say,
)

destinations = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)
ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="whose copy")]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE", help="where it is")]


overview(
    destinations,
    "destinations",
    destination_tables.destinations,
    "Show demand by location, copies of services, redirects, what these achieved, and why.",
)


@destinations.command(epilog="Example: umbra destinations fail web east")
def fail(
    service: ServiceArgument,
    site: SiteArgument,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a copy fails: new connections leave it at once, for another copy or the primary."""
    _mark(service, site, True, api, token_file, as_json)


@destinations.command(epilog="Example: umbra destinations well web east")
def well(
    service: ServiceArgument,
    site: SiteArgument,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take that back: after having been well for a while, the copy may be used again."""
    _mark(service, site, False, api, token_file, as_json)


def _mark(
    service: str, site: str, failed: bool, api: str, token_file: TokenOption, as_json: bool
) -> None:
    body = {"service": service, "site": site, "failed": failed}
    state = post(daemon(api, token_file), "destinations/copies", body)
    told = "fails" if failed else "is well again"
    say(state, as_json, f"{service}'s copy at {site} {told}")
