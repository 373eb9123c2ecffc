"""Assembles what keeps connections alive: replicas, health, failover."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from controller.act.fabric import FabricDriver
from controller.config import Config
from controller.cycle import Cycle
from controller.events import Publisher
from controller.model import Fabric
from controller.plan.failover_memory import FailoverState
from controller.recorder import Recorder
from controller.resilience.desired import Desired
from controller.resilience.failover import Failover
from controller.resilience.health import Health
from controller.resilience.resync import Resync
from controller.resilience.stand_ins import StandIns
from controller.trouble import Troubles
from controller.upkeep import Upkeep


class Resilience:
    """desired: what the switches should hold. health: None when failover is off. `remember` is called
    when something changed that a restart must know.
    """

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: FabricDriver,
        cycle: Cycle,
        recorder: Recorder,
        publisher: Publisher,
        troubles: Troubles,
        clock: Callable[[], float],
        remember: Callable[[], None],
    ) -> None:
        per_router = config.shadows.per_router
        shadows = {name: own[:per_router] for name, own in cycle.candidates.items()}
        self.desired = Desired(config, fabric, driver, cycle.writer, shadows)
        self.health: Health | None = None
        if config.failover.enabled:
            self.health = Health(
                config.failover, fabric, driver, lambda change: self.failover.changed(change)
            )
        self.stand_ins = StandIns(
            fabric,
            driver,
            cycle,
            self.desired,
            self.health,
            recorder,
            publisher,
            troubles,
            clock,
            remember,
        )
        self.resync = Resync(
            fabric,
            driver,
            self.desired,
            troubles,
            publisher,
            clock,
            config.failover.repair_period_s,
            self.stand_ins.holds,
        )
        self.failover = Failover(
            driver, self.desired, self.resync, self.stand_ins, troubles, clock, remember
        )
        cycle.takes = self.stand_ins.takes_connections
        self._driver = driver
        self._cycle = cycle
        self._updates: dict[str, int] = {}  # written to a switch when its connection was lost

    def recall(self, state: FailoverState) -> None:
        """Go on from what an earlier run remembered."""
        self.desired.recall(state)
        self.failover.recall(state.drained)

    def memory(self) -> FailoverState:
        """What is to be remembered."""
        return self.desired.memory(frozenset(self.stand_ins.drained))

    def start(self, upkeep: Upkeep) -> None:
        """The switches are programmed: watch over them."""
        self._find_empty()
        upkeep.spawn("resync", self.resync.run)
        if self.health is not None:
            upkeep.spawn("health", self.health.run)
        self.failover.start()

    def _find_empty(self) -> None:
        """Switches that had to be programmed from nothing while others held their program already:
        they were restarted while no controller was there.
        """
        kept: list[str] = []
        empty: list[str] = []
        for name, status in self._driver.status().items():
            if status.up and status.reconciled and name in self.desired.shadows:
                (empty if status.updates > status.entries / 2 else kept).append(name)
        for name in empty if kept else ():
            self.failover.came_back_empty(name)

    def turn(self) -> None:
        """Once a cycle: repair what the counters say was lost, write again what was not taken."""
        self.resync.forget(self.desired.pairs())
        self.resync.watch(self._cycle.counters)
        self.stand_ins.retry()

    def up(self, node: str) -> None:
        """A switch is connected and programmed (again)."""
        before = self._updates.pop(node, None)
        status = self._driver.status()[node]
        if before is not None and status.updates - before > status.entries / 2:
            self.failover.came_back_empty(node)

    def down(self, node: str) -> None:
        """The connection to a switch was lost."""
        self._updates.setdefault(node, self._driver.status()[node].updates)
        if self.health is not None:
            self.health.stream_lost(node)

    def set_shadows(self, shadows: Mapping[str, Sequence[str]]) -> None:
        """Change who is whose shadow: programs it, and gives new shadows what they are to hold.

        A router that is away keeps the shadows that it had until it is home.
        """
        before = self.desired.shadows
        new = self.desired.choose(shadows)
        if before != self.desired.shadows:
            self.stand_ins.do(self._pair_up(before, new))

    async def close(self) -> None:
        """End what is under way; the next start takes it up."""
        await self.failover.close()

    async def _pair_up(
        self, before: Mapping[str, Sequence[str]], new: set[tuple[str, str]]
    ) -> None:
        await self.stand_ins.pair_up(before)
        for primary, shadow in sorted(new):
            self.resync.want(primary, shadow, f"{shadow} is a new shadow of {primary}")
        self.resync.forget(self.desired.pairs())
