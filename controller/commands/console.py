"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

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


def bar() -> Progress:
    """Progress on stderr, to be used as a context; gone when it is over."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
    )


def print_json(value: Any) -> None:
    """`value` as JSON, one object, not wrapped and not coloured."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def show(value: Any, as_json: bool, draw: Callable[[Any], RenderableType]) -> None:
    """`value` as JSON, or as a table."""
    if as_json:
        print_json(value)
    else:
        out().print(draw(value))


def say(value: Any, as_json: bool, line: RenderableType) -> None:
    """`value` as JSON, or the line that tells of it."""
    if as_json:
        print_json(value)
    else:
        out().print(line, soft_wrap=True)


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


def overview(
    group: typer.Typer, path: str, draw: Callable[[Any], RenderableType], about: str
) -> None:
    """What a group does when none of its commands is named: show what the daemon has at `path`. about: its help."""

    @group.callback(help=about)
    def shown(
        context: typer.Context,
        api: ApiOption = API_DEFAULT,
        token_file: TokenOption = None,
        as_json: JsonOption = False,
    ) -> None:
        if context.invoked_subcommand is None:
            show(get(daemon(api, token_file), path), as_json, draw)
