"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from controller.commands.client import DEFAULT_URL, Api, ClientError

PIPED_WIDTH = 160  # columns for tables that nobody's terminal bounds

ApiOption = Annotated[
    str, typer.Option("--api", envvar="UMBRA_API", metavar="URL", help="where the daemon listens")
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="UMBRA_TOKEN_FILE",
        metavar="FILE",
        help="file with the bearer token, when the daemon wants one",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
API_DEFAULT = DEFAULT_URL


def out() -> Console:
    """The console for results. Made anew each time, so that it follows a redirected stdout."""
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, width=PIPED_WIDTH)


def err() -> Console:
    """The console for errors and progress."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """`value` as JSON, one object, not wrapped and not coloured."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def fail(message: str, exit_code: int) -> NoReturn:
    """One clear line on stderr, and the end."""
    err().print("umbra:", message, style="red")
    raise typer.Exit(exit_code)


def daemon(url: str, token_file: Path | None) -> Api:
    """The daemon's API."""
    return Api(url, token_file)


def get(api: Api, path: str, **params: str | int | float | None) -> Any:
    """As Api.get; ends the command when that fails."""
    try:
        return api.get(path, **params)
    except ClientError as error:
        fail(str(error), error.exit_code)


def post(api: Api, path: str, body: dict[str, Any]) -> Any:
    """As Api.post; ends the command when that fails."""
    try:
        return api.post(path, body)
    except ClientError as error:
        fail(str(error), error.exit_code)
