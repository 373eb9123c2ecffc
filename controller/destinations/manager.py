"""Destination shadowing (seed 9407539): its loop, beside the cycle.

In every turn: the traffic pattern analyser reads the edges; once a step it forecasts, and the shadow DI allocator
places copies; the preemptive routing engine makes the redirects, judged by what they achieved (dynamic adjustment);
what changed is written. Copies that fail are seen and left between two turns. A part that fails is a trouble,
counted and left out of the turn; the others go on. A restart flushes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from controller.destinations.adjusting import Adjusting
from controller.destinations.copies import as_configured, drained, prepared
from controller.destinations.demand import DestinationDemand
from controller.destinations.errors import UnknownCopy
from controller.destinations.graphing import Graphing
from controller.destinations.memory import DestinationMemory
from controller.destinations.places import Places
from controller.destinations.planning import NOTHING, Closed, Rules, Seen, merged, place, redirect
from controller.destinations.position import Position
from controller.destinations.rows import InForce, RedirectRows
from controller.destinations.sight import Sight
from controller.destinations.state import destinations_state, graph_now
from controller.destinations.steps import DestinationSteps, Listener, Step
from controller.destinations.traffic import Traffic
from controller.destinations.writing import copy_shares
from controller.graph.graph import Graph
from controller.model import FabricPlan, SampledConnection
from controller.observe.access import AccessStep
from controller.plan.redirects.state import Cell, Copy
from controller.plan.routes_state import RoutesState
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent

WATCH_S = 0.05  # between looks whether a copy has failed
WRITE = "redirect rows"
WRITES_KEPT = 200


class DestinationManager:
    """Owns the parts. Call everything within one asyncio event loop."""

    def __init__(
        self,
        rules: Rules,
        places: Places,
        traffic: Traffic,
        demand: DestinationDemand,
        sight: Sight,
        rows: RedirectRows,
        steps: DestinationSteps,
        graphing: Graphing,
        troubles: Troubles,
        memory: DestinationMemory,
        clock: Callable[[], float],
        dry: Callable[[], bool],
        routes: Callable[[], RoutesState],
        *,
        period_s: float,
    ) -> None:
        """routes: how the loop shifts shares of routers now."""
        self.steps = steps
        self.on_written: list[Callable[[Mapping[str, Any]], None]] = []
        self._rules = rules
        self._places = places
        self._traffic = traffic
        self._demand = demand
        self._sight = sight
        self._adjusting = Adjusting(rules, sight, demand, traffic.history.settings.step_s)
        self._rows = rows
        self._graphing = graphing
        self._troubles = troubles
        self._memory = memory
        self._clock = clock
        self._dry = dry
        self._routes = routes
        self._period_s = period_s
        self._position = Position()
        self._in_dry_run: Position | None = None  # plans on from what is in force
        self._changing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._failed: frozenset[Copy] = frozenset()
        self._latency_ms: Mapping[tuple[str, str], float] = {}
        self._place_due = True
        self._closed: Closed | None = None  # told to the next redirects
        self._writes: deque[dict[str, Any]] = deque(maxlen=WRITES_KEPT)
        self._turns = 0
        self._turn_ms = 0.0

    @property
    def position(self) -> Position:
        """Where it stands; in a dry run, where it would."""
        return self._in_dry_run or self._position

    @property
    def on_steps(self) -> list[Listener]:
        """Called with every batch of steps."""
        return self.steps.listeners

    def sampled(self, connections: Iterable[SampledConnection]) -> None:
        """Digests of new connections, of any switch."""
        self._traffic.sampled(connections)

    def answered(self, edge: str, router: str, round_trip_ms: float) -> None:
        """A probe of a router came back to an edge."""
        self._sight.latencies.answered(edge, router, round_trip_ms)

    def over(self, plan: FabricPlan) -> FabricPlan:
        """The plan of the fabric with redirects and the slot sets of copies."""
        return self._rows.over(plan)

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events."""
        self._demand.plan(events)

    async def recall(self, in_force: InForce) -> None:
        """Before the first plan of the fabric: what an earlier run left. in_force: slot sets of the switches."""
        now_s = self._clock()
        self._rows.start_from(in_force)
        self._latency_ms = self._sight.latencies.known()
        await self._traffic.locate(await self._places.look())
        remembered = await self._memory.recall()
        if remembered is not None:
            position, since_s, same_steps = remembered
            copies = as_configured(position.copies, self._sight.routers)
            self._position = replace(position, copies=copies)
            self._demand.since_s.update(since_s)
            if same_steps:  # counts of longer or shorter steps are no history of these
                await self._traffic.recall(now_s)
        # The same redirects again, for the first comparison with the switches: nobody has failed yet.
        seen = self._seen(self._position, frozenset())
        _, self._position = redirect(self._rules, self._position, seen, now_s)
        self._lead(self._position)
        self._memory.ready = True

    async def run(self) -> None:
        """Turn the loop, and watch over the copies, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                began_s = time.monotonic()
                self._wake.clear()
                await self.turn()
                took_s = time.monotonic() - began_s
                self._turn_ms = 1e3 * took_s
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._period_s - took_s)):
                        await self._wake.wait()

    async def turn(self) -> None:
        """One turn."""
        now_s, dry = self._clock(), self._dry()
        self._turns += 1
        self._enter(dry)
        self._latency_ms = self._sight.latencies.known()
        async with self._part("locations"):
            if self._places.due(now_s):
                await self._traffic.locate(await self._places.look())
        async with self._part("access"):  # TPA
            step = await self._traffic.collect(now_s)
            if step is not None:  # DAM
                self._closed = self._adjusting.close(step, self._position)
        placing = self._sight.measured and not self._routes().frozen
        due = self._closed is not None or (self._place_due and placing)
        async with self._part("demand"):
            if due:
                await self._demand.look((one.service for one in self._rules.destinations), now_s)
        async with self._part("placement"):  # SDA
            if due and placing:
                await self._place(now_s, dry)
        closed, self._closed = self._closed, None
        async with self._part("redirects"), self._changing:  # PRE and DAM
            await self._redirect(now_s, dry, closed or NOTHING)
        async with self._part("graph"):
            if closed is not None or self._turns == 1:
                seen, position = self._seen_now(), self.position
                self._graphing.write(
                    await asyncio.to_thread(graph_now, self._rules, seen, position)
                )
        self._memory.remember(self._position, self._demand.since_s)

    def load(self, steps: Iterable[AccessStep]) -> None:
        """Load steps of the past, after those that are known already."""
        self._traffic.history.load(steps)

    async def learn(self, steps: Iterable[AccessStep]) -> str:
        """Load steps of the past, and train on the history at once; what came of it."""
        return await self._demand.learn(steps)

    def mark(self, service: str, site: str, failed: bool) -> None:
        """A person, or somebody's health check, says that a copy fails, or is well again.

        UnknownCopy for a service or site where there can be none.
        """
        own = next((one for one in self._rules.destinations if one.name == service), None)
        if own is None or site not in own.sites:
            raise UnknownCopy(service, site, self._rules.destinations)
        copy = own.service, site
        if (copy in self._position.marked) == failed:
            return
        marked = self._position.marked | {copy} if failed else self._position.marked - {copy}
        self._position = replace(self._position, marked=marked)
        if self._in_dry_run is not None:
            self._in_dry_run = replace(self._in_dry_run, marked=marked)
        act, what = ("mark-failed", "fails") if failed else ("mark-well", "is well")
        self.steps.said(
            self._clock(), act, own.service, site, f"told that {service}'s copy at {site} {what}"
        )

    def state(self) -> dict[str, Any]:
        """Demand, copies, redirects and what they achieved (`serve/destination_schemas.DestinationsState`)."""
        return destinations_state(
            self._rules,
            self._seen_now(),
            self.position,
            self._demand,
            self._adjusting.came_cps,
            self._adjusting.achieved,
            len(self._rows.rows),
            list(self._writes)[::-1],
            self.steps.latest(),
            dry_run=self._dry(),
            turns=self._turns,
            turn_ms=self._turn_ms,
        )

    def graph(self) -> Graph:
        """The graph as told to its store."""
        return self._graphing.graph

    async def close(self) -> None:
        """Leave everything as it is: copies and redirects go on."""
        self._memory.remember(self._position, self._demand.since_s, at_once=True)
        await self._demand.close()
        await self._graphing.close()
        self._places.close()

    async def _watch(self) -> None:
        """Copies that fail get no connection from now on; those that are well again are looked at in the next turn."""
        while True:
            await asyncio.sleep(WATCH_S)
            async with self._part("watch"):
                await self.watch()

    async def watch(self) -> None:
        """One look whether a copy has failed, or is well again."""
        failed = self._sight.failed(self.position.marked)
        if failed == self._failed:
            return
        self._enter(self._dry())  # a dry run may have begun or ended since the last turn
        new, self._failed = failed - self._failed, failed
        self._place_due = True
        if new & self.position.copies.keys():
            async with self._changing:
                await self._redirect(self._clock(), self._dry(), NOTHING)
        self._wake.set()

    async def _place(self, now_s: float, dry: bool) -> None:
        """Beside the event loop; redirects may move on meanwhile."""
        self._enter(dry)
        position = self.position
        copies = drained(position.copies, self._sight.live)
        seen = self._seen(replace(position, copies=copies), self._failed_now(position))
        self._place_due = False
        plan, after = await asyncio.to_thread(place, self._rules, position, seen, now_s)
        async with self._changing:
            self._enter(dry)
            current = replace(
                self.position,
                placement=after.placement,
                copies=drained(self.position.copies, self._sight.live),
            )
            self._put(merged(self._rules, current, plan, self._failed_now(current)), dry)
        self.steps.placed(plan.steps, dry=dry)

    async def _redirect(self, now_s: float, dry: bool, closed: Closed) -> None:
        """Plan and write; once more when that made copies ready. Call it with `_changing` held."""
        self._enter(dry)
        frozen = self._routes().frozen
        for _ in range(2):
            decided_s = self._clock()
            position = self.position
            failed = self._failed_now(position)
            seen = self._seen(position, failed)
            plan, after = redirect(self._rules, position, seen, now_s, closed, frozen=frozen)
            steps = self.steps.redirected(plan.steps, dry=dry)
            self._put(after, dry)
            closed = NOTHING
            if dry:
                self._put(replace(after, copies=prepared(after.copies, plan.slot_sets.keys())), dry)
                return
            self._lead(after)
            if not await self._write(decided_s, steps):
                return
            copies = prepared(after.copies, plan.slot_sets.keys())
            if copies == after.copies:
                return
            self._put(replace(self.position, copies=copies), dry)

    async def _write(self, decided_s: float, steps: list[Step]) -> bool:
        if not self._rows.pending:
            return True
        began_s = time.perf_counter()
        failed = await self._rows.write()
        took_ms = 1e3 * (time.perf_counter() - began_s)
        await self._traffic.rows(self._rows.rows)
        written = {
            "time_s": decided_s,
            "ended_s": self._clock(),
            "updates_ms": took_ms,
            "failed": [name for name, _ in failed],
            "steps": steps,
        }
        self._writes.append(written)
        for told in self.on_written:
            told(written)
        if failed:
            self._troubles.begin(WRITE, "; ".join(f"{name}: {why}" for name, why in failed))
            return False
        self._troubles.end(WRITE)
        return True

    def _lead(self, position: Position) -> None:
        plan = position.plan
        if plan is not None:
            shares = copy_shares(
                plan, position.copies, self._sight.fabric, self._routes(), self._sight.gone()
            )
            self._rows.lead(plan, position.copies.values(), shares)

    def _enter(self, dry: bool) -> None:
        """From here on `position` is that of a dry run, or the real one."""
        if not dry:
            self._in_dry_run = None
        elif self._in_dry_run is None:
            self._in_dry_run = self._position

    def _put(self, position: Position, dry: bool) -> None:
        if dry:
            self._in_dry_run = position
        else:
            self._position = position

    def _seen_now(self) -> Seen:
        return self._seen(self.position, self._failed_now(self.position))

    def _seen(self, position: Position, failed: frozenset[Copy]) -> Seen:
        installed = self._position.redirects.sites  # a dry run takes nothing from anybody
        return Seen(
            self._places.locations,
            self._sight.resources(installed, self._came_cps(installed)),
            self._latency_ms,
            self._demand.cells_with(position.redirects.corrections),
            failed,
        )

    def _came_cps(self, cells: Iterable[Cell]) -> Mapping[Cell, float]:
        """New connections per second of late; until a step has ended, as an earlier run stored them."""
        came_cps = self._adjusting.came_cps
        if came_cps is None:
            history = self._traffic.history
            came_cps = {cell: history.rate(cell, 1) for cell in cells}
        return came_cps

    def _failed_now(self, position: Position) -> frozenset[Copy]:
        return self._sight.failed(position.marked)

    @contextlib.asynccontextmanager
    async def _part(self, name: str) -> AsyncIterator[None]:
        with self._troubles.within(f"destinations: {name}"):
            yield
