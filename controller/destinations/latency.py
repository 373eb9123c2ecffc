"""How far locations are from sites: as configured until it is measured, then as the edges' data planes measure it.

A probe (`controller.resilience.health`) leaves an edge and comes back, stamped by the edge both times. A location's
round trip to a site is what is between its clients and the edges of its own site, as configured, and what these edges
measured to the site's routers: the median over routers of the median of the latest probes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from controller.config.destinations import LocationSection
from controller.model import Fabric, Stage

SAMPLES = 15  # the median of so many: half of them may be late for other reasons
LEAST_SAMPLES = 3


class SiteLatencies:
    """Feed `answered` with every probe's round trip."""

    def __init__(
        self,
        fabric: Fabric,
        locations: Sequence[LocationSection],
        between_ms: Mapping[frozenset[str], float],
    ) -> None:
        """between_ms: two sites → round trip as configured; of the same site {site}."""
        self._locations = tuple(locations)
        self._between_ms = dict(between_ms)
        self._edge_sites = {edge.name: edge.site for edge in fabric.stage(Stage.EDGE)}
        self._routers: dict[str, list[str]] = {}
        for router in fabric.stage(Stage.ROUTER):
            self._routers.setdefault(router.site, []).append(router.name)
        self._trips: dict[tuple[str, str], deque[float]] = {}  # (site of the edge, router)
        self._medians: dict[tuple[str, str], float] = {}  # as far as they are still right

    def answered(self, edge: str, router: str, round_trip_ms: float) -> None:
        """A probe came back."""
        site = self._edge_sites.get(edge)
        if site is not None and 0 <= round_trip_ms < math.inf:
            pair = site, router
            self._trips.setdefault(pair, deque(maxlen=SAMPLES)).append(round_trip_ms)
            self._medians.pop(pair, None)

    def measured_ms(
        self, location: LocationSection, site: str, routers: Iterable[str] | None = None
    ) -> float | None:
        """Round trip from a location to a site's routers (or some of them) as measured; None: not known."""
        if location.site is None:
            return None
        names = self._routers.get(site, ()) if routers is None else routers
        found = [ms for name in names if (ms := self._median(location.site, name)) is not None]
        return location.access_ms + median(found) if found else None

    def configured_ms(self, location: LocationSection, site: str) -> float | None:
        """Round trip as configured; None: nothing is said of it."""
        if site in location.latency_ms:
            return location.latency_ms[site]
        if location.site is None:
            return None
        between_ms = self._between_ms.get(frozenset((location.site, site)))
        return None if between_ms is None else location.access_ms + between_ms

    def known(self) -> dict[tuple[str, str], float]:
        """(location, site) → round trip, measured or configured, of all pairs of which anything is known."""
        found = {}
        for location in self._locations:
            for site in self._routers:
                told = location.latency_ms.get(site)  # a person's word goes before a measurement
                ms = told if told is not None else self.measured_ms(location, site)
                if ms is None:
                    ms = self.configured_ms(location, site)
                if ms is not None:
                    found[location.name, site] = ms
        return found

    def _median(self, site: str, router: str) -> float | None:
        pair = site, router
        if pair not in self._medians:
            trips = self._trips.get(pair, ())
            if len(trips) < LEAST_SAMPLES:
                return None
            self._medians[pair] = median(trips)
        return self._medians[pair]
