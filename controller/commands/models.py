"""Commands about kept forecasting models: list, show, promote, rollback."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.commands import model_tables
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    fail,
    get,
    out,
    post,
    print_json,
    say,
)

models = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)
DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--models", metavar="DIR", help="read this directory instead of asking the daemon"
    ),
]


@models.callback()
def default(
    context: typer.Context,
    directory: DirectoryOption = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """The forecasting models: which serves, which predict in the dark, how they compare."""
    if context.invoked_subcommand is None:
        listed(directory, api, token_file, as_json)


@models.command("list", epilog="Example: umbra models list")
def listed(
    directory: DirectoryOption = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every kept version, the newest first, and the latest decisions about them."""
    state = _state(directory, api, token_file)
    if as_json:
        print_json(state)
        return
    console = out()
    console.print(model_tables.versions(state["versions"], time.time()))
    if "dark" in state:
        console.print(model_tables.serving(state), soft_wrap=True)
        for event in state["recent"][:5]:
            console.print(model_tables.event(event), soft_wrap=True)


@models.command(epilog="Example: umbra models show 20260131T120000Z-1a2b3c4d")
def show(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="or its first characters")],
    directory: DirectoryOption = None,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known about a version: data, settings, figures, why it stands where it does."""
    found = _one(_state(directory, api, token_file), version)
    if as_json:
        print_json(found)
    else:
        out().print(model_tables.version(found))


@models.command(epilog="Example: umbra models promote 20260131T120000Z-1a2b3c4d")
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="or its first characters")],
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a version into service now, whatever the comparison says. No test takes that back."""
    client = daemon(api, token_file)
    name = _one(get(client, "models"), version)["id"]
    _said(post(client, "models/promote", {"version": name}), as_json)


@models.command(epilog="Example: umbra models rollback")
def rollback(
    api: ApiOption = API_DEFAULT, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Put the champion before into service again."""
    _said(post(daemon(api, token_file), "models/rollback", {}), as_json)


def _said(state: dict[str, Any], as_json: bool) -> None:
    say(state, as_json, f"{state['serving']} serves")


def _state(directory: Path | None, api: str, token_file: Path | None) -> dict[str, Any]:
    """As the daemon's API says it; from a directory, only the versions."""
    if directory is None:
        state: dict[str, Any] = get(daemon(api, token_file), "models")
        return state
    from controller.learning.assembly import METRIC
    from ml.life.registry import Registry, RegistryError

    try:
        registry = Registry(directory, METRIC)
        if not registry.path.is_dir():
            fail(f"{directory} holds no models; umbra train makes one", 1)
        versions = [
            {**one.version.to_json(), **one.standing.to_json()} for one in registry.entries()
        ]
    except RegistryError as error:
        fail(str(error), 1)
    return {"metric": METRIC, "directory": str(registry.path), "versions": versions}


def _one(state: dict[str, Any], version: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        one for one in state["versions"] if one["id"].startswith(version)
    ]
    if len(found) != 1:
        what = "no version" if not found else f"{len(found)} versions"
        known = ", ".join(one["id"] for one in state["versions"]) or "none"
        fail(f"{what} of that name: {version}; there are: {known}", 1)
    return found[0]
