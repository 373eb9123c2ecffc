"""Commands that use a configuration file: run and check."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from controller.addressing.errors import AddressingError
from controller.commands.console import JsonOption, err, fail, out, print_json
from controller.config import P4, Config, ConfigError, Problem, load
from controller.config.errors import Path as Key
from controller.destinations.errors import DestinationError
from controller.serve.access import AccessError, decide
from controller.serve.server import ServeError
from controller.version import version

LOG = logging.getLogger("umbra")
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the configuration")],
    as_json: JsonOption = False,
) -> None:
    """Check a configuration without touching any switch.

    Exit code 0 if it fits, 1 if not: one line per problem, FILE:LINE: KEY: what; remedy.
    """
    try:
        config = load(file)
        _check_program(config, file)
        _check_api(config)
    except ConfigError as error:
        if as_json:
            problems = [
                {"line": p.line or None, "key": p.key, "what": p.what, "remedy": p.remedy}
                for p in error.problems
            ]
            print_json({"file": str(file), "ok": False, "problems": problems})
        else:
            err().print(str(error))
        raise typer.Exit(1) from None
    except AccessError as error:
        if as_json:
            what, _, remedy = str(error).partition("; ")
            problem = {"line": None, "key": "api", "what": what, "remedy": remedy}
            print_json({"file": str(file), "ok": False, "problems": [problem]})
        else:
            err().print(f"{file}: {error}")
        raise typer.Exit(1) from None
    if as_json:
        print_json({"file": str(file), "ok": True, "problems": []})
    else:
        out().print(f"{file}: fits: {summary(config)}", soft_wrap=True)


def run(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="the configuration")],
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="debug, info, warning or error")
    ] = "info",
) -> None:
    """Run the daemon until Ctrl-C or SIGTERM; the switches then go on forwarding as they are."""
    check_level(log_level)
    settings = usable(config)
    start_logging(log_level)
    LOG.info("umbra %s, %s: %s", version(), config, summary(settings))
    try:
        asyncio.run(_run(settings))
    except (ServeError, AccessError, AddressingError, DestinationError) as error:
        fail(str(error), 1)


def check_level(log_level: str) -> None:
    """End the command when there is no such log level."""
    if log_level not in LEVELS:
        fail(f"log level {log_level!r}: use one of {', '.join(LEVELS)}", 2)


def start_logging(log_level: str) -> None:
    """Log to stderr from `log_level` on; libraries only when something is wrong."""
    logging.basicConfig(level=log_level.upper(), format=FORMAT)
    for library in ("uvicorn", "httpx", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # finsy warns of every switch without gNMI, which umbra does not use.
    logging.getLogger("finsy").setLevel(logging.ERROR)


def usable(file: Path) -> Config:
    """The configuration in `file`; ends the command when a daemon cannot use it."""
    try:
        config = load(file)
        _check_program(config, file)
        _check_api(config)
    except ConfigError as error:
        err().print(str(error), style="red")
        raise typer.Exit(1) from None
    except AccessError as error:
        fail(f"{file}: {error}", 1)
    return config


def summary(config: Config) -> str:
    """What a configuration describes, in one line."""
    stages = Counter(switch.stage for switch in config.switches)
    parts = [
        _count(stages["edge"], "edge"),
        _count(stages["spine"], "spine"),
        _count(stages["router"], "service router"),
        _count(len(config.links), "link"),
        _count(len(config.backends), "backend"),
        _count(len(config.services), "service"),
    ]
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _check_api(config: Config) -> None:
    api = config.api
    decide(api.host, Path(api.token_file) if api.token_file else None)


def _check_program(config: Config, file: Path) -> None:
    from controller.act import program  # brings gRPC: other commands need not pay for it

    sections: list[tuple[Key, P4]] = [(("p4",), config.p4)]
    for index, switch in enumerate(config.switches):
        if switch.p4 is not None:
            sections.append((("switches", index, "p4"), switch.p4))
    for place, own in sections:
        try:
            program.check(program.files(own.p4info, own.json_path))
        except program.ProgramError as error:
            raise ConfigError(str(file), [Problem(place, error.what, error.remedy)]) from error


async def _run(config: Config) -> None:
    # The controller brings gRPC and scikit-learn: only the daemon pays for loading them.
    from controller.daemon import Controller
    from controller.serve.host import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(received: signal.Signals) -> None:
        LOG.info("%s: stopping; the switches go on forwarding as they are", received.name)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    await serve(Controller(config), config.api, version(), stop)
    LOG.info("stopped")
