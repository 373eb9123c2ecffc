"""Commands about this machine and this installation: doctor, version."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from controller.commands.configured import configured
from controller.commands.console import JsonOption, out, print_json
from controller.doctor import Finding, Need, Report, examine
from controller.version import version

DEFAULT_PORTS = (("API", "127.0.0.1", 8741, "set api.port in the configuration"),)
LIBRARIES = ("finsy", "os-ken", "grpcio", "scikit-learn", "fastapi")


def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="also try the ports that it names"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine has, and what each absence costs.

    Exit code 0 if the controller can run here, 1 if not.
    """
    report = examine(_ports(config))
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)
    if not report.can_run:
        raise typer.Exit(1)


def show_version(as_json: JsonOption = False) -> None:
    """Show the version of umbra and of what it stands on."""
    libraries = {name: _library(name) for name in LIBRARIES}
    if as_json:
        print_json({"umbra": version(), "python": platform.python_version(), **libraries})
        return
    listed = ", ".join(f"{name} {number}" for name, number in libraries.items())
    out().print(f"umbra {version()} (Python {platform.python_version()}, {listed})", soft_wrap=True)


def _library(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _ports(config: Path | None) -> list[tuple[str, str, int, str]]:
    if config is None:
        return list(DEFAULT_PORTS)
    api = configured(config).api
    return [("API", api.host, api.port, f"set api.port in {config}")] if api.port else []


def _print(report: Report) -> None:
    console = out()
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("needed for", "what", "here", "what its absence costs, and the remedy"):
        table.add_column(column, overflow="fold")
    for finding in _shown(report):
        here = Text(finding.found, style="green" if finding.ok else "red")
        advice = Text(finding.costs)
        if finding.remedy:
            advice.append(f"\n→ {finding.remedy}", style="bold")
        table.add_row(finding.need.value, finding.name, here, advice)
    console.print(table)
    console.print(_verdict(report), soft_wrap=True)


def _shown(report: Report) -> list[Finding]:
    """The findings, with the libraries that fit as one row."""
    libraries = [finding for finding in report.findings if finding.library]
    fitting = sum(1 for finding in libraries if finding.ok)
    rows = [finding for finding in report.findings if not (finding.library and finding.ok)]
    if fitting:
        fit = f"{fitting} of {len(libraries)} fit"
        rows.append(Finding("Python libraries", Need.ALL, True, fit))
    order = list(Need)
    return sorted(rows, key=lambda finding: order.index(finding.need))


def _verdict(report: Report) -> Text:
    lines = Text()

    def say(ok: bool, yes: str, no: str) -> None:
        lines.append("yes  " if ok else "no   ", style="bold green" if ok else "bold red")
        lines.append((yes if ok else no) + "\n")

    missing = ", ".join(f.name for f in report.lacks(Need.ALL))
    say(
        report.can_run,
        "the controller runs here: umbra run --config FILE",
        f"the controller does not run here; it lacks: {missing}",
    )
    missing = ", ".join(f.name for f in (*report.lacks(Need.ALL), *report.lacks(Need.FABRIC)))
    say(
        report.can_emulate,
        "an emulated fabric runs here: umbra demo",
        f"no emulated fabric here; it lacks: {missing}",
    )
    say(
        report.has_bmv2,
        "BMv2 is here: umbra demo --switch bmv2",
        "BMv2 is not here: umbra demo uses the embedded switch",
    )
    lines.rstrip()
    return lines
