"""What happens to a router that dies, returns, is drained or undrained.

Going away is one step for a dead router; a drained one hands over first: new connections go to its
shadows, these are given all its connections, and then its bindings move. Coming back is always in
order: the router must have proven that it lives, its shadows give back what they hold of it and tell
what they took over, and only then its bindings, and last its share, go home.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from controller.act.errors import NodeDown
from controller.model import Kind
from controller.plan.liveness import Change, Status
from controller.resilience.desired import Desired
from controller.resilience.resync import Resync, SyncError
from controller.resilience.stand_ins import StandIns, listed
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)

POLL_S = 0.05
AGAIN_S = 2.0
DRAIN, RETURN = "drain", "return"  # what is tried again: the names of their troubles
SETTLE_S = 0.1
Work = Callable[[], Coroutine[Any, Any, None]]


class Driver(Protocol):
    """What is needed of the fabric driver."""

    def status(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Move:
    """How far a router is on its way. step: for a person; error: why it is being tried again."""

    step: str
    since_s: float
    error: str | None = None


class Failover:
    """`moves`: router that is on its way → how far it is."""

    def __init__(
        self,
        driver: Driver,
        desired: Desired,
        resync: Resync,
        stand_ins: StandIns,
        troubles: Troubles,
        clock: Callable[[], float],
        remember: Callable[[], None],
    ) -> None:
        self.moves: dict[str, Move] = {}
        self.stand_ins = stand_ins
        self._driver = driver
        self._desired = desired
        self._resync = resync
        self._troubles = troubles
        self._clock = clock
        self._remember = remember
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._one = asyncio.Lock()  # one router comes home at a time

    def recall(self, drained: Collection[str]) -> None:
        """Go on from what was remembered (and `Desired` recalled). Who is away but not drained was
        dead, or on its way home: it is dead until it answers.
        """
        own, targets = self.stand_ins, self._desired.targets
        own.drained = {name for name in drained if name in own.routers}
        own.handed = {name for name in own.drained if name in targets}
        others = frozenset(name for name in targets if name not in own.drained)
        if own.sight is None:
            own.coming = {*others}
        else:
            own.sight.recall(others)
        own.resume()

    def start(self) -> None:
        """Take up what was under way."""
        own = self.stand_ins
        for name in own.drained - own.handed:
            self._begin(name, DRAIN, partial(self._hand_over, name))
        for name in own.coming:
            self._begin(name, RETURN, partial(self._bring_home, name))
        for name in own.handed:
            self._drained(name)

    def changed(self, change: Change) -> None:
        """A router's status changed."""
        own, name = self.stand_ins, change.router
        if change.after is Status.DEAD:
            self._stop(name)
            self._resync.hold()
            self.moves.pop(name, None)
            own.coming.discard(name)
            if name in own.drained:
                own.handed.add(name)
                self._drained(name)
            own.do(own.apply(change))
        elif change.after is Status.RETURNING and name not in own.drained:
            self._begin(name, RETURN, partial(self._bring_home, name))

    def drain(self, name: str) -> None:
        """Take a router out of service without losing a connection. ValueError, naming the remedy,
        when that cannot be done now.
        """
        own = self.stand_ins
        if name in own.drained:
            return
        if own.dry:
            raise ValueError("a dry run writes nothing; end it first (umbra dry-run off)")
        if not own.can_go(name):
            raise ValueError(
                f"no shadow of {name} lives and is in service; "
                "bring one back first (umbra status tells how they are)"
            )
        self._stop(name)
        own.coming.discard(name)
        own.drained.add(name)
        if name in self._desired.targets:  # dead, or on its way home: its shadows have it all
            own.handed.add(name)
            self._drained(name)
            own.do(own.apply())
        else:
            self._begin(name, DRAIN, partial(self._hand_over, name))
        self._remember()

    def undrain(self, name: str) -> None:
        """Put a drained router back into service, with its connections. ValueError in a dry run."""
        own = self.stand_ins
        if name not in own.drained:
            return
        if own.dry:
            raise ValueError("a dry run writes nothing; end it first (umbra dry-run off)")
        self._stop(name)
        own.drained.discard(name)
        own.handed.discard(name)
        if name not in own.dead():
            own.coming.add(name)
            self._begin(name, RETURN, partial(self._bring_home, name, ordered=True))
        elif own.sight is not None and own.sight.status(name) is Status.RETURNING:
            self._begin(name, RETURN, partial(self._bring_home, name, ordered=True))
        else:
            self.moves.pop(name, None)  # it comes home when it lives
        self._remember()

    def came_back_empty(self, name: str) -> None:
        """A switch was connected, went, and came back without what it held."""
        own = self.stand_ins
        if name in own.routers:
            if own.sight is not None:
                own.sight.empty(name)
        elif name in self._desired.shadows:
            self._resync.refilling.add(name)
            self._begin(name, RETURN, partial(self._refill_edge, name))

    async def _refill_edge(self, name: str) -> None:
        """An edge gets its connections from its peers."""
        peers = [one for one in self._desired.shadows.get(name, ()) if self.stand_ins.holds(one)]
        await _all(self._resync.give_back(peer, name) for peer in peers)
        await _all(self._resync.tell(peer, name) for peer in peers)
        self._resync.refilling.discard(name)
        self.moves.pop(name, None)
        for peer in peers:
            self._resync.want(name, peer, f"{name} returned")

    async def close(self) -> None:
        """End what is under way; the next start takes it up."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.stand_ins.close()

    async def _hand_over(self, name: str) -> None:
        """A drained router's connections to its shadows, then its bindings."""
        began_s = time.perf_counter()
        own, desired = self.stand_ins, self._desired
        while name not in own.handed:
            if own.dry:
                self._note(name, "the end of the dry run is awaited")
                await asyncio.sleep(POLL_S)
                continue
            self._note(name, "new connections go to its shadows")
            await own.apply(told=(name,))
            before, takers = desired.shadows, own.takers(name)
            if not takers:
                raise NodeDown(f"no shadow of {name} lives and is connected")
            desired.pinned[name] = tuple(dict.fromkeys((*before.get(name, ()), *takers)))
            await own.pair_up(before)
            for taker in takers:
                self._note(name, f"its connections are copied to {taker}")
                await self._resync.pair(name, taker, f"{name} is drained")
            if takers == own.takers(name) and not own.dry:
                own.handed.add(name)
        self._note(name, "its connections go to its shadows")
        outcome = await own.apply(told=(name,))
        takers = desired.targets.get(name, ())
        await self._give_up(name, takers)
        self._drained(name)
        reason = f"a person asked to drain {name}: {listed(takers)} took over its connections"
        inputs = {"duration_s": time.perf_counter() - began_s}
        own.decide(Kind.DRAIN, name, takers, "manual", reason, outcome, inputs)

    async def _give_up(self, name: str, takers: Sequence[str]) -> None:
        """A drained router stops counting connections that its shadows carry by now."""
        await asyncio.sleep(SETTLE_S)  # for packets that were on their way to it
        try:
            if takers:
                await self._resync.disown(name, takers[0])
        except (NodeDown, TimeoutError) as error:  # it does so before it comes home, too
            LOG.info("%s: %s", name, error)

    async def _bring_home(self, name: str, *, ordered: bool = False) -> None:
        """A returning or undrained router gets what it missed, then its bindings, then its share."""
        began_s = time.perf_counter()
        own = self.stand_ins
        await self._proven(name)
        async with self._one:
            if name in self._desired.targets:
                await self._refill(name)
        takers = self._desired.targets.get(name, ())
        self._note(name, "its connections come home")
        own.coming.discard(name)
        if own.sight is not None:
            own.sight.home(name)
        outcome = await own.apply(told=(name,))
        self.moves.pop(name, None)
        kind = Kind.UNDRAIN if ordered else Kind.FAILBACK
        why = f"a person asked to undrain {name}" if ordered else f"{name} answers again"
        gave = f"{listed(takers)} gave back its connections" if takers else "it had kept them"
        inputs = {"duration_s": time.perf_counter() - began_s}
        trigger = "manual" if ordered else "probes"
        own.decide(kind, name, takers, trigger, f"{why}: {gave}", outcome, inputs)
        for shadow in self._desired.shadows.get(name, ()):
            self._resync.want(name, shadow, f"{name} returned")

    async def _proven(self, name: str) -> None:
        """Wait until the router lives and holds its program."""
        sight = self.stand_ins.sight
        while True:
            node = self._driver.status()[name]
            trusted = True
            if sight is not None:
                status = sight.status(name)
                trusted = status is Status.ALIVE or sight.proven(name)
            if trusted and node.up and node.reconciled and not self.stand_ins.dry:
                return
            wait = "it must answer for a while" if node.up else "its connection is awaited"
            self._note(name, wait)
            await asyncio.sleep(POLL_S)

    async def _refill(self, name: str) -> None:
        shadows, holds = self._desired.shadows, self.stand_ins.holds
        holders = [one for one in shadows.get(name, ()) if holds(one)]
        primaries = [one for one, own in shadows.items() if name in own and holds(one)]
        others = tuple(dict.fromkeys((*holders, *primaries)))
        # First all that it is to own: what somebody else took over is then known to be theirs.
        self._note(name, f"{listed(holders)} give back what they hold of it")
        if holders:
            await self._resync.disown(name, holders[0])
        await _all(self._resync.give_back(holder, name) for holder in holders)
        self._note(name, f"{listed(others)} tell it their connections")
        await _all(self._resync.tell(holder, name) for holder in others)

    def _note(self, name: str, step: str) -> None:
        known = self.moves.get(name)
        if known is None or known.step != step:
            self.moves[name] = Move(step, self._clock(), known.error if known else None)

    def _drained(self, name: str) -> None:
        self.moves[name] = Move("drained", self._clock())

    def _failed(self, what: str, name: str, error: Exception) -> None:
        text = str(error) or type(error).__name__
        move = self.moves.get(name) or Move("it is tried again", self._clock())
        self.moves[name] = replace(move, error=text)
        self._troubles.begin(f"{what} {name}", text)

    def _begin(self, name: str, what: str, work: Work) -> None:
        self._stop(name)
        self._tasks[name] = asyncio.create_task(self._guard(name, what, work))

    def _stop(self, name: str) -> None:
        for what in (DRAIN, RETURN):
            self._troubles.end(f"{what} {name}")
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def _guard(self, name: str, what: str, work: Work) -> None:
        """Do it, again and again until it is done."""
        while True:
            try:
                await work()
                self._troubles.end(f"{what} {name}")
                return
            except (NodeDown, SyncError, TimeoutError) as error:
                self._failed(what, name, error)
            except Exception as error:
                self._failed(what, name, error)
                LOG.exception("%s %s: it is tried again", what, name)
            await asyncio.sleep(AGAIN_S)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all at once; raises the first error, when all have ended."""
    found = await asyncio.gather(*works, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
