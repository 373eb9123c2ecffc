"""Brings replicas into line: for new and returned shadows, and after losses.

A resync of a pair lets the primary send all its connections to one shadow (FULL records, by a scan),
compares how many it sent with how many the shadow counted, and lets the shadow free what the primary
did not confirm (a sweep of older generations). Records may be lost here as well, so passes are
repeated: until one arrives whole, or until it is next to certain that each connection arrived in one of
them.

Losses are seen in the counters: a gap in the sequence, records that found no connection, or fewer
received than sent once the primary has fallen quiet.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from controller.act.packets import Scan, ScanMode, ScanResult
from controller.events import Publisher, ReplicasSynced
from controller.model import Fabric, NodeCounters, RecordEvent, ReplicationCounters
from controller.plan.repair import Repairs, Totals
from controller.resilience.desired import Desired
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)

OWNED = 1  # bit 0 of a scan's origins
MOST_PASSES = 8
MISSING = (
    0.01  # expected number of connections that never arrived, below which a resync is complete
)
SETTLE_S = 1.0  # the longest wait for records that are still under way
POLL_S = 0.03
PAUSE_S = 0.002  # between the pieces of a scan; doubled after a pass that lost something
MOST_PAUSE_S = 0.05
AGAIN_S = 1.0
CALM_S = 3.0


class SyncError(RuntimeError):
    """A resync did not come to its end; the pair is tried again."""


class Driver(Protocol):
    """What is needed of the fabric driver."""

    async def reconcile(self, node: str | None = None) -> Any: ...

    async def walk(
        self,
        node: str,
        scan: Scan,
        *,
        pause_s: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> ScanResult: ...

    async def replication(self, node: str) -> ReplicationCounters: ...

    def status(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class PairState:
    """The replicas of one primary on one shadow. `done` of `total`: indices of the table walked so
    far in this pass; `sent`, `received`: records of the last pass. status: `waiting`, `running`,
    `synced`, or `failed` (tried again).
    """

    primary: str
    shadow: str
    status: str
    reason: str
    time_s: float
    done: int = 0
    total: int = 0
    passes: int = 0
    sent: int = 0
    received: int = 0
    error: str | None = None


@dataclass(slots=True)
class Transfer:
    """What the passes over a table brought. missing: connections expected to have arrived in none."""

    passes: int = 0
    missing: float = float("inf")
    sent: int = 0
    received: int = 0

    def add(self, sent: int, received: int) -> None:
        self.passes += 1
        self.sent, self.received = sent, received
        lost = min(sent, abs(sent - received))  # more than sent: some were an earlier pass's
        if lost == 0:
            self.missing = 0.0
        elif self.passes == 1:
            self.missing = float(lost)
        else:
            self.missing *= lost / sent


@dataclass(slots=True)
class _Wanted:
    reason: str
    due_s: float
    fails: int = 0


class Resync:
    """All pairs of a fabric. `clock` stamps what is told; `holds`: whether a switch's connections are
    worth something. `refilling`: switches that came back empty and are not yet given what they held.
    """

    def __init__(
        self,
        fabric: Fabric,
        driver: Driver,
        desired: Desired,
        troubles: Troubles,
        publisher: Publisher,
        clock: Callable[[], float],
        repair_period_s: float,
        holds: Callable[[str], bool],
    ) -> None:
        self.pairs: dict[tuple[str, str], PairState] = {}
        self.refilling: set[str] = set()
        self._labels = {switch.name: switch.label for switch in fabric.switches}
        self._driver = driver
        self._desired = desired
        self._troubles = troubles
        self._publisher = publisher
        self._clock = clock
        self._repair_period_s = repair_period_s
        self._holds = holds
        self._repairs = Repairs()
        self._wanted: dict[tuple[str, str], _Wanted] = {}
        self._last_s: dict[tuple[str, str], float] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._news = asyncio.Event()
        self._calm_s = float("-inf")

    def hold(self) -> None:
        """Connections have just moved: what can wait must not add to the load now."""
        self._calm_s = _now_s() + CALM_S

    def want(self, primary: str, shadow: str, reason: str) -> None:
        """Resync this pair as soon as it can be."""
        pair = (primary, shadow)
        again_s = self._last_s.get(pair, float("-inf")) + self._repair_period_s
        due_s = max(_now_s(), again_s)
        if pair in self._wanted:
            return
        self._wanted[pair] = _Wanted(reason, due_s)
        self._note(pair, "waiting", reason)
        self._news.set()

    def forget(self, alive: set[tuple[str, str]]) -> None:
        """Drop the pairs that are none any more."""
        for pair in [one for one in self.pairs if one not in alive]:
            del self.pairs[pair]
            self._wanted.pop(pair, None)
            self._troubles.end(_trouble(pair))

    async def run(self) -> None:
        """Resync what is wanted, one pair after the other, until cancelled."""
        while True:
            now_s = _now_s()
            calm = now_s >= self._calm_s
            due = [pair for pair, one in self._wanted.items() if calm and one.due_s <= now_s]
            ready = [pair for pair in due if self._ready(*pair)]
            if ready:
                await self._try(ready[0])
                continue
            next_s = min((o.due_s for o in self._wanted.values() if o.due_s > now_s), default=None)
            wait_s = AGAIN_S if next_s is None else min(AGAIN_S, next_s - now_s)
            self._news.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _try(self, pair: tuple[str, str]) -> None:
        wanted = self._wanted[pair]
        try:
            await self.pair(*pair, wanted.reason)
        except Exception as error:
            what = str(error) or type(error).__name__
            wanted.fails += 1
            wanted.due_s = _now_s() + self._repair_period_s * min(8, wanted.fails)
            if pair in self.pairs:  # else it was forgotten meanwhile
                self._update(pair, status="failed", error=what)
                self._troubles.begin(_trouble(pair), what)
        else:
            if self._wanted.get(pair) is wanted:
                del self._wanted[pair]

    def _ready(self, primary: str, shadow: str) -> bool:
        return not self._away(primary) and self._holds(primary) and self._holds(shadow)

    def _away(self, primary: str) -> bool:
        """What it holds is no measure of its replicas."""
        return primary in self._desired.targets or primary in self.refilling

    async def pair(self, primary: str, shadow: str, reason: str) -> None:
        """Make the shadow's replicas of the primary what the primary holds. Raises SyncError, NodeDown
        or TimeoutError when it could not be done.
        """
        pair = (primary, shadow)
        async with self._locks[f"{primary} to {shadow}"]:  # a sweep must know the generation
            await self._pair(pair, reason)

    async def _pair(self, pair: tuple[str, str], reason: str) -> None:
        primary, shadow = pair
        self._last_s[pair] = _now_s()
        self._note(pair, "running", reason)
        self._repairs.begin(pair)
        generation = self._desired.bump(shadow, primary)
        await self._reconcile(shadow)
        passes = await self.send(primary, shadow, ScanMode.FULL, OWNED, pair)
        if passes.missing > MISSING:
            raise SyncError(
                f"{passes.passes} passes lost records every time "
                f"({passes.received} of {passes.sent} came in the last)"
            )
        if self._away(primary):
            raise SyncError(f"{primary} is away: what its shadows hold of it is worth more")
        of_primary = 1 << self._desired.number(shadow, primary)
        sweep = Scan(ScanMode.SWEEP, origins=of_primary, generation=generation)
        await self._driver.walk(shadow, sweep, pause_s=PAUSE_S)
        self._synced(pair, reason, passes)

    def _synced(self, pair: tuple[str, str], reason: str, passes: Transfer) -> None:
        self._last_s[pair] = _now_s()
        self._note(pair, "synced", reason)
        self._troubles.end(_trouble(pair))
        self._publisher.publish(
            ReplicasSynced(*pair, self._clock(), reason, passes.sent, passes.passes)
        )

    async def send(
        self,
        sender: str,
        receiver: str,
        mode: ScanMode,
        origins: int,
        pair: tuple[str, str] | None = None,
    ) -> Transfer:
        """Send connections (FULL or GIVE, those of `origins`) until they have arrived."""
        number = self._desired.number(receiver, sender)
        scan = Scan(mode, session=self._labels[receiver], origins=origins)
        result, pause_s = Transfer(), PAUSE_S

        def progress(done: int, total: int) -> None:
            self._update(pair, done=done, total=total)

        async with self._locks[sender]:
            while result.passes < MOST_PASSES and result.missing > MISSING:
                before = await self._by_scan(receiver, number)
                walked = await self._driver.walk(sender, scan, pause_s=pause_s, progress=progress)
                result.add(walked.sent, await self._arrived(receiver, number, before, walked.sent))
                pause_s = min(MOST_PAUSE_S, 2 * pause_s)
                self._update(pair, passes=result.passes, sent=result.sent, received=result.received)
        return result

    async def give_back(self, holder: str, router: str) -> None:
        """Let a returned router have what a shadow holds of it and was not needed meanwhile."""
        mine = 1 << self._desired.number(holder, router)
        passes = await self.send(holder, router, ScanMode.GIVE, mine)
        if passes.missing > MISSING:
            raise SyncError(
                f"{holder} could not give {router} its connections: "
                f"{passes.received} of {passes.sent} came in the last of {passes.passes} passes"
            )

    async def disown(self, router: str, holder: str) -> None:
        """Let a router give up what it owned, as replicas of `holder`: others carry it by now. What is
        its own again, give_back tells it; a connection that still comes to it is adopted.
        """
        scan = Scan(ScanMode.DISOWN, owner=self._desired.number(router, holder))
        await self._driver.walk(router, scan, pause_s=PAUSE_S)

    async def tell(self, holder: str, router: str) -> None:
        """Let a returned router know the connections that a shadow, or a primary, holds by now."""
        pair = (holder, router)
        shadow = router in self._desired.shadows.get(holder, ())
        if shadow:
            self._note(pair, "running", "it returned")
            self._repairs.begin(pair)
        passes = await self.send(holder, router, ScanMode.FULL, OWNED, pair if shadow else None)
        if passes.missing > MISSING:
            raise SyncError(
                f"{holder} could not tell {router} its connections: "
                f"{passes.received} of {passes.sent} came in the last of {passes.passes} passes"
            )
        if shadow:
            self._synced(pair, "it returned", passes)

    def watch(self, counters: Mapping[str, NodeCounters]) -> None:
        """Look at the latest counters and want the repairs that they call for."""
        for primary, own in self._desired.shadows.items():
            for holder in own:
                number = self._desired.numbers.get((holder, primary))
                if number is None or primary not in counters or holder not in counters:
                    continue
                sent, taken = counters[primary].replication, counters[holder].replication
                totals = Totals.of(sent, taken, number)
                reason = self._repairs.look((primary, holder), totals)
                if reason is not None:
                    self.want(primary, holder, reason)

    async def _reconcile(self, node: str) -> None:
        self._desired.want()
        report = await self._driver.reconcile(node)
        if report.failed:
            raise SyncError(f"{node} could not be told the new generation: {report.failed[0][1]}")

    async def _by_scan(self, receiver: str, number: int) -> int:
        counted = await self._driver.replication(receiver)
        return counted.count(number, RecordEvent.BY_SCAN)

    async def _arrived(self, receiver: str, number: int, before: int, sent: int) -> int:
        """How many of `sent` the receiver counted, once no more come."""
        end_s, arrived, still = _now_s() + SETTLE_S, -1, 0
        while _now_s() < end_s:
            now = await self._by_scan(receiver, number) - before
            if now >= sent:
                return now
            still = still + 1 if now == arrived else 0
            arrived = now
            if still >= 5:
                break
            await asyncio.sleep(POLL_S)
        return max(0, arrived)

    def _update(self, pair: tuple[str, str] | None, **changes: Any) -> None:
        if pair in self.pairs:
            self.pairs[pair] = replace(self.pairs[pair], **changes)

    def _note(self, pair: tuple[str, str], status: str, reason: str) -> None:
        known = self.pairs.get(pair)
        if known is None or status == "running":
            self.pairs[pair] = PairState(*pair, status, reason, self._clock())
        else:
            self.pairs[pair] = replace(
                known, status=status, reason=reason, time_s=self._clock(), error=None
            )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _trouble(pair: tuple[str, str]) -> str:
    return f"replicas of {pair[0]} on {pair[1]}"
