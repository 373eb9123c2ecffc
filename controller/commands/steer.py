"""Commands that steer a running daemon: freeze, unfreeze, weight, dry-run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    fail,
    post,
    say,
)


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def freeze(
    router: Annotated[str | None, typer.Argument(metavar="[ROUTER]", help="default: all")] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave the shares as they are, of one router or of all, until unfreeze."""
    answer = post(daemon(api, token_file), "freeze", {"router": router})
    _say(answer, as_json)


def unfreeze(
    router: Annotated[str | None, typer.Argument(metavar="[ROUTER]", help="default: all")] = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the planner change shares again."""
    answer = post(daemon(api, token_file), "unfreeze", {"router": router})
    _say(answer, as_json)


def weight(
    router: Annotated[str, typer.Argument(help="whose new connections")],
    pct: Annotated[
        str, typer.Argument(metavar="PCT|auto", help="percent for its shadows, or auto")
    ],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set by hand how much of a router's new connections its shadows take."""
    shift_pct: int | None = None
    if pct != "auto":
        text = pct.removesuffix("%").strip()
        if not text.isdigit():
            fail(f"weight {pct!r}: it must be a whole number of percent, or auto", 2)
        shift_pct = int(text)
    path = f"routers/{quote(router, safe='')}/weight"
    answer = post(daemon(api, token_file), path, {"shift_pct": shift_pct})
    if shift_pct is None:
        told = f"the planner decides again; {answer['shift_pct']:g} % shifted now"
    else:
        told = (
            f"{shift_pct} % of its new connections are to go to its shadows, from the next cycle on "
            f"(umbra decisions --router {router} tells what came of it; umbra weight {router} auto undoes it)"
        )
    say(answer, as_json, f"{router}: {told}")


def dry_run(
    switch: Annotated[Switch, typer.Argument(help="on: decide and record, write nothing")],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide and record, but write nothing to the switches."""
    answer = post(daemon(api, token_file), "dry-run", {"on": switch is Switch.ON})
    _say(answer, as_json)


def _say(answer: dict[str, Any], as_json: bool) -> None:
    if answer["frozen"]:
        frozen = "all routers are frozen"
    elif answer["frozen_routers"]:
        frozen = "frozen: " + ", ".join(answer["frozen_routers"])
    else:
        frozen = "nothing is frozen"
    written = "dry run: nothing is written" if answer["dry_run"] else "decisions are written"
    say(answer, as_json, f"{frozen}; {written}")
