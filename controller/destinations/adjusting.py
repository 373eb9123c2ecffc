"""Dynamic adjustment (seed 9407539): in a step that has ended, what redirects did, and how far forecasts were off."""

from __future__ import annotations

from collections.abc import Mapping

from controller.destinations.achieved import achieved, offered
from controller.destinations.demand import DestinationDemand
from controller.destinations.planning import Closed, Rules
from controller.destinations.position import Position
from controller.destinations.sight import Sight
from controller.observe.access import AccessStep
from controller.plan.redirects.achieved import Achieved
from controller.plan.redirects.state import Cell, Copy


class Adjusting:
    """`close` with every step. came_cps: new connections per second in the latest; None before the first."""

    def __init__(
        self, rules: Rules, sight: Sight, demand: DestinationDemand, step_s: float
    ) -> None:
        self.came_cps: dict[Cell, float] | None = None
        self.achieved: tuple[Achieved, ...] = ()
        self._primaries = {one.service: one.primary_site for one in rules.destinations}
        self._sight = sight
        self._demand = demand
        self._step_s = step_s
        self._since: Mapping[Cell, str] = {}  # redirects in force when the step began
        self._refused: dict[Copy, int] = {}

    def close(self, step: AccessStep, position: Position) -> Closed:
        """What the next plan is told. Also tells the loop of routers where new connections are offered now.

        position: what is really so, in a dry run as well.
        """
        self.came_cps = {cell: count / self._step_s for cell, count in step.counts.items()}
        sight, now = self._sight, position.redirects.sites
        in_force = {cell: site for cell, site in self._since.items() if now.get(cell) == site}
        refusals = sight.refusals(position.copies)
        self.achieved = achieved(
            in_force,
            self._primaries,
            step.counts,
            self._step_s,
            {copy: max(0, n - self._refused.get(copy, n)) for copy, n in refusals.items()},
            sight.trip_ms,
        )
        self._since, self._refused = now, refusals
        for service, base in sight.loop.base.items():
            sight.loop.offered[service] = offered(
                base, service, in_force, step.counts, sight.routers
            )
        foreseen, came = self._demand.compare(step)
        return Closed(foreseen, came, self.achieved)
