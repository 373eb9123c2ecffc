"""Brings into force who stands in for whom.

Everything follows from who is dead, drained, or on the way home (`plan/failover`), so that any number
of such events at once has one outcome: `apply` compares what follows with what is in force and writes
the difference on all edges at once, bindings first, then the shares of new connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from controller.cycle import Cycle
from controller.events import Publisher, ShiftDecided
from controller.model import Decision, Fabric, Kind, Outcome, Stage, TargetRow
from controller.plan.failover import StandIns as Taken
from controller.plan.failover import all_stand_ins, moved
from controller.plan.liveness import Change, Status
from controller.plan.routes_shares import shares
from controller.resilience.desired import Desired
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)

WRITE_S = 0.3  # an edge that has not taken the bindings by then must not hold up the others
NOTHING = Outcome("", (), (), None)


class Driver(Protocol):
    """What is needed of the fabric driver."""

    async def write_targets(self, rows: Mapping[str, Sequence[TargetRow]]) -> Any: ...

    async def reconcile(self, node: str | None = None) -> Any: ...

    def status(self) -> Mapping[str, Any]: ...


class Sight(Protocol):
    """Who lives (`health.Health`)."""

    def status(self, router: str) -> Status: ...

    def proven(self, router: str) -> bool: ...

    def home(self, router: str) -> None: ...

    def empty(self, router: str) -> None: ...

    def recall(self, dead: frozenset[str]) -> None: ...


class Recorder(Protocol):
    """Where decisions are remembered."""

    def decision(self, decision: Decision, outcome: Outcome, time_s: float) -> None: ...


class StandIns:
    """Without `sight` nobody is ever dead. drained: by a person; handed: of these, whose bindings have
    moved; coming: drained no longer, and not home yet. `remember` is called when something changed
    that a restart must know.
    """

    def __init__(
        self,
        fabric: Fabric,
        driver: Driver,
        cycle: Cycle,
        desired: Desired,
        sight: Sight | None,
        recorder: Recorder,
        publisher: Publisher,
        troubles: Troubles,
        clock: Callable[[], float],
        remember: Callable[[], None],
    ) -> None:
        self.routers = tuple(router.name for router in fabric.stage(Stage.ROUTER))
        self.drained: set[str] = set()
        self.handed: set[str] = set()
        self.coming: set[str] = set()
        self.sight = sight
        self._edges = tuple(edge.name for edge in fabric.stage(Stage.EDGE))
        self._driver = driver
        self._cycle = cycle
        self._desired = desired
        self._recorder = recorder
        self._publisher = publisher
        self._troubles = troubles
        self._clock = clock
        self._remember = remember
        self._doubtful: set[str] = set()  # edges that may not have taken the bindings
        self._unprogrammed: dict[str, None] = {}  # may not know their pairs, in order
        self._programming: asyncio.Task[Any] | None = None
        self._held_back = False  # by a dry run
        self._acting: set[asyncio.Task[Any]] = set()
        self._count = 0

    @property
    def dry(self) -> bool:
        """Nothing may be written."""
        return self._cycle.dry is not None

    def dead(self) -> set[str]:
        """Dead, or back but not home."""
        if self.sight is None:
            return set()
        gone = (Status.DEAD, Status.RETURNING)
        return {name for name in self.routers if self.sight.status(name) in gone}

    def away(self) -> set[str]:
        """All that get no new connections."""
        return self.dead() | self.drained | self.coming

    def holds(self, name: str) -> bool:
        """The switch is connected and programmed, and its connections are worth something."""
        node = self._driver.status()[name]
        return bool(node.up and node.reconciled and name not in self.dead())

    def takes_connections(self, name: str) -> bool:
        """The router may get new connections, as far as this is about life and death."""
        node = self._driver.status().get(name)
        if node is None or name in self.away() or (node.up and not node.reconciled):
            return False
        return bool(node.up) or self.sight is not None

    def out_of_service(self) -> set[str]:
        """Routers that serve nobody: those that are away; without `sight` also those that are not connected."""
        return self.away() | (self._unconnected() if self.sight is None else set())

    def can_go(self, name: str) -> bool:
        """Somebody can stand in for it."""
        unfit = {*self.away(), *self._unconnected(), name}
        return name in all_stand_ins(self._desired.shadows, unfit, (), {})

    def _unconnected(self) -> set[str]:
        status = self._driver.status()
        return {name for name in self.routers if not status[name].up}

    def takers(self, name: str) -> tuple[str, ...]:
        """Who gets its new connections now."""
        return self._cycle.away.get(name, ())

    def resume(self) -> None:
        """Take what follows to be in force already: an earlier run wrote it."""
        desired = self._desired
        _, self._cycle.away = self._follows(dict(desired.targets), desired.shadows)

    async def apply(self, change: Change | None = None, told: Collection[str] = ()) -> Outcome:
        """Bring into force what follows from who is away; what was written, and how fast.

        change: what led to it. told: routers whose decision the caller records.
        """
        start_s = time.perf_counter()
        desired, cycle = self._desired, self._cycle
        before, shadows = dict(desired.targets), desired.shadows
        targets, away = self._follows(before, shadows)
        changed = moved(before, targets)
        if self.dry:
            self._held_back = True
            self._tell(changed, before, targets, change, NOTHING, {}, told)
            return NOTHING
        for name in targets:
            desired.pinned.setdefault(name, shadows.get(name, ()))
        for name in {*desired.pinned} - {*targets} - self.drained - self.coming:
            del desired.pinned[name]
        desired.targets, cycle.away = targets, away
        rows = [desired.row(name) for name in changed]
        wanted = shares(cycle.services, cycle.edges, cycle.labels, cycle.state, away)
        slots = cycle.writer.want(wanted)
        written: tuple[str, ...] = ()
        failed: dict[str, str] = {}
        if rows:
            written, failed = await self.write_bindings(rows, self._edges)
        bindings_ms = (time.perf_counter() - start_s) * 1000
        up = frozenset(name for name, node in self._driver.status().items() if node.up)
        shared = await cycle.writer.write(slots, up, WRITE_S)
        failed |= dict(shared.failed)
        shares_ms = (time.perf_counter() - start_s) * 1000
        edges = tuple(sorted({*(written or shared.edges)} - {*failed}))
        outcome = Outcome("", edges, tuple(sorted(failed.items())), shares_ms)
        times = {"bindings_ms": bindings_ms, "shares_ms": shares_ms}
        self._tell(changed, before, targets, change, outcome, times, told)
        self._remember()
        await self.pair_up(shadows)
        return outcome

    def _follows(
        self, before: Taken, shadows: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """Who stands in for whom: for bindings, and for new connections."""
        dead, drained = self.dead(), self.drained | self.coming
        given = {n: own for n, own in self._cycle.away.items() if n in self.handed}
        found = all_stand_ins(shadows, dead, drained, {**given, **before})
        moving = dead | self.handed | (self.coming & before.keys())
        targets = {name: own for name, own in found.items() if name in moving}
        for name in dead & before.keys():  # nobody is left: leave it where somebody may return
            targets.setdefault(name, before[name])
        # Who is still being drained goes only to those that can be given its connections.
        current = {**self._cycle.away, **targets}
        unfit = dead | self._unconnected()
        going = all_stand_ins(shadows, unfit, drained, current)
        away = {name: own for name, own in going.items() if name in drained} | targets
        for name in self.routers:
            if name in dead and name not in found:
                self._troubles.begin(f"failover {name}", "it is dead and no shadow of it lives")
            else:
                self._troubles.end(f"failover {name}")
        return targets, away

    async def write_bindings(
        self, rows: Sequence[TargetRow], edges: Sequence[str]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Edges that took the rows, and why others did not (yet)."""
        tasks = {}
        for edge in edges:  # one that may have missed a row gets them all
            own = self._desired.rows() if edge in self._doubtful else rows
            tasks[edge] = self.do(self._driver.write_targets({edge: own}))
        if tasks:
            await asyncio.wait(tasks.values(), timeout=WRITE_S)
        written: list[str] = []
        failed: dict[str, str] = {}
        for edge, task in tasks.items():
            if not task.done():
                failed[edge] = f"the bindings were not taken within {WRITE_S * 1000:.0f} ms"
            elif task.cancelled() or task.exception() is not None:
                failed[edge] = str(None if task.cancelled() else task.exception())
            elif task.result().failed:
                failed[edge] = task.result().failed[0][1]
            else:
                written.append(edge)
        self._doubtful |= {*failed}
        self._doubtful -= {*written}
        return tuple(written), failed

    async def pair_up(self, before: Mapping[str, Sequence[str]]) -> None:
        """Program the pairs that became or ceased to be some since `before`."""
        after = self._desired.shadows
        earlier = {name: tuple(own) for name, own in before.items()}
        changed = moved(earlier, after)
        if not changed or self.dry:
            return
        self._desired.want()
        concerned = {
            name
            for primary in changed
            for name in (primary, *earlier.get(primary, ()), *after.get(primary, ()))
        }
        # Those that take records come first: then nothing that is sent is refused.
        holders = {name for primary in changed for name in after.get(primary, ())}
        self._unprogrammed |= dict.fromkeys(
            sorted(concerned, key=lambda name: (name not in holders, name))
        )
        await self._program()

    async def _program(self) -> None:
        """What is not done, `retry` does: a switch was slow, or who asked for it was ended."""
        for name in tuple(self._unprogrammed):
            up = self._driver.status()[name].up  # else it is programmed when it connects
            if not up or not (await self._driver.reconcile(name)).failed:
                self._unprogrammed.pop(name, None)

    def retry(self) -> None:
        """Once a cycle: write again what an edge did not take, and what a dry run held back."""
        status = self._driver.status()
        again = {edge for edge in self._doubtful if status[edge].up and status[edge].reconciled}
        if again and not self.dry:
            self.do(self.write_bindings((), tuple(sorted(again))))
        idle = self._programming is None or self._programming.done()
        if self._unprogrammed and idle and not self.dry:
            self._programming = self.do(self._program())
        if self._held_back and not self.dry:
            self._held_back = False
            self.do(self.apply())

    def do(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start it, and remember it until it is done."""
        task = asyncio.create_task(work)
        self._acting.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._acting.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None:
                self._troubles.count("failover", f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """End what is under way."""
        tasks = tuple(self._acting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(
        self,
        changed: Sequence[str],
        before: Taken,
        after: Taken,
        change: Change | None,
        outcome: Outcome,
        times: Mapping[str, float],
        told: Collection[str],
    ) -> None:
        """A decision for every router whose bindings moved to others."""
        for name in changed:
            if name in told or name not in after:
                continue
            inputs: dict[str, float | str | None] = dict(times)
            if change is not None:
                inputs["silent_ms"] = change.silent_s * 1000
            if change is not None and change.router == name:
                cause = f"{name} is dead: {change.reason}"
            elif name in before:
                cause = f"{listed(before[name])} can no longer stand in for {name}"
            else:
                cause = f"{name} is away"
            reason = f"{cause}; its connections go to {listed(after[name])}"
            self.decide(Kind.FAILOVER, name, after[name], "probes", reason, outcome, inputs)

    def decide(
        self,
        kind: Kind,
        name: str,
        takers: Sequence[str],
        trigger: str,
        reason: str,
        outcome: Outcome,
        inputs: Mapping[str, float | str | None],
    ) -> None:
        """Record and publish a decision about a whole router."""
        now_s = self._clock()
        self._count += 1
        shifted_pct = float(self._cycle.state.of(name).shift_pct)
        away = kind in (Kind.FAILOVER, Kind.DRAIN)
        decision = Decision(
            id=f"{int(now_s * 1000)}-{kind.value}-{self._count}",
            time_s=now_s,
            kind=kind,
            router=name,
            shift_before_pct=shifted_pct if away else 100.0,
            shift_after_pct=100.0 if away else shifted_pct,
            shadows=tuple(takers),
            trigger=trigger,
            reason=reason,
            inputs=inputs,
            dry_run=self.dry,
        )
        outcome = replace(outcome, decision_id=decision.id)
        LOG.warning("%s", reason)
        self._recorder.decision(decision, outcome, now_s)
        self._publisher.publish(ShiftDecided(decision, outcome))


def listed(routers: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(routers) if routers else "nobody"
