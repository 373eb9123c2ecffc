"""`umbra bench resources`: traces, times of decisions, limits that hold, and a load ramp on the testbed."""

from __future__ import annotations

import os
from pathlib import Path

from topologies.bench.parts import Found, gathered
from topologies.bench.progress import Progress
from topologies.bench.resources import decisions, limits, ramp, traces
from topologies.bench.result import Result

QUICK_CYCLES = 2


def bench(
    switch: str,
    run_dir: Path,
    progress: Progress,
    *,
    data: Path | None = None,
    sets: str | None = None,
    only: str | None = None,
    quick: bool = False,
) -> Result:
    """All parts. data: folder of recorded series, beside the generated one; sets: only these of them, separated by
    commas. quick: one recorded set, few cycles, short ramps. only: these parts.

    Raises RuntimeError for an unknown set or part.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = traces.SETS if sets is None else tuple(name.strip() for name in sets.split(","))
    unknown = [name for name in names if name not in traces.SETS]
    if unknown:
        raise RuntimeError(f"no set {', '.join(unknown)!r}; there are {', '.join(traces.SETS)}")

    def on_traces(found: Found) -> None:
        found.add(*traces.run(progress, data=data, sets=names, quick=quick))

    def times(found: Found) -> None:
        cycles = QUICK_CYCLES if quick else decisions.CYCLES
        found.add(decisions.run(progress, cycles=cycles))

    def hold(found: Found) -> None:
        directory = run_dir / "limits"
        directory.mkdir()
        found.add(*limits.run(switch, directory, progress, quick=quick))

    def testbed(found: Found) -> None:
        directory = run_dir / "ramp"
        directory.mkdir()
        found.add(*ramp.run(switch, directory, progress, quick=quick))

    parts = {"decisions": times, "limits": hold, "ramp": testbed, "traces": on_traces}
    return gathered("resources", parts, progress, only)
