"""Commands that build a fabric of their own: demo and bench."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from controller.commands.console import err, fail, out, print_json
from controller.commands.progress_lines import ProgressLines


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
        float, typer.Option(min=10, max=3600, help="length of the load in each of the two runs")
    ] = 75.0,
    seed: Annotated[int, typer.Option(min=0, help="of the load")] = 1,
    report: Annotated[
        Path, typer.Option(metavar="FILE", help="write the HTML report there")
    ] = Path("reports/demo.html"),
) -> None:
    """Run the same load twice, reactive and predictive, on an emulated fabric (needs root)."""
    module = _need("topologies.demo.run", "the demo")
    code = module.run(
        switch=switch.value, json_file=json_file, seconds=seconds, seed=seed, report_file=report
    )
    raise typer.Exit(code)


def bench(
    name: Annotated[str, typer.Argument(help="which benchmark, or list")],
    switch: SwitchOption = SwitchChoice.EMBEDDED,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    runs: Annotated[
        int | None, typer.Option(min=1, help="repetitions, each with a seed of its own (failover)")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of the first run (failover)")] = None,
    chaos_s: Annotated[
        float | None,
        typer.Option(min=0, help="kill, stop and restart routers for so long (failover)"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="UMBRA_DATA",
            metavar="DIR",
            help="folder of recorded series (forecast, addresses, resources)",
        ),
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="only these sets (forecast, resources) or stores (store)"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="only these parts (addresses, destinations, resources)"),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="small and quick, for a first look (forecast, store, addresses, destinations, resources)",
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write an HTML report there (forecast)")
    ] = None,
    nab: Annotated[
        Path | None,
        typer.Option(
            envvar="UMBRA_NAB",
            metavar="DIR",
            help="a checkout of github.com/numenta/NAB, for its scorer (forecast)",
        ),
    ] = None,
) -> None:
    """Measure one part of umbra, beside its peers where they are installed."""
    module = _need("topologies.bench", "the benchmarks")
    names = list(module.BENCHES)
    if name == "list":
        if as_json:
            print_json(names)
        else:
            out().print("\n".join(names))
        return
    if name not in names:
        fail(f"no benchmark {name!r}; use one of: {', '.join(names)}", 2)
    console = err()
    given = {"runs": runs, "seed": seed, "chaos_s": chaos_s, "sets": sets, "report": report}
    given |= {"only": only, "quick": quick or None}
    if name in ("forecast", "addresses", "resources"):  # these may come from the environment
        given |= {"data": data}
    if name == "forecast":
        given |= {"nab": nab}
    options = {option: value for option, value in given.items() if value is not None}
    try:
        module.prepare(name)  # before the display starts its thread
        lines = ProgressLines(console)
        with console.status(f"{name} …") as shown:

            def tell(text: str) -> None:
                shown.update(f"{name}: {text}")
                lines(text)

            result = module.run(name, switch=switch.value, progress=tell, **options).to_json()
    except RuntimeError as error:
        fail(f"{name}: {error}", 1)
    if as_json:
        print_json(result)
    else:
        out().print(_figures(result))


def _figures(result: Mapping[str, Any]) -> Table:
    """The figures beside those of the peers."""
    peers = result["versus"]
    table = Table(title=f"umbra bench {result['bench']}", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("figure", "value", "unit", "measured", "better", *peers):
        table.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for name, figure in result["figures"].items():
        beside = [_peer(values, name) for values in peers.values()]
        value = f"{figure['value']:,.4g}"
        table.add_row(name, value, figure["unit"], str(figure["n"]), figure["better"], *beside)
    told = [f"{peer} is absent: {one['absent']}" for peer, one in peers.items() if "absent" in one]
    told = [*result.get("notes", []), *told]
    if told:
        table.caption = "\n".join(told)
    return table


def _peer(values: Mapping[str, float | str], figure: str) -> str:
    value = values.get(figure, "-")
    return value if isinstance(value, str) else f"{value:,.4g}"


def _need(module: str, what: str) -> ModuleType:
    """Import what only this command needs, and say what is missing when that fails."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        err().print(f"umbra: {what} cannot start: {error}", style="red")
        err().print("umbra: 'umbra doctor' says what this machine lacks")
        raise typer.Exit(1) from error
