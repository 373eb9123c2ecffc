"""What devices used, as points of the telemetry store, with a bound on how many series there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.model.resources import DeviceUse, RequestClass
from controller.observe.points import Row
from controller.store.cardinality import OTHER, BoundedSeries
from controller.store.point import known

MOST_CLASSES = 1000
UNKNOWN = "unknown"  # a store takes no empty tag
_MILLI = 1000  # the bound weighs whole numbers: thousandths of a request


@dataclass(slots=True)
class DeviceRows:
    """most_classes: series of `device_requests` within retention_s, of all devices; what is not among the heaviest is
    counted as "other" of its device.
    """

    most_classes: int = MOST_CLASSES
    retention_s: float = 604_800.0
    bound: BoundedSeries = field(init=False)

    def __post_init__(self) -> None:
        self.bound = BoundedSeries(self.most_classes, self.retention_s)

    def rows(self, uses: Iterable[DeviceUse]) -> list[Row]:
        """One for each device, and one for each class of its requests; all at the same time."""
        found: list[Row] = []
        weights: dict[tuple[str, ...], int] = {}
        newest_s = 0.0
        for use in uses:
            newest_s = max(newest_s, use.time_s)
            cores, memory_bytes, network_bps = map(known, use.amounts)
            values = (cores, memory_bytes, network_bps, known(use.received_bps), known(use.limited))
            found.append(Row("devices", use.time_s, (use.device,), values))
            for kind, per_s in use.by_class.items():
                weights[use.device, *_tags(kind)] = round(_MILLI * per_s)
        own, rest = self.bound.fold(weights, newest_s)
        rows = {**own, **{(device, *[OTHER] * 4): sum_ for (device,), sum_ in rest.items()}}
        found += [
            Row("device_requests", newest_s, tags, (weight / _MILLI,))
            for tags, weight in rows.items()
            if weight
        ]
        return found


def _tags(kind: RequestClass) -> tuple[str, str, str, str]:
    return (
        kind.service or UNKNOWN,
        kind.size or UNKNOWN,
        kind.source or UNKNOWN,
        kind.destination or UNKNOWN,
    )
