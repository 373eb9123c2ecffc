"""Probes routers through the data plane and tells who lives.

Every router is probed every `probe_period_ms` from one edge after the other and over one spine after the
other (`plan/probe_paths`); a suspect every few milliseconds from several edges at once.
`plan/liveness` judges; what is to be done about it is decided in `failover`.

Time here stands still while the event loop did: a controller that was stalled, or stopped, has
missed answers and must not take their absence for silence.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from controller.act.probes import Probe, ProbeAnswer
from controller.config import Failover as FailoverConfig
from controller.model import Fabric, Stage
from controller.plan.liveness import Change, Liveness, LivenessSettings, Status
from controller.plan.probe_paths import probe_paths
from controller.prober import StatefulProber

LOG = logging.getLogger(__name__)

QUICK_S = 0.005  # between the probes to a suspect
DEAD_S = 0.1  # between the probes to a dead router
MOST_QUICK = 20  # probes in quick succession
QUICK_EDGES = 4  # edges that probe a suspect at once
MOST_UNSENT = 8  # probes waiting in one edge's stream: it is stuck, others are asked
FORGET_S = 5.0  # answers later than this are not waited for
STATUS_S = 0.05  # how often the edges' connections are looked at
SLEEP_S = 0.05  # the longest sleep
EACH_S = 20e-6  # the least sleep for each router: looking at thousands takes its time
LATE_S = 0.025  # a loop that wakes up later than that was stalled


@dataclass(frozen=True, slots=True)
class _Sent:
    router: str
    spine: str
    sent_s: float


class Health:
    """`on_change` is called for every change of a router's status, within the event loop.

    `dead`: routers known to be dead from an earlier run.
    """

    def __init__(
        self,
        config: FailoverConfig,
        fabric: Fabric,
        driver: StatefulProber,
        on_change: Callable[[Change], None],
    ) -> None:
        routers = fabric.stage(Stage.ROUTER)
        self._labels = {router.name: router.label for router in routers}
        self._edges = [edge.name for edge in fabric.stage(Stage.EDGE)]
        self._driver = driver
        self._on_change = on_change
        self.on_trip: list[Callable[[str, str, float], None]] = []  # edge, router, round trip in ms
        self.period_s = max(
            config.probe_period_ms / 1e3, len(routers) / config.probes_per_s if routers else 0.0
        )
        self.settings = LivenessSettings(
            dead_after_s=max(config.dead_after_ms / 1e3, 3 * self.period_s),
            confirm_s=config.confirm_ms / 1e3,
            return_after_s=config.return_after_s,
        )
        self.now_s = 0.0  # see the module: not the wall's time
        self.stalls = 0
        self.liveness = Liveness(self._labels, self.settings, self.now_s)
        self._due_s = {
            name: index * self.period_s / max(1, len(routers))
            for index, name in enumerate(self._labels)
        }
        self._under_way: dict[int, _Sent] = {}
        self._ids = itertools.count(random.getrandbits(30))
        self._paths = {
            pair: [
                (spine, port)
                for ports in zip(*by_spine.values(), strict=False)
                for spine, port in zip(by_spine, ports, strict=True)
            ]
            for pair, by_spine in probe_paths(fabric).items()
        }
        self._next_edge = {name: index for index, name in enumerate(self._labels)}
        self._usable: list[str] = []
        self._looked_s = float("-inf")
        self._unsent = dict.fromkeys(self._edges, 0)
        self._sending: set[asyncio.Task[None]] = set()
        self._kick = asyncio.Event()

    def recall(self, dead: frozenset[str]) -> None:
        """Routers that an earlier run found dead are so until they prove the contrary."""
        self.liveness = Liveness(self._labels, self.settings, self.now_s, dead)

    def status(self, router: str) -> Status:
        """The router's status; KeyError if there is none of that name."""
        return self.liveness.status(router)

    def stream_lost(self, switch: str) -> None:
        """The connection to a switch's control plane was lost: ask a router's data plane at once."""
        if switch in self._labels:
            self._tell(self.liveness.stream_lost(switch, self.now_s))
            self._due_s[switch] = self.now_s
            self._kick.set()

    def empty(self, router: str) -> None:
        """A router answers but has lost its state."""
        if router in self._labels:
            self._tell(self.liveness.empty(router, self.now_s))

    def home(self, router: str) -> None:
        """A returning router has its traffic back."""
        self._tell(self.liveness.home(router, self.now_s))

    def proven(self, router: str) -> bool:
        """A returning router has answered for long enough."""
        return self.liveness.proven(router, self.now_s)

    async def run(self) -> None:
        """Probe and judge until cancelled."""
        loop = asyncio.get_running_loop()
        self._driver.on_probe.append(self._answered)
        try:
            before_s = loop.time()
            forget_s = self.now_s
            while True:
                wait_s = self._wait_s()
                await self._sleep(wait_s)
                elapsed_s, before_s = loop.time() - before_s, loop.time()
                if elapsed_s > wait_s + LATE_S:
                    self.stalls += 1
                    self.liveness.stalled(elapsed_s - wait_s)
                    elapsed_s = wait_s
                self.now_s += elapsed_s
                self._look()
                self._probe_due()
                for change in self.liveness.judge(self.now_s):
                    self._tell(change)
                if self.now_s - forget_s >= FORGET_S:
                    forget_s = self.now_s
                    self._forget()
        finally:
            self._driver.on_probe.remove(self._answered)
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    def _wait_s(self) -> float:
        due_s = min(self._due_s.values(), default=self.now_s + SLEEP_S)
        least_s = max(0.001, EACH_S * len(self._labels))
        return min(max(SLEEP_S, least_s), max(least_s, due_s - self.now_s))

    async def _sleep(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._kick.wait()
        except TimeoutError:
            pass
        self._kick.clear()

    def _look(self) -> None:
        if self.now_s - self._looked_s >= STATUS_S:
            self._looked_s = self.now_s
            status = self._driver.status()
            self._usable = [
                name for name in self._edges if status[name].up and status[name].reconciled
            ]

    def _probe_due(self) -> None:
        edges = [name for name in self._usable if self._unsent[name] < MOST_UNSENT]
        for router, due_s in self._due_s.items():
            if self.now_s < due_s:
                continue
            status, count, period_s = self.liveness.status(router), 1, self.period_s
            if status is Status.SUSPECT:
                count = min(QUICK_EDGES, len(edges))
                # Whoever does not answer these is slow, if not dead: no need to slow it more.
                quick = self.liveness.probed(router) < MOST_QUICK
                period_s = QUICK_S if quick else self.period_s
            elif status is Status.DEAD:
                period_s = max(DEAD_S, self.period_s)
            # Steady steps, unless some were missed.
            self._due_s[router] = max(due_s + period_s, self.now_s)
            for _ in range(count if edges else 0):
                self._next_edge[router] += 1
                self._send(edges[self._next_edge[router] % len(edges)], router)

    def _send(self, edge: str, router: str) -> None:
        paths = self._paths.get((edge, router))
        if not paths:
            return
        # The next path only when every edge has tried this one.
        spine, port = paths[self._next_edge[router] // len(self._edges) % len(paths)]
        number = next(self._ids) & 0x3FFFFFFF | 0x40000000
        self._under_way[number] = _Sent(router, spine, self.now_s)
        self.liveness.sent(router, spine)
        self._unsent[edge] += 1
        task = asyncio.create_task(self._probe(edge, router, number, port))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _probe(self, edge: str, router: str, number: int, port: int) -> None:
        try:
            await self._driver.probe(edge, Probe(self._labels[router], number, port))
        except Exception as error:  # an edge that is gone must never end the probing
            LOG.debug("%s: probe to %s not sent: %s", edge, router, error)
        finally:
            self._unsent[edge] -= 1

    def _answered(self, node: str, answer: ProbeAnswer) -> None:
        sent = self._under_way.pop(answer.id, None)
        if sent is not None:
            self.liveness.answered(sent.router, sent.sent_s, self.now_s, sent.spine)
            for told in self.on_trip:
                told(node, sent.router, answer.round_trip_us / 1000.0)

    def _forget(self) -> None:
        late = [n for n, one in self._under_way.items() if self.now_s - one.sent_s > FORGET_S]
        for number in late:
            del self._under_way[number]

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            level = logging.INFO if change.after is not Status.DEAD else logging.WARNING
            LOG.log(level, "%s is %s: %s", change.router, change.after.value, change.reason)
            self._on_change(change)
