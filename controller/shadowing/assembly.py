"""Connects the choice of shadows, their measurements and the surge path with the rest of the controller."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from controller.act.fabric import FabricDriver
from controller.config import Config
from controller.cycle import Cycle
from controller.model import Fabric
from controller.recorder import Recorder
from controller.resilience.assembly import Resilience
from controller.shadowing.assignments import Assignments
from controller.shadowing.surge_path import SurgePath
from controller.upkeep import Upkeep

LOG = logging.getLogger(__name__)

MEMORY = "shadows"  # in the store


class Shadowing:
    """Keeps the cycle's candidates and the fabric's replicas in step with the assignments."""

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        driver: FabricDriver,
        cycle: Cycle,
        resilience: Resilience,
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        self.assignments = Assignments(config, fabric, driver, clock)
        self.surges = SurgePath(
            cycle.offered,
            lambda: driver.read_opened(cycle.edges),
            cycle.react,
            poll_s=config.cycle.surge_poll_ms / 1000.0,
            clock=clock,
        )
        self._config = config
        self._cycle = cycle
        self._resilience = resilience
        self._recorder = recorder
        self._clock = clock
        self._remembered = False
        cycle.candidates = self.assignments.candidates
        cycle.measured = self.assignments.measured
        cycle.surging = self.surges.severity

    async def recall(self) -> None:
        """Go on with the shadows of an earlier run: they hold the replicas."""
        text = await self._recorder.meta(MEMORY)
        if text is not None:
            try:
                self.assignments.recall(text)
            except ValueError as error:
                LOG.warning("%s; shadows are chosen anew", error)
        self._cycle.candidates = self.assignments.candidates
        self._resilience.desired.choose(self.assignments.shadows)

    def start(self, upkeep: Upkeep) -> None:
        """The switches are programmed: measure, test, and look for surges."""
        self.assignments.listen()
        upkeep.spawn("round trips", self.assignments.measure)
        if self._config.load_test.enabled:
            upkeep.spawn("load test", self.assignments.test)
        if self._config.cycle.surge and self._config.cycle.predictive:
            upkeep.spawn("surges", self.surges.run)

    def turn(self) -> None:
        """Once a cycle: choose again; who is a new shadow is told what it must hold."""
        cycle, own = self._cycle, self.assignments
        own.traffic.update(cycle.counters.values())
        away = frozenset(self._resilience.stand_ins.away())
        changed = own.review(cycle.views(self._clock()), cycle.state, away)
        cycle.candidates = own.candidates
        if changed:
            self._resilience.set_shadows(own.shadows)
        if changed or not self._remembered:
            self._remembered = True
            self._recorder.store.set_meta(MEMORY, own.memory())

    def table(self) -> list[dict[str, Any]]:
        """Who is whose shadow, JSON-able."""
        return self.assignments.table()

    def why(self, router: str) -> Mapping[str, Any]:
        """One router's candidates and why each is a shadow or is none; KeyError when there is none."""
        return self.assignments.why(router)
