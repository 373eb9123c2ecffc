"""The demo: one fabric, one load, two runs; first with thresholds only, then with predictions.

Everything lives in namespaces of its own (see `namespace`), so that nothing is left behind, however
the demo ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from topologies.demo.comparison import table
from topologies.demo.record import Acts, RunRecord, Snapshot, predictions, report
from topologies.namespace import NamespaceError, isolated
from topologies.run_directory import RunDirectory

DEFAULT_SECONDS = 75.0
DEFAULT_REPORT = Path("reports/demo.html")
POLL_S = 0.2
LOOK_S = 1.0  # how often the controller is asked
PATIENCE_S = 30.0  # for the last connections, beyond their longest duration
RUNS = (("reactive", False), ("predictive", True))


class DemoError(RuntimeError):
    """The demo cannot run, or did not run to its end."""


def run(
    *,
    switch: str = "auto",
    seconds: float = DEFAULT_SECONDS,
    seed: int = 1,
    json_file: Path | None = None,
    report_file: Path = DEFAULT_REPORT,
) -> int:
    """Run the demo; 0 only if everything ran to its end, 130 after Ctrl-C, else 1 with the reason
    on stderr.

    `seconds` is the length of each run's load. Logs and raw records are deleted after a good run.
    """
    try:
        _check()
        for path in (report_file, json_file):
            if path is not None:
                _check_writable(path)
        return isolated(lambda: _inside(switch, seconds, seed, json_file, report_file))
    except (DemoError, NamespaceError) as error:
        print(f"umbra demo: {error}", file=sys.stderr)
        return 1


def _check() -> None:
    if os.geteuid() != 0:
        raise DemoError(f"network namespaces need root: sudo {shlex.join(sys.argv)}")
    if importlib.util.find_spec("mininet") is None:
        raise DemoError(
            "mininet is not installed for this Python: apt-get install mininet, then `make setup`"
        )
    for program in ("mnexec", "ip", "setpriv"):
        if shutil.which(program) is None:
            package = {"mnexec": "mininet", "ip": "iproute2", "setpriv": "util-linux"}[program]
            raise DemoError(f"{program} is not installed: apt-get install {package}")


def _check_writable(path: Path) -> None:
    """Better now than after both runs."""
    if path.is_dir():
        raise DemoError(f"{path} is a folder: name a file")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DemoError(f"{path} cannot be written: {folder} is no folder that can be written to")


def _inside(
    switch: str,
    seconds: float,
    seed: int,
    json_file: Path | None,
    report_file: Path,
) -> int:
    """The demo inside its namespaces."""
    # What needs Mininet is loaded here: without it `run` still explains what to install.
    from topologies.demo.acts import BURST, FAILURE, RAMP, SUN
    from topologies.demo.burst_act import BurstError
    from topologies.demo.daemon import DaemonError
    from topologies.load.programs import LoadError
    from topologies.net import NetworkError
    from topologies.ramp_fabric import RampError
    from topologies.running import WorldError
    from topologies.switches import SwitchError, choose

    console = Console()
    directory = RunDirectory("umbra-demo-")
    begun_s = time.monotonic()
    try:
        kind = choose(switch)
        records = {
            name: _one(console, name, predictive, kind, seconds, seed, directory.path / name)
            for name, predictive in RUNS
        }
        acts = Acts(
            records,
            FAILURE.play(console, kind, seed, directory.path),
            BURST.play(console, kind, seed, directory.path),
            SUN.play(console, kind, seed, directory.path),
            RAMP.play(console, kind, seed, directory.path),
        )
        _publish(console, acts, kind, seed, seconds, json_file, report_file)
    except KeyboardInterrupt:
        directory.remove()
        console.print("\nstopped; nothing is left behind")
        return 130
    except (
        BurstError,
        DemoError,
        DaemonError,
        LoadError,
        NetworkError,
        RampError,
        SwitchError,
        WorldError,
        OSError,
    ) as error:
        directory.leave()
        print(f"umbra demo: {error}\numbra demo: logs are in {directory.path}", file=sys.stderr)
        return 1
    directory.remove()
    console.print(f"done in {time.monotonic() - begun_s:.0f} s", style="dim")
    return 0


def _one(
    console: Console,
    name: str,
    predictive: bool,
    kind: str,
    seconds: float,
    seed: int,
    directory: Path,
) -> RunRecord:
    """One run on a fresh fabric."""
    from rich.progress import BarColumn, Progress, TextColumn

    from topologies.demo import scenario
    from topologies.demo.daemon import Daemon
    from topologies.demo.live import View
    from topologies.load.run import LoadRun
    from topologies.net import Network

    config = scenario.config(predictive=predictive)
    planned = scenario.connections(config, seed, seconds)
    routers = [entry for entry in config["switches"] if entry["stage"] == "router"]
    capacity = {router["name"]: int(router["capacity"]) for router in routers}
    threshold = {router["name"]: int(router["threshold_available"]) for router in routers}
    title = f"{name} run ({kind} switches)"
    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(30),
        TextColumn("{task.description}"),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=False,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("hosts", total=2 * len(config["switches"]) + 5, title=title)

        def step(message: str) -> None:
            progress.update(task, advance=1, description=message, refresh=True)

        network = Network(config, kind, directory, progress=step)
        with network:
            daemon = Daemon(config, directory)
            try:
                step("controller")
                daemon.start()
                daemon.wait_ready(
                    lambda ready, total: progress.update(
                        task,
                        completed=total + 4 + ready,
                        description=f"controller: {ready} of {total} switches ready",
                        refresh=True,
                    )
                )
                load = LoadRun(
                    network, config, planned, directory / "load", interval_s=scenario.INTERVAL_S
                )
                step("load")
                load.start()
                progress.stop()
                with View(console, title, capacity, threshold) as view:
                    snapshots = _watch(
                        network, daemon, load, view, seconds + scenario.LONGEST_S, seconds
                    )
                decisions = [
                    _relative(decision, load.start_unix_s) for decision in daemon.decisions()
                ]
                traffic = load.finish()
            finally:
                daemon.stop()
    record = RunRecord(name, seconds, capacity, threshold, traffic, snapshots, tuple(decisions))
    summary = record.summary
    console.print(
        f"{title}: {summary.connections} connections, {round(summary.breach_s, 2):.1f} s in breach, "
        f"{summary.refused_per_1000:.1f} refused per 1000",
        highlight=False,
        soft_wrap=True,
    )
    return record


def _relative(decision: Mapping[str, Any], start_unix_s: float) -> dict[str, Any]:
    return {**decision, "time_s": decision["time_s"] - start_unix_s}


def _watch(
    network: Any, daemon: Any, load: Any, view: Any, last_end_s: float, seconds: float
) -> tuple[Snapshot, ...]:
    """Follow one run until its last connection has ended."""
    from topologies.demo.live import Picture

    snapshots: list[Snapshot] = []
    decisions: list[dict[str, Any]] = []
    routers: dict[str, Any] = {}
    looked_s = 0.0
    while not load.done():
        load.poll(POLL_S)
        dead = network.dead()
        if dead:
            raise DemoError(dead[0])
        if load.time_s > last_end_s + PATIENCE_S:
            raise DemoError(
                f"connections are still open {PATIENCE_S:g} s after the last should have ended"
            )
        if time.monotonic() - looked_s >= LOOK_S:
            looked_s = time.monotonic()
            state = daemon.state()
            if state is not None:
                routers = {router["name"]: router for router in state["routers"]}
                snapshots.append(Snapshot(state["time_s"] - load.start_unix_s, routers))
                decisions = [
                    _relative(decision, load.start_unix_s) for decision in daemon.decisions(20)
                ]
            view.show(
                Picture(load.time_s, seconds, load.live(), load.outcomes(), routers, decisions)
            )
    return tuple(snapshots)


def _publish(
    console: Console,
    acts: Acts,
    kind: str,
    seed: int,
    seconds: float,
    json_file: Path | None,
    report_file: Path,
) -> None:
    """The table, the HTML report, and the JSON file."""
    from topologies.demo.report import html

    records = acts.records
    found = predictions(records["predictive"], records["reactive"])
    leads_s = [prediction.lead_s for prediction in found if prediction.lead_s is not None]
    runs = {
        name: report(record, leads_s if name == "predictive" else [])
        | {
            "failure": acts.failures[name].to_json(),
            "bursts": acts.bursts[name].to_json(),
            "sun": acts.suns[name].to_json(),
            "resources": acts.ramps[name].to_json(),
        }
        for name, record in records.items()
    }
    console.print(table(runs, found))
    with console.status("writing the report"):
        _write(report_file, html(acts, runs, found, switch=kind, seed=seed))
        if json_file is not None:
            result = {"seed": seed, "switch": kind, "seconds": seconds, "runs": runs}
            _write(json_file, json.dumps(result, indent=2) + "\n")
    console.print(f"report: {report_file}", highlight=False, soft_wrap=True)


def _write(path: Path, text: str) -> None:
    """Write a file; under sudo it belongs to whoever called it, and so do the folders made for it."""
    made = [entry for entry in (path, *path.parents) if not entry.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        with contextlib.suppress(OSError):  # some shared folders know no owners
            for entry in made:
                os.chown(entry, int(user), int(group))
