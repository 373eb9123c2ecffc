"""The traffic pattern analyser's feed (seed 9407539): edges' counters and digests → access history → the store.

Only edges are asked: service routers see the same connections again. All of it is read at the same time, so that
rows and services tell of the same connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from controller.model import Location, RedirectRow, SampledConnection
from controller.observe.access import AccessHistory, AccessStep
from controller.observe.access_readings import ELSEWHERE, Cell
from controller.observe.prefix_table import PrefixTable
from controller.observe.row_locations import row_locations
from controller.store.cardinality import OTHER

FEW_ROWS = 500  # read in every turn, so that little is lost when rows change


class Driver(Protocol):
    """What is needed of the fabric driver."""

    async def read_opened(self, nodes: Sequence[str]) -> dict[str, dict[int, int]]: ...

    async def read_redirected(
        self, nodes: Sequence[str]
    ) -> dict[str, dict[tuple[int, str], int]]: ...


class Recorder(Protocol):
    """What is needed of the recorder."""

    @property
    def store(self) -> Any:
        """`controller.observe.store.Store`."""

    async def arrivals(self, since_s: float) -> list[tuple[float, str, str, int]]: ...


class Traffic:
    """`collect` in every turn. Not thread-safe."""

    def __init__(
        self,
        history: AccessHistory,
        driver: Driver,
        recorder: Recorder,
        edges: Iterable[str],
        services: Mapping[int, str],
    ) -> None:
        """services: id → name, of all services."""
        self.history = history
        self._driver = driver
        self._recorder = recorder
        self._edges = tuple(edges)
        self._services = dict(services)
        self._locations = PrefixTable()
        self._rows: tuple[RedirectRow, ...] = ()
        self._prefixes: dict[int, tuple[str, ...]] = {}  # of each service's rows
        self._carried: dict[
            Cell, float
        ] = {}  # parts of connections, for the store counts whole ones
        recorder.store.arrivals_by_digest = False
        self._attributing = asyncio.Lock()

    async def locate(self, locations: Iterable[Location]) -> None:
        """Locations with all their prefixes, as planners see them."""
        table = PrefixTable((prefix, one.name) for one in locations for prefix in one.prefixes)
        async with self._attributing:  # rows may change at the same time
            self._locations = table
            self._prefixes = {}
            await self._attribute(self._rows)

    async def rows(self, rows: tuple[RedirectRow, ...]) -> None:
        """The rows of the table `redirects` that the edges have from now on."""
        async with self._attributing:
            if rows != self._rows:
                await self._attribute(rows)

    async def _attribute(self, rows: tuple[RedirectRow, ...]) -> None:
        """Whom each row counts: looked at beside the event loop, and only of services whose rows are others."""
        own: dict[int, list[str]] = {service: [] for service in self._prefixes}
        for row in rows:
            own.setdefault(row.service, []).append(row.prefix)
        before, self._prefixes = self._prefixes, {s: tuple(p) for s, p in own.items() if p}
        self._rows = rows
        changed = {s: tuple(p) for s, p in own.items() if tuple(p) != before.get(s, ())}
        found = await asyncio.to_thread(_whom, set(changed.values()), self._locations)
        for service, prefixes in sorted(changed.items()):
            self.history.attribute(service, found[prefixes])

    def sampled(self, connections: Iterable[SampledConnection]) -> None:
        """Digests of all switches."""
        for one in connections:
            if one.node in self._edges:
                self.history.sampled(one)

    async def collect(self, now_s: float) -> AccessStep | None:
        """Read the edges; the step that ended, if one did."""
        # Thousands of rows take their time: what counts is that they are read with the services when a step ends.
        whole = len(self._rows) <= FEW_ROWS or self.history.closes(now_s)
        edges = self._edges if whole else ()
        rows, opened = await asyncio.gather(
            self._driver.read_redirected(edges), self._driver.read_opened(self._edges)
        )
        wanted = {(row.service, row.prefix) for row in self._rows}
        for node, counts in rows.items():
            if node not in opened:  # its rows without its services would be told twice
                continue
            for (service, prefix), total in counts.items():
                if (service, prefix) in wanted:  # not one that is just going
                    self.history.counted(node, service, prefix, total, now_s)
        for node, services in opened.items():
            for service, total in services.items():
                self.history.opened(node, service, total, now_s)
        step = self.history.advance(now_s)
        if step is not None:
            self._keep(step)
        return step

    async def recall(self, now_s: float) -> int:
        """Take over the steps that an earlier run stored; returns how many."""
        own = self.history.settings
        ids = {name: number for number, name in self._services.items()}
        steps: dict[float, dict[Cell, float]] = {}
        for time_s, destination, place, count in await self._recorder.arrivals(
            now_s - own.keep * own.step_s
        ):
            if destination in ids and time_s <= now_s:
                cell = ids[destination], ELSEWHERE if place == OTHER else place
                counts = steps.setdefault(time_s, {})
                counts[cell] = counts.get(cell, 0.0) + count
        self.history.load(AccessStep(time_s, steps[time_s]) for time_s in sorted(steps))
        return len(steps)

    def _keep(self, step: AccessStep) -> None:
        whole: dict[tuple[str, str], int] = {}
        for (service, place), connections in step.counts.items():
            exact = connections + self._carried.pop((service, place), 0.0)
            number = round(exact)
            if exact != number:
                self._carried[service, place] = exact - number
            if number > 0 and service in self._services:
                whole[self._services[service], place] = number
        if whole:
            self._recorder.store.add_arrivals(step.end_s, whole)


def _whom(
    rows: Iterable[tuple[str, ...]], locations: PrefixTable
) -> dict[tuple[str, ...], dict[str, str | None]]:
    return {own: row_locations(own, locations) for own in rows}
