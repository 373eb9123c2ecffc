"""Access history per destination x source location x time (the traffic pattern analyser of seed 9407539).

Cost is bounded whatever the number of destinations: of `cells` (destination, location) pairs a history is kept, the
most asked for by Space-Saving over `counters` counters with fading weights. A pair with more than 1 / counters of
all (faded) connections is among the counted ones for certain, and no count is too high by more than that; of
each location in all, the history is always kept.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.model import SampledConnection
from controller.observe.access_readings import ELSEWHERE, Cell, StepReadings, Totals
from controller.observe.access_settings import AccessSettings
from controller.observe.access_table import AccessTable
from controller.observe.locations import SourceLocations
from controller.observe.prefix_table import PrefixTable
from controller.observe.space_saving import Estimate, SpaceSaving
from ml.series import Series

SHARE_STEPS = 10  # past shares: the mean of so many steps
SET_BACK_S = 2.0  # a clock that goes back by more than this was set


@dataclass(frozen=True, slots=True)
class AccessStep:
    """New connections in the step that ended at `end_s`, by (service, location). To be stored, and loaded again."""

    end_s: float
    counts: Mapping[Cell, float]


class AccessHistory:
    """Feed it with readings of the *edges* (where clients come in) and call `advance` in every cycle.

    Readings belong to the step in which they come. Not thread-safe; the same calls give the same history.
    Between two steps it holds what was read: one number per counter, digests by service and location.
    """

    def __init__(
        self,
        locations: SourceLocations,
        names: Iterable[str],
        settings: AccessSettings | None = None,
    ) -> None:
        """names: of all locations."""
        self.settings = own = settings or AccessSettings()
        self.names = tuple(dict.fromkeys((*names, ELSEWHERE)))
        self._locations = locations
        self._readings = StepReadings(own.sample_every, own.prior_samples)
        self._totals = Totals(own.step_s)
        # Prefix → location of all clients that it counts; None: they are at several, and digests say where.
        self._rows: dict[tuple[str, int], dict[str, str | None]] = {}
        self._told: dict[int, Mapping[str, str | None]] = {}  # the same, as `attribute` was told
        self._tables: dict[tuple[str, int], PrefixTable] = {}
        self._sketch: SpaceSaving[Cell] = SpaceSaving(own.counters)
        self._cells: AccessTable[Cell] = AccessTable(own.cells, own.keep, own.step_s)
        self._all: AccessTable[str] = AccessTable(len(self.names), own.keep, own.step_s)
        self._all.hold(self.names)
        self._end_s: float | None = None  # of the step under way
        self._partial = True  # it was not watched from its beginning

    def counted(self, node: str, service: int, prefix: str, total: int, time_s: float) -> None:
        """A row of `redirects`: new connections of the service from the prefix since the row was made."""
        place = node, service
        rows = self._rows.setdefault(place, {})
        if prefix not in rows:
            told = self._told.get(service, {})
            known = told[prefix] if prefix in told else self._locations.of_prefix(prefix)
            rows[prefix] = known if prefix in told else known or ELSEWHERE
            self._tables.pop(place, None)
        risen = self._totals.rise((node, service, prefix), total, time_s)
        location = rows[prefix]
        if location is not None:
            self._readings.counted(service, location, risen)

    def attribute(self, service: int, rows: Mapping[str, str | None]) -> None:
        """From now on these are the service's rows: prefix → the location of all whom it counts; None where there are
        several (`row_locations`), so that digests divide them. Rows that are missing are gone.
        """
        if dict(self._told.get(service, {})) == dict(rows):
            return
        self._told[service] = dict(rows)
        for (node, own), held in self._rows.items():
            if own == service:
                for prefix in [one for one in held if one not in rows]:
                    self.removed(node, service, prefix)
                for prefix in held:
                    held[prefix] = rows[prefix]

    def removed(self, node: str, service: int, prefix: str) -> None:
        """A row that is there no more: digests count again for its clients."""
        place = node, service
        if prefix in self._rows.get(place, ()):
            del self._rows[place][prefix]
            self._tables.pop(place, None)
            self._totals.forget((node, service, prefix))

    def opened(self, node: str, service: int, total: int, time_s: float) -> None:
        """`ServiceCounters.opened` of an edge: all new connections of the service."""
        self._readings.opened(service, self._totals.rise((node, service), total, time_s))

    def sampled(self, one: SampledConnection) -> None:
        """A digest of an edge. Clients whom a row counts are not counted again."""
        place = one.node, one.service_id
        if self._rows.get(place):
            table = self._tables.get(place)
            if table is None:
                table = PrefixTable((prefix, prefix) for prefix in sorted(self._rows[place]))
                self._tables[place] = table
            row = table.of(ipaddress.ip_address(one.client))
            if row is not None and self._rows[place].get(row) is not None:
                return
        location = self._locations.of(one.client) or ELSEWHERE
        self._readings.sampled(one.service_id, location)

    def closes(self, now_s: float) -> bool:
        """Whether `advance` would close the step under way."""
        return self._end_s is not None and now_s >= self._end_s

    def advance(self, now_s: float) -> AccessStep | None:
        """Close the step under way once it is past, and tell what it held.

        None: it is not past, nothing was read, or the step was not watched from its beginning.
        """
        step_s = self.settings.step_s
        end_s = (math.floor(now_s / step_s) + 1) * step_s
        if self._end_s is not None and now_s < self._end_s - step_s - SET_BACK_S:
            self._cells.cut(end_s - step_s)
            self._all.cut(end_s - step_s)
            self._end_s = None
        if self._end_s is None:
            self._end_s, self._partial = end_s, True
            return None
        if end_s <= self._end_s:
            return None
        step = None
        if self._readings.read and not self._partial:
            step = AccessStep(self._end_s, self._readings.counts(self._recent()))
            self._take(step)
        self._readings.clear()
        self._end_s, self._partial = end_s, False
        return step

    def load(self, steps: Iterable[AccessStep]) -> None:
        """Steps of an earlier run, oldest first; those not after what is known are passed over."""
        for step in steps:
            if step.end_s > self._cells.end_s:
                self._take(step)

    def access(self, cell: Cell) -> Estimate:
        """Faded connections of a cell, with the error."""
        return self._sketch.of(cell)

    @property
    def bound(self) -> float:
        """Faded connections by which any estimate is too high at most: ≤ their sum / counters."""
        return self._sketch.bound

    @property
    def total(self) -> float:
        """All faded connections."""
        return self._sketch.total

    def cells(self) -> list[Cell]:
        """Those with a history."""
        return sorted(self._cells.keys())

    def rate(self, cell: Cell, steps: int = SHARE_STEPS) -> float:
        """New connections per second, mean of the last steps; 0 without a history."""
        return self._cells.means(steps, (cell,))[cell]

    def series(self, steps: int | None = None) -> dict[Cell, Series]:
        """New connections per second of every cell with a history, for a forecaster."""
        most = steps or self.settings.keep
        return {cell: self._cells.series(cell, target(cell), most) for cell in self.cells()}

    def location_series(self, steps: int | None = None) -> dict[str, Series]:
        """Of each location, over all destinations, those without a history of their own included."""
        most = steps or self.settings.keep
        return {name: self._all.series(name, name, most) for name in self.names}

    def _take(self, step: AccessStep) -> None:
        since_s = step.end_s - self._cells.end_s
        if 0 < since_s < math.inf:
            # exp2 of a very long absence is 0, and a count of 0 would be no count.
            self._sketch.scale(max(math.exp2(-since_s / self.settings.half_life_s), 1e-9))
        totals: dict[str, float] = dict.fromkeys(self.names, 0.0)
        counts: dict[Cell, float] = {}
        for (service, name), connections in sorted(step.counts.items()):
            place = name if name in totals else ELSEWHERE  # a location of an earlier configuration
            counts[service, place] = counts.get((service, place), 0.0) + connections
            totals[place] += connections
        for cell, connections in counts.items():
            self._sketch.add(cell, connections)
        self._cells.hold(cell for cell, _ in self._sketch.top(self.settings.cells))
        self._cells.append(step.end_s, counts)
        self._all.append(step.end_s, totals)

    def _recent(self) -> dict[int, dict[str, float]]:
        """Each service's mean rates by location: how its connections were divided of late."""
        found: dict[int, dict[str, float]] = {}
        for (service, name), rate in self._cells.means(SHARE_STEPS).items():
            if rate > 0:
                found.setdefault(service, {})[name] = rate
        return found


def target(cell: Cell) -> str:
    """The name under which a cell is forecast and stored."""
    return f"{cell[0]}@{cell[1]}"
