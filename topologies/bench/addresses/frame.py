"""`umbra bench addresses`: the pool beside Kea, hand-over in a fabric, warm hits over a fortnight, real routers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from topologies.bench.addresses import bgp as addresses_bgp
from topologies.bench.addresses import demand as addresses_demand
from topologies.bench.addresses import handover as addresses_handover
from topologies.bench.addresses import pool as addresses_pool
from topologies.bench.parts import Found, gathered
from topologies.bench.progress import Progress
from topologies.bench.result import Result

QUICK_DAYS = 3
QUICK_RUNS = 5


def bench(
    switch: str,
    run_dir: Path,
    progress: Progress,
    *,
    data: Path | None = None,
    only: str | None = None,
    quick: bool = False,
) -> Result:
    """All parts. data: folder of recorded instances, beside the generated fortnights. quick: three days of one
    generated fortnight and of each recorded one, no pool of a million, few hand-overs. only: these parts, separated
    by commas.
    """

    def pool(found: Found) -> None:
        sizes = dict(addresses_pool.SIZES)
        if quick:
            sizes = {name: size for name, size in sizes.items() if size <= 10_000}
        directory = run_dir / "pool"
        directory.mkdir()
        part = addresses_pool.run(directory, progress, sizes=sizes)
        found.add(part.figures, part.versus, part.details)

    def handover(found: Found) -> None:
        directory = run_dir / "handover"
        directory.mkdir()
        runs = QUICK_RUNS if quick else addresses_handover.RUNS
        found.add(addresses_handover.run(switch, directory, progress, runs=runs))

    def demand(found: Found) -> None:
        options: dict[str, Any] = {"data": data}
        if quick:
            options |= {"days": QUICK_DAYS, "seeds": addresses_demand.SEEDS[:1]}
        part = addresses_demand.run(progress, **options)
        found.add(part.figures, part.versus, part.details)

    def routes(found: Found) -> None:
        directory = run_dir / "routes"
        directory.mkdir()
        found.add(addresses_bgp.run(directory, progress))

    parts = {"pool": pool, "hand-over": handover, "demand": demand, "routes": routes}
    return gathered("addresses", parts, progress, only)
