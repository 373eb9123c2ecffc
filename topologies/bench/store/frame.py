"""`umbra bench store`: the telemetry stores side by side, and a million samples through all troubles."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, cast

from topologies import namespace
from topologies.bench.progress import Progress
from topologies.bench.result import Better, Figure, Result
from topologies.bench.store import faults, speed
from topologies.servers.influx import Influx, NoServerError, running

SAMPLES = 1_000_000
INGEST = 400_000
CYCLES = 400
STEPS = 10_080  # of a week: one a minute
QUICK: Literal[20] = 20  # times less
PEERS = (1, 2, 3)


def bench(
    run_dir: Path, progress: Progress, *, quick: bool = False, sets: str | None = None
) -> Result:
    """The embedded store's figures; each server's beside them. sets: only these stores, such as
    "sqlite,influxdb2"; the first that is measured is then the subject.
    """
    only = sets.split(",") if sets else ["sqlite", *(f"influxdb{major}" for major in PEERS)]
    if unknown := set(only) - {"sqlite", *(f"influxdb{major}" for major in PEERS)}:
        raise RuntimeError(f"--sets: there is no store {', '.join(sorted(unknown))}")
    namespace.private_mounts()  # the small disks
    part = QUICK if quick else 1
    found: dict[str, dict[str, Figure]] = {}
    absent: dict[str, str] = {}
    details: dict[str, Any] = {}
    for major in (None, *PEERS):
        name = f"influxdb{major}" if major is not None else "sqlite"
        if name not in only:
            continue
        directory = run_dir / name
        with ExitStack() as stack:
            influx: Influx | None = None
            if major is not None:
                disk = stack.enter_context(faults.small_disk(directory / "server", "1g"))
                try:
                    progress(f"{name}: starting")
                    influx = stack.enter_context(running(major, disk))
                except NoServerError as error:
                    absent[name] = str(error)
                    continue
            measured = speed.measure(
                influx, directory / "speed", INGEST // part, CYCLES // part, STEPS // part, progress
            )
            endured = faults.endure(influx, directory / "faults", SAMPLES // part, progress)
        figures = {
            key: Figure(value, unit, n, cast(Better, better))
            for key, (value, unit, n, better) in speed.figures(measured).items()
        }
        for key, count in (
            ("lost", endured.lost),
            ("duplicated", endured.duplicated),
            ("discarded", endured.discarded),
        ):
            figures[key] = Figure(count, "samples", endured.acked, "lower")
        found[name] = figures
        details[name] = {
            "acknowledged": endured.acked,
            "seconds": round(endured.seconds, 1),
            "lost_serials": endured.lost_ranges,
            "troubles": endured.troubles,
            "requests_by_answer": endured.seen,
            "training_samples": measured.week,
        }
    if not found:
        raise RuntimeError(f"no store here: {'; '.join(absent.values())}")
    subject = next(iter(found))
    versus: dict[str, dict[str, float | str]] = {
        name: {key: figure.value for key, figure in figures.items()}
        for name, figures in found.items()
        if name != subject
    }
    versus |= {name: {"absent": reason} for name, reason in absent.items()}
    return Result("store", found[subject], versus, {"stores": details})
