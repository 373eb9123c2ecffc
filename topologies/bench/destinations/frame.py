"""`umbra bench destinations`: all parts. One that cannot run here is told under `notes`, with why; the others run."""

from __future__ import annotations

from pathlib import Path

from topologies.bench.destinations import follow_the_sun, graph, placement, redirect
from topologies.bench.parts import Found, gathered
from topologies.bench.progress import Progress
from topologies.bench.result import Result


def bench(
    switch: str,
    run_dir: Path,
    progress: Progress,
    *,
    only: str | None = None,
    quick: bool = False,
) -> Result:
    """quick: short days, few redirects, small placements and a small graph. only: these parts."""

    def place(found: Found) -> None:
        found.add(placement.run(progress, quick=quick))

    def day(found: Found) -> None:
        part = follow_the_sun.run(switch, run_dir / "sun", progress, quick=quick)
        found.add(part.figures, part.versus, part.details)

    def redirects(found: Found) -> None:
        part = redirect.run(switch, run_dir / "redirect", progress, quick=quick)
        found.add(part.figures, details=part.details)

    def graphs(found: Found) -> None:
        part = graph.run(run_dir / "graph", progress, quick=quick)
        found.add(part.figures, part.versus, part.details)

    parts = {"placement": place, "day": day, "redirects": redirects, "graph": graphs}
    return gathered("destinations", parts, progress, only)
