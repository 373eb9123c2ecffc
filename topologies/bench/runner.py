"""Which benchmarks there are, and how one is run: in a private network, with progress."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from topologies import namespace
from topologies.bench.progress import Progress
from topologies.bench.result import Result


def _switch(switch: str, run_dir: Path, progress: Progress) -> Result:
    from topologies.bench.switch import bench

    return bench(switch, run_dir, progress)


def _cycle(switch: str, run_dir: Path, progress: Progress) -> Result:
    from topologies.bench.cycle import bench

    return bench(switch, run_dir, progress)


BENCHES: dict[str, Callable[[str, Path, Progress], Result]] = {"switch": _switch, "cycle": _cycle}


def run(name: str, *, switch: str = "embedded", progress: Progress = lambda _: None) -> Result:
    """Run one benchmark. `switch` is the subject ("embedded", "bmv2" or "auto").

    Raises KeyError for an unknown name, and NamespaceError without root.
    """
    bench = BENCHES[name]
    namespace.enter()
    with tempfile.TemporaryDirectory(prefix="umbra-bench-") as directory:
        return bench(switch, Path(directory), progress)
