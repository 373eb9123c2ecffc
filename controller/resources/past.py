"""What devices used before this run: as umbra stored it, and before that as others wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from controller.config.resource_devices import MetricConfig, PastConfig
from controller.model.resources import Amounts, Resource
from controller.observe.device_history import AT_ONCE, OWN, Metric, schema, series
from controller.observe.recall import from_s
from controller.observe.source import Source, reader, server
from controller.store.interface import Adapter, Aggregate, Query
from controller.store.opening import connect
from ml.series import Floats, Series

Sample = tuple[float, Amounts]


def own(
    source: Source, devices: Sequence[str], since_s: float, step_s: float
) -> dict[str, list[Sample]]:
    """What umbra itself has seen since then: means over steps, each at its end, the one that is open left out. Raises
    StoreError.
    """
    fields = tuple(one.value for one in OWN.values())
    found: dict[str, list[Sample]] = {}
    with reader(source) as store:
        for at in range(0, len(devices), AT_ONCE):
            query = Query(
                "devices", from_s(since_s), fields=fields,
                where={"device": devices[at : at + AT_ONCE]}, group_by=("device",),
                aggregate=Aggregate.MEAN, window_ns=round(step_s * 1e9),
            )  # fmt: skip
            for frame in store.query(query):
                rows = np.array([frame.columns[name] for name in fields], dtype=np.float64)
                ends_s = frame.times_ns / 1e9 + step_s
                found[frame.tags["device"]] = _told(ends_s[:-1], rows[:, :-1])
    return found


def metrics(section: PastConfig) -> dict[Resource, Metric]:
    """Where each resource is."""
    given = {
        Resource.CPU: section.cpu,
        Resource.MEMORY: section.memory,
        Resource.NETWORK: section.network,
    }
    return {resource: _metric(one) for resource, one in given.items() if one is not None}


def read(
    section: PastConfig, devices: Sequence[str], since_s: float, store: Adapter | None = None
) -> dict[str, list[Sample]]:
    """Device → what it used since then, oldest first. store: instead of the server's. Raises StoreError; ValueError for
    metrics that contradict each other.
    """
    wanted = metrics(section)
    opened = store or connect(server(section.influxdb), schema(wanted))
    try:
        found = series(opened, devices, since_s, wanted)
    finally:
        if store is None:
            opened.close()
    return {name: _samples({one: found[one][name] for one in wanted}) for name in devices}


def joined(before: Sequence[Sample], seen: Sequence[Sample]) -> list[Sample]:
    """What umbra saw itself, and of the others' what is older."""
    first_s = seen[0][0] if seen else float("inf")
    return [*(one for one in before if one[0] < first_s), *seen]


def _samples(series_of: Mapping[Resource, Series]) -> list[Sample]:
    """At the times of the CPU's; the others as they were last, which are written at other moments."""
    cpu = series_of[Resource.CPU]
    rows = [cpu.values]
    for resource in (Resource.MEMORY, Resource.NETWORK):
        other = series_of.get(resource)
        if other is None or not len(other):
            rows.append(np.zeros(len(cpu)))
            continue
        place = np.searchsorted(other.times_s, cpu.times_s, side="right") - 1
        rows.append(other.values[np.maximum(place, 0)])
    return _told(cpu.times_s, np.stack(rows))


def _told(times_s: Floats, rows: Floats) -> list[Sample]:
    """rows: cores, bytes and bits per second; what is not known of all three is left out."""
    known = np.isfinite(rows).all(axis=0)
    amounts = rows[:, known].T.tolist()
    return [
        (time_s, Amounts(*one))
        for time_s, one in zip(times_s[known].tolist(), amounts, strict=True)
    ]


def _metric(one: MetricConfig) -> Metric:
    return Metric(one.measurement, one.field, one.tag, dict(one.where), one.factor, one.total)
