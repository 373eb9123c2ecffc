"""Counters of devices → what they used in between: CPU, memory, network (seed 10069757, "historical data collection").

A counter below the one before means that its device, or its cgroup, or a port started anew: what it counts since then
is what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.model.resources import Amounts, DeviceTotals, DeviceUse, RequestClass

SET_BACK_S = 2.0  # readings further back in time than this mean that the clock was set back
_NO_CLASSES: Mapping[RequestClass, float] = {}


@dataclass(slots=True)
class DeviceUses:
    """Remembers the last reading and the last use of every device."""

    _last: dict[str, DeviceTotals] = field(default_factory=dict)
    _newest: dict[str, DeviceUse] = field(default_factory=dict)

    def update(
        self,
        totals: Iterable[DeviceTotals],
        by_class: Mapping[str, Mapping[RequestClass, float]] | None = None,
    ) -> list[DeviceUse]:
        """Take one turn's readings; by_class: device → what its requests were, per second.

        The first reading of a device gives nothing, nor does one that is not newer than the last. One that is much
        older means that the clock was set back: counting starts anew from it.
        """
        found = []
        for now in totals:
            before = self._last.get(now.device)
            if before is not None and -SET_BACK_S <= now.time_s - before.time_s <= 0:
                continue
            self._last[now.device] = now
            if before is None or now.time_s < before.time_s:
                continue
            use = _between(before, now, (by_class or {}).get(now.device, _NO_CLASSES))
            self._newest[now.device] = use
            found.append(use)
        return found

    def newest(self, device: str) -> DeviceUse | None:
        """The last use of a device; None before its second reading."""
        return self._newest.get(device)


def _between(
    before: DeviceTotals, now: DeviceTotals, by_class: Mapping[RequestClass, float]
) -> DeviceUse:
    interval_s = now.time_s - before.time_s
    anew = now.cpu_s < before.cpu_s or now.periods < before.periods
    periods = now.periods - (0 if anew else before.periods)
    limited = now.limited_periods - (0 if anew else before.limited_periods)
    amounts = Amounts(
        (now.cpu_s - (0.0 if anew else before.cpu_s)) / interval_s,
        float(now.memory_bytes),
        8.0 * _grown(before.sent_bytes, now.sent_bytes) / interval_s,
    )
    return DeviceUse(
        now.device,
        now.time_s,
        amounts,
        by_class,
        min(1.0, max(0, limited) / periods) if periods > 0 else 0.0,
        8.0 * _grown(before.received_bytes, now.received_bytes) / interval_s,
    )


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now
