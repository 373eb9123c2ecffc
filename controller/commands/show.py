"""Commands that build a fabric of their own: demo and bench."""

from __future__ import annotations

import importlib
import json
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from controller.commands.console import err, fail, print_json


class SwitchChoice(StrEnum):
    """Which switch the fabric is made of."""

    EMBEDDED = "embedded"
    BMV2 = "bmv2"
    AUTO = "auto"


SwitchOption = Annotated[
    SwitchChoice,
    typer.Option("--switch", help="auto: BMv2 where it is installed, else the embedded switch"),
]


def demo(
    switch: SwitchOption = SwitchChoice.AUTO,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the figures there")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=30, max=3600, help="length of each of the two runs")
    ] = 90.0,
    seed: Annotated[int, typer.Option(min=0, help="of the load")] = 1,
    report: Annotated[
        Path, typer.Option(metavar="FILE", help="write the HTML report there")
    ] = Path("umbra-demo.html"),
) -> None:
    """Run the same load twice, reactive and predictive, on an emulated fabric (needs root)."""
    module = _need("topologies.demo", "the demo")
    code = module.run(
        switch=switch.value, json_file=json_file, seconds=seconds, seed=seed, report_file=report
    )
    raise typer.Exit(code)


def bench(
    name: Annotated[str, typer.Argument(help="which benchmark, or list")],
    switch: SwitchOption = SwitchChoice.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Measure one part of umbra, beside its peers where they are installed."""
    module = _need("topologies.bench", "the benchmarks")
    names: tuple[str, ...] = tuple(module.NAMES)
    if name == "list":
        typer.echo("\n".join(names))
        return
    if name not in names:
        fail(f"no benchmark {name!r}; use one of: {', '.join(names)}", 2)
    result = module.run(name, switch=switch.value)
    if as_json:
        print_json(result)
    else:
        typer.echo(json.dumps(result, indent=2))


def _need(module: str, what: str) -> ModuleType:
    """Import what only this command needs, and say what is missing when that fails."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        err().print(f"umbra: {what} cannot start: {error}", style="red")
        err().print("umbra: 'umbra doctor' says what this machine lacks")
        raise typer.Exit(1) from error
