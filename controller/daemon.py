"""The controller as a whole: assembles the parts, turns the loop, and takes a person's orders.

A restart flushes nothing and moves no traffic: shifts, freezes and manual weights are remembered in the
store, shares are read back from the switches, and both go on as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from controller.act.fabric import FabricDriver
from controller.act.program import files
from controller.config import Config
from controller.cycle import Cycle
from controller.events import Listener, NodeFailed, NodeRecovered, Publisher
from controller.model import Decision, Idle, Kind, Outcome, Stage
from controller.observe.store import TROUBLE as STORE_TROUBLE
from controller.plan.fabric import fabric_plan, slot_set_id
from controller.plan.routes_memory import continued, from_json, to_json
from controller.plan.routes_shares import shares
from controller.plan.routes_state import RoutesState, with_freeze, with_manual
from controller.recorder import Recorder
from controller.snapshot import snapshot
from controller.trainer import Trainer
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)

FIRST_CONTACT_S = 5.0  # how long a start waits for all switches before it goes on with those there
SCAN_PAUSE_S = 0.01  # between the pieces of a scan
AGAIN_S = 5.0
Work = Callable[[], Coroutine[Any, Any, None]]
EVERYTHING = "*"  # the router of a decision that is about all of them


class Controller:
    """Runs one configuration. Make it and call everything within one asyncio event loop.

    `driver` replaces the fabric driver (tests without switches). Raises ProgramError when the
    compiled program cannot be used.
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
        self.driver = driver if driver is not None else self._make_driver()
        self._publisher = Publisher()
        self.cycle = Cycle(
            config, self.fabric, self.driver, self.recorder, self._publisher, self.troubles, clock
        )
        self.trainer = Trainer(config, self.cycle.foresight.forecaster, self.recorder)
        self._clock = clock
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: set[str] = set()
        self._remembered = ""
        self._orders = 0
        self._early: list[Callable[[RoutesState], RoutesState]] = []  # orders before the start
        self._dry_asked: bool | None = None  # by a person, in this run or an earlier one
        self._started = False

    def _make_driver(self) -> FabricDriver:
        p4 = self.config.p4
        return FabricDriver(self.fabric, files(p4.p4info, p4.json_path))

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
        state = continued(state, seen, self.cycle.services, self.cycle.labels)
        for order in self._early:  # the API is there before the switches are
            state = order(state)
        self._started = True
        self.cycle.state = state
        dry = self.config.cycle.dry_run if self._dry_asked is None else self._dry_asked
        self.cycle.dry = state if dry else None
        writer = self.cycle.writer
        writer.adopt(in_force)
        wanted = shares(self.cycle.services, self.cycle.edges, self.cycle.labels, state)
        writer.want(wanted)
        idle = self.config.idle
        self.driver.want(
            fabric_plan(
                self.fabric,
                idle=Idle(idle.tcp_s, idle.udp_s, idle.opening_s, idle.linger_s),
                sample_one_in=self.config.digests.sample_one_in,
                shares=wanted,
                in_force={**in_force, **writer.wanted()},
            )
        )
        # A switch that hangs must not hold up the others: what is late is tried again below.
        reconciling = asyncio.create_task(self.driver.reconcile())
        try:
            await asyncio.wait({reconciling}, timeout=FIRST_CONTACT_S)
            failed = dict(reconciling.result().failed) if reconciling.done() else {}
        finally:
            reconciling.cancel()
        for name, status in self.driver.status().items():
            if status.up and status.reconciled:
                writer.confirm(name)
            elif status.up:
                error = failed.get(name, f"not reconciled within {FIRST_CONTACT_S:g} s")
                self.troubles.begin(f"reconcile {name}", error)
        self._spawn("scan", self._scan)
        self._spawn("reconcile", self._reconcile)
        self._spawn("train", self.trainer.run)

    async def turn(self) -> None:
        """One cycle, and what is to be remembered of it."""
        await self.cycle.turn()
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

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event; returns a function that ends that."""
        return self._publisher.subscribe(listener)

    def freeze(self, router: str | None = None) -> None:
        """Change no share of this router, or of any, until unfrozen. KeyError if there is none."""
        self._order(Kind.FREEZE, router, lambda state: with_freeze(state, router, True))

    def unfreeze(self, router: str | None = None) -> None:
        """Undo freeze; None frees every router."""
        self._order(Kind.UNFREEZE, router, lambda state: with_freeze(state, router, False))

    def manual_weight(self, router: str, shift_pct: int | None) -> None:
        """Set a router's shift by hand from the next cycle on; None gives it back to the planner.

        KeyError for an unknown router, ValueError beyond 0..100.
        """
        self._known(router)
        self._change(lambda state: with_manual(state, router, shift_pct))

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

    def _known(self, router: str) -> None:
        if router not in self.cycle.labels:
            raise KeyError(f"there is no router {router}: {', '.join(self.cycle.labels)}")

    def _order(
        self, kind: Kind, router: str | None, change: Callable[[RoutesState], RoutesState]
    ) -> None:
        if router is not None:
            self._known(router)
        cycle, now_s = self.cycle, self._clock()
        self._change(change)
        shift = float(cycle.state.of(router).shift_pct) if router is not None else 0.0
        self._orders += 1
        decision = Decision(
            id=f"{int(now_s * 1000)}-{kind.value}-{self._orders}",
            time_s=now_s,
            kind=kind,
            router=router if router is not None else EVERYTHING,
            shift_before_pct=shift,
            shift_after_pct=shift,
            shadows=(),
            trigger="freeze",
            reason=f"a person asked to {kind.value} {router or 'every router'}",
        )
        self.recorder.decision(decision, Outcome(decision.id, (), (), None), now_s)

    def _change(self, change: Callable[[RoutesState], RoutesState]) -> None:
        cycle = self.cycle
        cycle.state = change(cycle.state)
        if cycle.dry is not None:
            cycle.dry = change(cycle.dry)
        if not self._started:
            self._early.append(change)

    async def _recall(self) -> RoutesState:
        """What an earlier run remembered."""
        text = await self.recorder.meta("routes")
        state = RoutesState()
        if text is not None:
            try:
                state = from_json(text)
            except ValueError as error:
                self.troubles.begin("recall", f"{error}; starting from what the switches hold")
        elif STORE_TROUBLE in self.troubles.open:
            self.troubles.begin(
                "recall",
                "the store could not be read: freezes, weights set by hand and a dry run of an "
                "earlier run are not known; starting from what the switches hold",
            )
        if self._dry_asked is None and await self.recorder.meta("dry_run") == "on":
            LOG.warning(
                "dry run, as in the run before: nothing is written; umbra dry-run off ends it"
            )
            self._dry_asked = True
        displaced = await self.recorder.meta("displaced")
        if displaced is not None:
            with contextlib.suppress(ValueError, AttributeError, TypeError):
                self.cycle.tracker.displaced = {
                    router: {int(service): float(count) for service, count in own.items()}
                    for router, own in json.loads(displaced).items()
                    if router in self.cycle.labels
                }
        since_s = self._clock() - self.cycle.history.keep * self.config.cycle.period_s
        for series in await self.recorder.load(tuple(self.cycle.labels), since_s):
            self.cycle.history.load(series)
        await self.recorder.remember_decisions()
        return state

    def _remember(self) -> None:
        if not self._started:
            return  # nothing was taken over yet: what an earlier run remembered stays
        text = to_json(self.cycle.state)
        if text != self._remembered:
            self._remembered = text
            self.recorder.store.set_meta("routes", text)
        self.recorder.store.set_meta("dry_run", "on" if self.dry_run else "off")
        displaced = {name: own for name, own in self.cycle.tracker.displaced.items() if own}
        self.recorder.store.set_meta("displaced", json.dumps(displaced))

    def _up(self, node: str) -> None:
        self.troubles.end(f"switch {node}")
        if not self.driver.status()[node].reconciled:
            return  # `_reconcile` tries again
        self.cycle.writer.confirm(node)
        self.troubles.end(f"reconcile {node}")
        self.troubles.end(f"write {node}")
        if node in self._failed:
            self._failed.discard(node)
            self._publisher.publish(NodeRecovered(node, self._clock()))

    def _down(self, node: str) -> None:
        self._failed.add(node)
        error = self.driver.status()[node].last_error
        self.troubles.begin(f"switch {node}", error or "the connection was lost")
        self._publisher.publish(NodeFailed(node, self._clock(), error))

    def _spawn(self, name: str, work: Work) -> None:
        task = asyncio.create_task(self._guard(name, work), name=f"umbra-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, name: str, work: Work) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                self.troubles.fail(name, error)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _scan(self) -> None:
        """Expire idle connections on every switch that binds some, one switch after the other."""
        names = [s.name for s in self.fabric.switches if s.stage is not Stage.SPINE]
        while True:
            await asyncio.sleep(self.config.idle.scan_period_s)
            for name in names:
                if not self.driver.status()[name].up:
                    continue
                try:
                    await self.driver.scan(name, pause_s=SCAN_PAUSE_S)
                    self.troubles.end(f"scan {name}")
                except Exception as error:
                    self.troubles.fail(f"scan {name}", error)

    async def _reconcile(self) -> None:
        """Try again where a connected switch could not be brought to the plan."""
        while True:
            await asyncio.sleep(AGAIN_S)
            for name, status in self.driver.status().items():
                if not status.up or status.reconciled:
                    continue
                report = await self.driver.reconcile(name)
                if report.failed:
                    self.troubles.begin(f"reconcile {name}", report.failed[0][1])
                else:
                    self._up(name)

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.trainer.close()
        await self.cycle.close()
        for callbacks, own in ((self.driver.on_up, self._up), (self.driver.on_down, self._down)):
            if own in callbacks:  # ending the connections is no failure
                callbacks.remove(own)
        await self.driver.stop()
        self._remember()
        await self.recorder.close()
