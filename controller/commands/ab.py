"""Commands about comparisons of a variant with a primary: start, show, stop."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from controller.commands import resource_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    fail,
    overview,
    post,
    show,
)

comparisons = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)
PrimaryArgument = Annotated[str, typer.Argument(metavar="PRIMARY", help="whose connections")]


class MetricName(StrEnum):
    """What is compared."""

    LATENCY = "latency"
    LOSS = "loss"
    REFUSALS = "refusals"


overview(
    comparisons,
    "ab",
    resource_tables.comparisons,
    "Show comparisons: shares, both arms, intervals that hold at all times, verdicts.",
)


@comparisons.command(epilog="Example: umbra ab start r1 r1b --shares 1,5,25 --better-on latency")
def start(
    primary: PrimaryArgument,
    variant: Annotated[
        str, typer.Argument(metavar="VARIANT", help="a router that no service names")
    ],
    shares: Annotated[
        str | None, typer.Option(metavar="PCT,PCT…", help="of new connections, rising")
    ] = None,
    better_on: Annotated[
        MetricName | None, typer.Option(help="it must be shown to be better there")
    ] = None,
    longest_s: Annotated[
        float | None, typer.Option(min=1.0, help="then it ends undecided, seconds")
    ] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a variant a share of a primary's new connections; it is taken back when it is shown to be worse."""
    body: dict[str, Any] = {
        "primary": primary,
        "variant": variant,
        "shares_pct": None if shares is None else _shares(shares),
        "better_on": None if better_on is None else better_on.value,
        "longest_s": longest_s,
    }
    show(post(daemon(api, token_file), "ab/start", body), as_json, resource_tables.comparison)


@comparisons.command(epilog="Example: umbra ab stop r1")
def stop(
    primary: PrimaryArgument,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a comparison; new connections go to the primary alone. Connections that exist stay where they are."""
    found = post(daemon(api, token_file), "ab/stop", {"primary": primary})
    show(found, as_json, resource_tables.comparison)


def _shares(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError:
        fail(f"--shares {text}: write whole percents such as 1,5,25", 2)
