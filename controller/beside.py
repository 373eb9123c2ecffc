"""The managers that turn beside the cycle: addresses, destinations, devices' resources, comparisons. They are built,
begun and ended here.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.ab.comparisons import SOURCE as AB
from controller.ab.comparisons import Comparisons
from controller.ab.probes import ArmProbes
from controller.act.fabric import FabricDriver
from controller.addressing.make import make as make_addressing
from controller.config import Config
from controller.cycle import Cycle
from controller.destinations.make import make as make_destinations
from controller.destinations.rows import InForce
from controller.model import Fabric
from controller.recorder import Recorder
from controller.resilience.assembly import Resilience
from controller.resources import make as resources
from controller.resources.traffic import SOURCE
from controller.trouble import Troubles
from controller.upkeep import Upkeep
from ml.calendars.events import PlannedEvent


class Beside:
    """addressing, destinations, resources: None where the configuration has no such section. Raises AddressingError and
    DestinationError.
    """

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: FabricDriver,
        cycle: Cycle,
        resilience: Resilience,
        recorder: Recorder,
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._cycle = cycle
        self._driver = driver
        self._resilience = resilience
        self._recorder = recorder
        self._troubles = troubles
        self._clock = clock

        def dry() -> bool:
            return cycle.dry is not None

        self.addressing = make_addressing(
            config, fabric, driver, troubles, recorder.address, clock, dry
        )
        if self.addressing is not None:
            resilience.desired.layers.append(self.addressing.over)
        self.destinations = make_destinations(
            config,
            fabric,
            driver,
            cycle,
            resilience.stand_ins.out_of_service,
            recorder,
            troubles,
            clock,
            dry,
            lambda: cycle.state,
        )
        if self.destinations is not None:
            resilience.desired.layers.append(self.destinations.over)
            cycle.seen.append(self.destinations.sampled)
            if resilience.health is not None:
                resilience.health.on_trip.append(self.destinations.answered)
        self._limited = resources.limited(config, recorder, troubles)
        self.resources = resources.make(
            config,
            fabric,
            driver.status,
            resilience.stand_ins.away,
            cycle,
            recorder,
            self._limited,
            troubles,
            clock,
        )
        self.ab = Comparisons(
            config.ab.rules(),
            cycle.base,
            tuple(cycle.labels),
            ArmProbes(fabric, driver, config.ab.probe_ms / 1000.0),
            lambda: cycle.counters,
            self._unfit,
            self._shadows,
            cycle.order,
            lambda: cycle.state.ordered.get(AB, {}),
            recorder.comparison,
            clock,
            dry,
        )
        cycle.reserved = self._reserved

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events."""
        if self.addressing is not None:
            self.addressing.plan(events)
        if self.destinations is not None:
            self.destinations.plan(events)
        if self.resources is not None:
            self.resources.events(events)

    async def recall(self, in_force: InForce) -> None:
        """Before the first plan of the fabric: what an earlier run left, and the slot sets that the switches have.
        Limits of shadows that are configured no longer are lifted, unless this is a dry run.

        Raises AddressingError and DestinationError.
        """
        if self.addressing is not None:
            await self.addressing.recall()
        if self.destinations is not None:
            await self.destinations.recall(in_force)
        self._limited.recall(await self._recorder.meta(resources.LIMITED))
        if self._cycle.dry is None:
            await self._limited.lift_removed()
        if self.resources is not None:
            await resources.recall(
                self.resources,
                self._config,
                self._recorder,
                self._troubles,
                self._clock(),
            )

    def start(self, upkeep: Upkeep) -> None:
        """The switches are programmed: turn."""
        self.ab.probes.listen()
        upkeep.spawn("probes of comparisons", self.ab.probes.run)
        if self.addressing is not None:
            upkeep.spawn("addresses", self.addressing.run)
        if self.destinations is not None:
            upkeep.spawn("destinations", self.destinations.run)
        if self.resources is not None:
            upkeep.spawn("resources", self.resources.run)

    async def turn(self) -> None:
        """After a cycle: with what it has counted."""
        await self.ab.turn()
        if self.resources is None and SOURCE in self._cycle.state.ordered:
            await self._cycle.order(
                SOURCE, {}
            )  # of a run before, whose configuration had the section

    async def close(self) -> None:
        """Leave everything as it is."""
        if self.addressing is not None:
            await self.addressing.close()
        if self.destinations is not None:
            await self.destinations.close()
        if self.resources is not None:
            await self.resources.close()

    def _shadows(self) -> frozenset[str]:
        return self.resources.reserved() if self.resources is not None else frozenset()

    def _reserved(self) -> frozenset[str]:
        return self._shadows() | self.ab.variants()

    def _unfit(self, router: str) -> str | None:
        """Why a router cannot take connections now."""
        node = self._driver.status()[router]
        if not node.up or not node.reconciled:
            return f"{router} is not connected and programmed ({node.last_error or 'no answer'})"
        if router in self._resilience.stand_ins.away():
            return f"{router} is dead or drained"
        return None
