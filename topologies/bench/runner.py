"""Which benchmarks there are, and how one is run: in a private network, with progress."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topologies import namespace
from topologies.bench.progress import Progress
from topologies.bench.result import Result
from topologies.run_directory import RunDirectory


def _switch(switch: str, run_dir: Path, progress: Progress) -> Result:
    from topologies.bench.switch import bench

    return bench(switch, run_dir, progress)


def _cycle(switch: str, run_dir: Path, progress: Progress) -> Result:
    from topologies.bench.cycle import bench

    return bench(switch, run_dir, progress)


def _replication(switch: str, run_dir: Path, progress: Progress) -> Result:
    from topologies.bench.replication.frame import bench

    return bench(switch, run_dir, progress)


def _failover(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.failover import bench

    return bench(switch, run_dir, progress, **options)


def _forecast(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.forecast import bench

    return bench(progress, **options)


def _store(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.store.frame import bench

    return bench(run_dir, progress, **options)


def _addresses(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.addresses.frame import bench

    return bench(switch, run_dir, progress, **options)


def _destinations(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.destinations.frame import bench

    return bench(switch, run_dir, progress, **options)


def _resources(switch: str, run_dir: Path, progress: Progress, **options: Any) -> Result:
    from topologies.bench.resources.frame import bench

    return bench(switch, run_dir, progress, **options)


BENCHES: dict[str, Callable[..., Result]] = {
    "switch": _switch,
    "cycle": _cycle,
    "replication": _replication,
    "failover": _failover,
    "addresses": _addresses,
    "destinations": _destinations,
    "resources": _resources,
    "forecast": _forecast,
    "store": _store,
}
WITHOUT_NETWORK = ("forecast",)  # these send no packet and need no root


def prepare(name: str) -> None:
    """Enter the private network, if this benchmark has any. Call it before anything starts a thread (a progress
    display does); `run` does it otherwise. Raises NamespaceError without root.
    """
    if name not in WITHOUT_NETWORK:
        namespace.enter()


def run(
    name: str,
    *,
    switch: str = "embedded",
    progress: Progress = lambda _: None,
    **options: Any,
) -> Result:
    """Run one benchmark. `switch` is the subject ("embedded", "bmv2" or "auto"); further options are its own.

    Raises KeyError for an unknown name, RuntimeError for an option that the benchmark does not know, and
    NamespaceError without root.
    """
    bench = BENCHES[name]
    taken = inspect.signature(bench).parameters.values()
    if options and not any(one.kind is one.VAR_KEYWORD for one in taken):
        raise RuntimeError(f"it takes no {', '.join('--' + o.replace('_', '-') for o in options)}")
    prepare(name)
    directory = RunDirectory("umbra-bench-")
    try:
        return bench(switch, directory.path, progress, **options)
    finally:
        directory.remove()
