"""The controller as a whole: assembles the parts, turns the loop, and takes a person's orders.

A restart flushes nothing and moves no traffic: shifts, freezes, manual weights, failovers and drained
routers are remembered in the store, shares are read back from the switches, and all go on as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.act.fabric import FabricDriver
from controller.beside import Beside
from controller.calendars import Calendars
from controller.config import Config
from controller.cycle import Cycle
from controller.driver import make_driver
from controller.events import Listener, NodeFailed, NodeRecovered, Publisher
from controller.learning.assembly import Learning
from controller.memory import Memory
from controller.orders import Orders
from controller.plan.fabric import slot_set_id
from controller.plan.routes_memory import continued
from controller.plan.routes_shares import shares
from controller.plan.routes_state import RoutesState
from controller.recorder import Recorder
from controller.resilience.assembly import Resilience
from controller.shadowing.assembly import Shadowing
from controller.snapshot import snapshot
from controller.trouble import Troubles
from controller.upkeep import Upkeep
from ml.calendars.events import PlannedEvent

LOG = logging.getLogger(__name__)

FIRST_CONTACT_S = 5.0  # how long a start waits for all switches before it goes on with those there


class Controller:
    """Runs one configuration. Make it and call everything within one asyncio event loop.

    `driver` replaces the fabric driver (tests without switches). Raises ProgramError when the
    compiled program cannot be used, AddressingError or DestinationError when a file of their sections cannot.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], float] = time.time,
        driver: FabricDriver | None = None,
    ) -> None:
        self.config = config
        self.fabric = config.fabric()
        self.troubles = Troubles()
        self.recorder = Recorder(config, self.troubles)
        self.driver = driver if driver is not None else make_driver(config, self.fabric)
        self._publisher = Publisher()
        self.cycle = Cycle(
            config, self.fabric, self.driver, self.recorder, self._publisher, self.troubles, clock
        )
        self.orders = Orders(self.cycle, self.recorder, clock)
        self.learning = Learning(
            config, self.cycle, self.recorder, self._publisher, self.troubles, clock
        )
        self.calendars = Calendars(config, self._plan, self.troubles, clock)
        self.resilience = Resilience(
            config,
            self.fabric,
            self.driver,
            self.cycle,
            self.recorder,
            self._publisher,
            self.troubles,
            clock,
            self._remember,
        )
        self.memory = Memory(self.recorder, self.troubles)
        self.shadowing = Shadowing(
            config, self.fabric, self.driver, self.cycle, self.resilience, self.recorder, clock
        )
        self.upkeep = Upkeep(self.fabric, self.driver, self.troubles)
        self.beside = Beside(
            config,
            self.fabric,
            self.driver,
            self.cycle,
            self.resilience,
            self.recorder,
            self.troubles,
            clock,
        )
        self.addressing = self.beside.addressing
        self.destinations = self.beside.destinations
        self.resources = self.beside.resources
        self.ab = self.beside.ab
        self._clock = clock
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._failed: set[str] = set()
        self._dry_asked: bool | None = None  # by a person, in this run or an earlier one
        self._started = False

    async def run(self) -> None:
        """Turn the loop until `stop`. The switches go on forwarding as they are."""
        self._running = True
        try:
            if not await self._start_unless_stopped():
                return
            next_s = time.monotonic()
            while not self._stopping.is_set():
                await self.turn()
                next_s += self.config.cycle.period_s
                wait_s = next_s - time.monotonic()
                if wait_s < 0:  # skip what was missed
                    self.troubles.begin("late", "cycles take longer than cycle.period_s")
                    next_s = time.monotonic()
                    wait_s = 0.0
                else:
                    self.troubles.end("late")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_s)
        finally:
            await self._finish()
            self._running = False
            self._ended.set()

    async def _start_unless_stopped(self) -> bool:
        starting = asyncio.create_task(self.start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            return starting.done()
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)

    async def stop(self) -> None:
        """End `run` and wait for it."""
        self._stopping.set()
        if self._running:
            await self._ended.wait()

    async def start(self) -> None:
        """Connect, read back what is in force, and go on from there. `run` does it by itself."""
        state = await self._recall()
        self.driver.on_up.append(self._up)
        self.driver.on_down.append(self._down)
        await self.driver.start()
        await self.driver.wait_up(FIRST_CONTACT_S)
        in_force = await self.driver.slots_in_force()
        seen: dict[int, dict[int, int]] = {}
        for service in self.fabric.services:
            for edge in self.cycle.edges:
                labels = in_force.get((edge, slot_set_id(service)))
                if labels is not None and service.id not in seen:
                    seen[service.id] = {label: labels.count(label) for label in {*labels}}
        cycle, away = self.cycle, self.cycle.away
        state = continued(state, seen, cycle.services, cycle.labels, away)
        state = self.orders.begin(state)
        self._started = True
        cycle.state = state
        dry = self.config.cycle.dry_run if self._dry_asked is None else self._dry_asked
        cycle.dry = state if dry else None
        cycle.writer.adopt(in_force)
        cycle.writer.want(shares(cycle.services, cycle.edges, cycle.labels, state, away))
        await self.beside.recall(in_force)
        self.resilience.desired.start_from(in_force)
        self.resilience.desired.want()
        # A switch that hangs must not hold up the others: what is late is tried again below.
        reconciling = asyncio.create_task(self.driver.reconcile())
        try:
            await asyncio.wait({reconciling}, timeout=FIRST_CONTACT_S)
            failed = dict(reconciling.result().failed) if reconciling.done() else {}
        finally:
            reconciling.cancel()
        for name, status in self.driver.status().items():
            if status.up and status.reconciled:
                cycle.writer.confirm(name)
            elif status.up:
                error = failed.get(name, f"not reconciled within {FIRST_CONTACT_S:g} s")
                self.troubles.begin(f"reconcile {name}", error)
        self.upkeep.spawn("scan", lambda: self.upkeep.expire(self.config.idle.scan_period_s))
        self.upkeep.spawn("reconcile", lambda: self.upkeep.reconcile(self._up))
        self.upkeep.spawn("calendars", self.calendars.run)
        self.upkeep.spawn("train", self.learning.run)
        self.resilience.start(self.upkeep)
        self.shadowing.start(self.upkeep)
        self.beside.start(self.upkeep)

    async def turn(self) -> None:
        """One cycle, and what is to be remembered of it."""
        with self.learning.trainer.resting():
            await self.cycle.turn()
            await self.beside.turn()
        self.learning.turn()
        self.resilience.turn()
        self.shadowing.turn()
        self._remember()
        self.recorder.flush_soon(self._clock())

    def state(self) -> dict[str, Any]:
        """A JSON-able snapshot (`serve/schemas.State` and a little more)."""
        return snapshot(
            self.config,
            self.cycle,
            self.driver.status(),
            self.recorder,
            self.troubles,
            self._clock(),
            self.resilience,
            self.learning.summary(),
        )

    def decisions(
        self,
        *,
        limit: int = 100,
        router: str | None = None,
        kind: str | None = None,
        since_s: float | None = None,
    ) -> list[Mapping[str, Any]]:
        """The newest decisions with their outcomes, newest first."""
        return self.recorder.recent(limit=limit, router=router, kind=kind, since_s=since_s)

    def shadows(self) -> list[dict[str, Any]]:
        """Every router's shadows (`serve/shadow_schemas.AssignmentState`)."""
        return self.shadowing.table()

    def why_shadows(self, router: str) -> Mapping[str, Any]:
        """Why they are (`serve/shadow_schemas.WhyState`). KeyError for an unknown router."""
        self._known(router)
        return self.shadowing.why(router)

    async def models(self) -> Mapping[str, Any]:
        """The forecasting models (`serve/model_schemas.ModelsState`)."""
        return await self.learning.state()

    async def promote_model(self, version: str) -> None:
        """Put a version into service. ModelRefused when it cannot be."""
        await self.learning.promote(version)

    async def roll_back_model(self) -> None:
        """Put the champion before into service. ModelRefused when there is none."""
        await self.learning.roll_back()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event; returns a function that ends that."""
        return self._publisher.subscribe(listener)

    def freeze(self, router: str | None = None) -> None:
        """Change no share of this router, or of any, until unfrozen. KeyError if there is none."""
        self._known(router)
        self.orders.freeze(router)

    def unfreeze(self, router: str | None = None) -> None:
        """Undo freeze; None frees every router."""
        self._known(router)
        self.orders.unfreeze(router)

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand from the next cycle on; None gives it back to the planner.

        KeyError for an unknown router, ValueError beyond 0..100.
        """
        self._known(router)
        self.orders.manual_weight(router, shift_pct)

    def drain(self, router: str) -> None:
        """Take a router out of service without losing a connection; it goes on in the background.

        KeyError for an unknown router, ValueError (with the remedy) when that cannot be done now.
        """
        self._known(router)
        self._ready()
        self.resilience.failover.drain(router)

    def undrain(self, router: str) -> None:
        """Put a drained router back into service. KeyError and ValueError as `drain`."""
        self._known(router)
        self._ready()
        self.resilience.failover.undrain(router)

    def set_shadows(self, shadows: Mapping[str, Sequence[str]]) -> None:
        """Change who is whose shadow: programs it, and gives new shadows what they are to hold.

        A router that is away keeps the shadows that it had until it is home.
        """
        self.resilience.set_shadows(shadows)

    @property
    def dry_run(self) -> bool:
        """Decisions are made and recorded but nothing is written."""
        return self.cycle.dry is not None

    @dry_run.setter
    def dry_run(self, on: bool) -> None:
        # A dry run plans on with a state of its own, from what is in force; it ends where it began.
        if on and self.cycle.dry is None:
            self.cycle.dry = self.cycle.state
        elif not on:
            self.cycle.dry = None
        self._dry_asked = on

    def _plan(self, events: tuple[PlannedEvent, ...]) -> None:
        self.learning.plan(events)
        self.beside.plan(events)

    def _ready(self) -> None:
        if not self._started:
            raise ValueError("the controller is still starting; ask again in a few seconds")

    def _known(self, router: str | None) -> None:
        if router is not None and router not in self.cycle.labels:
            raise KeyError(f"there is no router {router}: {', '.join(self.cycle.labels)}")

    async def _recall(self) -> RoutesState:
        """What an earlier run remembered."""
        state = await self.memory.routes()
        if self._dry_asked is None and await self.memory.dry_run():
            LOG.warning(
                "dry run, as in the run before: nothing is written; umbra dry-run off ends it"
            )
            self._dry_asked = True
        failovers = await self.memory.failover([switch.name for switch in self.fabric.switches])
        self.resilience.recall(failovers)
        await self.shadowing.recall()
        self.cycle.tracker.displaced = await self.memory.displaced(self.cycle.labels)
        since_s = self._clock() - self.cycle.history.keep * self.config.cycle.period_s
        for series in await self.recorder.load(tuple(self.cycle.labels), since_s):
            self.cycle.history.load(series)
        await self.recorder.remember_decisions()
        return state

    def _remember(self) -> None:
        if self._started:  # before, nothing was taken over: what an earlier run remembered stays
            failovers, displaced = self.resilience.memory(), self.cycle.tracker.displaced
            self.memory.keep(self.cycle.state, failovers, self.dry_run, displaced)

    def _up(self, node: str) -> None:
        self.troubles.end(f"switch {node}")
        if not self.driver.status()[node].reconciled:
            return  # tried again by `upkeep`
        self.cycle.writer.confirm(node)
        self.troubles.end(f"reconcile {node}")
        self.troubles.end(f"write {node}")
        self.resilience.up(node)
        if node in self._failed:
            self._failed.discard(node)
            self._publisher.publish(NodeRecovered(node, self._clock()))

    def _down(self, node: str) -> None:
        self._failed.add(node)
        self.resilience.down(node)
        error = self.driver.status()[node].last_error
        self.troubles.begin(f"switch {node}", error or "the connection was lost")
        self._publisher.publish(NodeFailed(node, self._clock(), error))

    async def _finish(self) -> None:
        await self.resilience.close()
        await self.upkeep.close()
        await self.beside.close()
        await self.learning.close()
        await self.cycle.close()
        for callbacks, own in ((self.driver.on_up, self._up), (self.driver.on_down, self._down)):
            if own in callbacks:  # ending the connections is no failure
                callbacks.remove(own)
        await self.driver.stop()
        self._remember()
        await self.recorder.close()
