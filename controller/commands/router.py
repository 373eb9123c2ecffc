"""Commands that take a router out of service and put it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer

from controller.commands.client import Api
from controller.commands.console import (
    API_DEFAULT,
    ApiOption,
    JsonOption,
    TokenOption,
    daemon,
    err,
    fail,
    get,
    post,
    say,
)

POLL_S = 0.2

router = typer.Typer(
    help="Take a router out of service, and put it back: drain, undrain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="which router")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="for its end; 0: do not wait")
]


@router.command(epilog="Example: umbra router drain r1")
def drain(
    name: Name,
    wait_s: Wait = 120.0,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a router out of service: its shadows take over all its connections, none is lost.

    Exit code 1 when that is refused, or is not done in time (it then goes on).
    """
    client = daemon(api, token_file)
    post(client, f"routers/{quote(name, safe='')}/drain", {})
    state, done = _follow(
        client,
        name,
        wait_s,
        lambda now: now["move"] is not None and now["move"]["step"] == "drained",
    )
    takers = ", ".join(state["stand_ins"])
    _end(state, as_json, f"is drained: {takers} have its connections" if done else None)


@router.command(epilog="Example: umbra router undrain r1")
def undrain(
    name: Name,
    wait_s: Wait = 120.0,
    api: ApiOption = API_DEFAULT,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a drained router back into service, with its connections."""
    client = daemon(api, token_file)
    post(client, f"routers/{quote(name, safe='')}/undrain", {})
    state, done = _follow(
        client, name, wait_s, lambda now: not now["stand_ins"] and now["move"] is None
    )
    _end(state, as_json, "is in service" if done else None)


def _follow(
    client: Api, name: str, wait_s: float, done: Callable[[dict[str, Any]], bool]
) -> tuple[dict[str, Any], bool]:
    """The router's state once it is done, and whether it is; progress goes to stderr."""
    path = f"routers/{quote(name, safe='')}"
    deadline_s = time.monotonic() + wait_s
    with err().status(f"{name} …") as shown:
        while True:
            state: dict[str, Any] = get(client, path)
            finished = done(state)
            if finished or wait_s == 0:
                return state, finished
            text = _text(state["move"])
            shown.update(f"{name}: {text}")
            if time.monotonic() > deadline_s:
                fail(
                    f"{name}: not done after {wait_s:g} s: {text}; it goes on "
                    "(umbra status shows how far it is)",
                    1,
                )
            time.sleep(POLL_S)


def _text(move: dict[str, Any] | None) -> str:
    if move is None:
        return "it waits for its turn"
    error = f" ({move['error']}; it is tried again)" if move["error"] else ""
    return f"{move['step']}{error}"


def _end(state: dict[str, Any], as_json: bool, said: str | None) -> None:
    """said: what it is now; None while it is under way."""
    now = f" {said}" if said else f": {_text(state['move'])}"
    say(state, as_json, f"{state['name']}{now}")
