"""Which benchmarks there are, and how one is run: in a private network, with progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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


BENCHES: dict[str, Callable[[str, Path, Progress], Result]] = {"switch": _switch, "cycle": _cycle}


def prepare() -> None:
    """Enter the private network. Call it before anything starts a thread (a progress display does); `run` does it
    otherwise. Raises NamespaceError without root.
    """
    namespace.enter()


def run(name: str, *, switch: str = "embedded", progress: Progress = lambda _: None) -> Result:
    """Run one benchmark. `switch` is the subject ("embedded", "bmv2" or "auto").

    Raises KeyError for an unknown name, and NamespaceError without root.
    """
    bench = BENCHES[name]
    prepare()
    directory = RunDirectory("umbra-bench-")
    try:
        return bench(switch, directory.path, progress)
    finally:
        directory.remove()
