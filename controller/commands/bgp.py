"""Commands about the BGP speaker, which runs whether or not a controller does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from controller.act.bgp import BgpSpeaker, BgpSpeakerError, Held
from controller.commands.configured import configured
from controller.commands.console import JsonOption, fail, out, print_json
from controller.commands.tables import NONE, age, table
from controller.config.addressing_files import RUN_DIR

bgp = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)

NOT_RUNNING = 1
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="a configuration that names that directory"),
]
RunDirOption = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        envvar="UMBRA_BGP_DIR",
        metavar="DIR",
        help="where the speaker has its socket and its log",
    ),
]


@bgp.callback()
def sessions(
    context: typer.Context,
    run_dir: RunDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the sessions with real routers: their state, and how many routes each was told."""
    run_dir = run_dir if run_dir is not None else _configured(config)
    context.obj = run_dir
    if context.invoked_subcommand is not None:
        return
    held = _held(run_dir)
    if held is None:
        fail(
            f"no BGP speaker serves {run_dir}: the controller starts it with its first route",
            NOT_RUNNING,
        )
    if as_json:
        print_json({"pid": held.pid, "peers": [asdict(state) for state in held.peers]})
    else:
        out().print(shown(held, time.time()))


@bgp.command(epilog="Example: umbra bgp --run-dir /run/umbra routes border")
def routes(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="the router's name or address")],
    as_json: JsonOption = False,
) -> None:
    """Show what one router is told."""
    held = _held(context.obj)
    if held is None:
        fail(f"no BGP speaker serves {context.obj}", NOT_RUNNING)
    address = next(
        (state.address for state in held.peers if peer in (state.name, state.address)), None
    )
    if address is None:
        names = ", ".join(state.name for state in held.peers) or "none"
        fail(f"no BGP peer {peer}; there are: {names}", 2)
    told = sorted(held.routes.get(address, {}).values(), key=lambda route: route.prefix)
    if as_json:
        print_json([asdict(route) for route in told])
        return
    rows = table(f"Told to {peer}", "prefix", "next hop", "LOCAL_PREF", "MED", "communities")
    for route in told:
        marks = " ".join(f"{first}:{second}" for first, second in route.communities)
        rows.add_row(route.prefix, route.next_hop, str(route.local_pref), str(route.med), marks)
    out().print(rows)


@bgp.command(epilog="Example: umbra bgp --run-dir /run/umbra stop --yes")
def stop(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="do it without asking")] = False,
) -> None:
    """End the speaker: every router forgets every shard at once."""
    if not yes:
        typer.confirm("Every route is withdrawn from every router. Go on?", abort=True)
    asyncio.run(BgpSpeaker(context.obj).stop())


def shown(held: Held, now_s: float) -> Table:
    """The sessions as a table."""
    rows = table(
        "BGP", "peer", "address", "AS", "state", "for", "told", "to tell", "sessions", "last error",
        right=("AS", "for", "told", "to tell", "sessions"),
    )  # fmt: skip
    for state in held.peers:
        style = "green" if state.settled else "yellow" if state.state == "Established" else "red"
        rows.add_row(
            state.name,
            state.address,
            str(state.remote_as),
            Text(state.state, style=style),
            age(now_s - state.since_s),
            str(state.advertised),
            str(state.wanted),
            str(state.sessions),
            state.last_error or NONE,
        )
    return rows


def _configured(file: Path | None) -> Path:
    """The directory that a configuration names, or the default."""
    if file is None:
        return Path(RUN_DIR)
    found = configured(file).addresses
    if found is None or found.bgp is None:
        fail(f"{file} has no section addresses.bgp: add it, or give --run-dir", 1)
    return Path(found.bgp.run_dir)


def _held(run_dir: Path) -> Held | None:
    async def look() -> Held | None:
        speaker = BgpSpeaker(run_dir)
        try:
            return await speaker.look()
        finally:
            await speaker.close()

    try:
        return asyncio.run(look())
    except BgpSpeakerError as error:
        fail(str(error), NOT_RUNNING)
