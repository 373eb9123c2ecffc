"""Collection: what every device and shadow uses, tagged with what its requests were (seed 10069757, 1)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from controller.model import NodeCounters, SampledConnection
from controller.model.resources import DeviceTotals, DeviceUse
from controller.observe.device_rows import DeviceRows
from controller.observe.devices import DeviceUses
from controller.observe.points import Row
from controller.observe.request_classes import RequestClasses
from controller.trouble import Troubles

MOST_CONNECTIONS = 10_000  # digests kept from one turn to the next


class Totals(Protocol):
    """What is needed of the allocator."""

    def all_totals(self) -> tuple[list[DeviceTotals], dict[str, str]]: ...


class Uses:
    """store: takes the rows of every turn. remember: keeps a text for `take_over` in the next run. stale_s: after which
    the last use of a device says nothing.
    """

    def __init__(
        self,
        meters: Totals,
        classes: RequestClasses,
        rows: DeviceRows,
        store: Callable[[list[Row]], None],
        remember: Callable[[str], None],
        troubles: Troubles,
        *,
        stale_s: float,
    ) -> None:
        self._meters = meters
        self._classes = classes
        self._rows = rows
        self._store = store
        self._remember = remember
        self._troubles = troubles
        self._stale_s = stale_s
        self._uses = DeviceUses()
        self._seen: deque[SampledConnection] = deque(maxlen=MOST_CONNECTIONS)
        self._failed: set[str] = set()

    def take_over(self, text: str) -> None:
        """Which series an earlier run has stored: they count for the bound until the store forgets them."""
        self._rows.bound.take_over(text)

    def saw(self, connections: Iterable[SampledConnection]) -> None:
        """Digests, as they come."""
        self._seen.extend(connections)

    async def look(self, counters: Iterable[NodeCounters]) -> list[DeviceUse]:
        """What was used since the last look, of every switch that can be read. Reading is not for the event loop."""
        totals, failed = await asyncio.to_thread(self._meters.all_totals)
        for name in self._failed - failed.keys():
            self._troubles.end(f"use of {name}")
        for name, error in failed.items():
            self._troubles.begin(f"use of {name}", error)
        self._failed = {*failed}
        seen = list(self._seen)
        self._seen.clear()
        uses = self._uses.update(totals, self._classes.update(counters, seen))
        if uses:
            self._store(self._rows.rows(uses))
            self._remember(self._rows.bound.to_json())
        return uses

    def newest(self, names: Sequence[str], now_s: float) -> dict[str, DeviceUse]:
        """The last use of each of these switches, where it is not stale."""
        found = {}
        for name in names:
            use = self._uses.newest(name)
            if use is not None and abs(now_s - use.time_s) <= self._stale_s:
                found[name] = use
        return found
