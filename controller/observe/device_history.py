"""What devices used, back from a store: as umbra wrote it, or as others write it (Telegraf, a vendor's agent)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.model.resources import Resource
from controller.observe.recall import from_s, to_s
from controller.store.interface import Adapter, Query
from controller.store.schema import Field, FieldType, Measurement
from ml.series import Floats, Series

AT_ONCE = 50  # devices in one query: their names must fit into a URL


@dataclass(frozen=True, slots=True)
class Metric:
    """Where a store has one resource of devices.

    tag: holds the device's name. where: further tags → the value that is meant. factor: what a value is multiplied by
    to be in cores, bytes or bits per second. total: it is a counter, whose growth per second is meant. Several series
    of a device at the same times (its interfaces) are added up.
    """

    measurement: str
    value: str  # the field
    tag: str = "device"
    where: Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0
    total: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """That a query needs to know."""
        return (self.tag, *(name for name in self.where if name != self.tag))


OWN: Mapping[Resource, Metric] = {
    Resource.CPU: Metric("devices", "cpu_cores"),
    Resource.MEMORY: Metric("devices", "memory_bytes"),
    Resource.NETWORK: Metric("devices", "network_bps"),
}


def schema(metrics: Mapping[Resource, Metric]) -> Mapping[str, Measurement]:
    """What an adapter must be told of these metrics, to open a store that others write."""
    found: dict[str, Measurement] = {}
    for name in dict.fromkeys(one.measurement for one in metrics.values()):
        own = [one for one in metrics.values() if one.measurement == name]
        tags = dict.fromkeys(tag for one in own for tag in one.tags)
        fields = dict.fromkeys(one.value for one in own)
        found[name] = Measurement(
            name,
            tuple(tags),
            tuple(Field(one, FieldType.FLOAT, "", "as others write it") for one in fields),
            "as others write it",
            "what devices used, as others write it",
        )
    return found


def series(
    store: Adapter,
    devices: Sequence[str],
    since_s: float,
    metrics: Mapping[Resource, Metric] = OWN,
) -> dict[Resource, dict[str, Series]]:
    """Resource → device → its use since then; empty series where there is none. Raises StoreError, and ValueError for a
    metric that the adapter was not told of.
    """
    return {resource: _of(store, devices, since_s, one) for resource, one in metrics.items()}


def _of(
    store: Adapter, devices: Sequence[str], since_s: float, metric: Metric
) -> dict[str, Series]:
    found = {name: Series(name, np.empty(0), np.empty(0)) for name in devices}
    for at in range(0, len(devices), AT_ONCE):
        where: dict[str, Sequence[str]] = {name: (value,) for name, value in metric.where.items()}
        where[metric.tag] = devices[at : at + AT_ONCE]
        query = Query(
            metric.measurement,
            from_s(since_s),
            fields=(metric.value,),
            where=where,
            group_by=(metric.tag,),
        )
        for frame in store.query(query):
            values = np.asarray(frame.columns[metric.value], dtype=np.float64)
            times_s, values = _added(to_s(frame.times_ns), values)
            if metric.total:
                times_s, values = _growth(times_s, values)
            name = frame.tags[metric.tag]
            found[name] = Series(name, times_s, metric.factor * values)
    return found


def _added(times_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Values of the same time added up; absent ones are left out."""
    known = np.isfinite(values)
    unique, place = np.unique(times_s[known], return_inverse=True)
    sums = np.zeros(len(unique))
    np.add.at(sums, place, values[known])
    return unique, sums


def _growth(times_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Of a counter, per second; below the value before it started anew from nothing."""
    if len(values) < 2:
        return np.empty(0), np.empty(0)
    step = np.diff(values)
    step = np.where(step < 0, values[1:], step)
    return times_s[1:], step / np.diff(times_s)
