"""From the history to what is needed: forecasts, intervals, demand scores (seed 9923865, steps 2 and 3; seed 9055112,
section 1).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.addressing.foresight import AddressForecastSettings, AddressForesight, Expectation
from controller.addressing.history import Happened
from controller.addressing.settings import DEFAULT_PROFILE, families
from controller.learning.side_training import SideTraining
from controller.model import Subdivision
from controller.plan.shards.demand import Demand, DemandSettings, predict_demand
from controller.plan.shards.needs import need_of
from controller.plan.shards.profiles import ApplicationProfile, mean_instance
from controller.plan.shards.state import Key, Need, ShardView
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent

LOOK_S = 60.0  # between forecasts: a step of the series
TRAIN = "training for addresses"


@dataclass(slots=True)
class Outlooks:
    """What each subdivision has to expect, as of the latest look."""

    demands: dict[str, Demand] = field(default_factory=dict)
    expected: dict[str, Expectation] = field(default_factory=dict)


class Predictive:
    """Forecasts once a minute, trains beside the loop when it is due, and says what is needed in every turn."""

    def __init__(
        self,
        subdivisions: Sequence[Subdivision],
        profiles: Mapping[str, ApplicationProfile],
        settings: DemandSettings,
        happened: Happened,
        troubles: Troubles,
        *,
        seed: int = 0,
    ) -> None:
        self.foresight = AddressForesight(AddressForecastSettings(seed=seed))
        self.outlooks = Outlooks()
        self._subdivisions = tuple(subdivisions)
        self._profiles = profiles
        self._settings = settings
        self._happened = happened
        self._planned: tuple[PlannedEvent, ...] | None = None
        self._looked_s = -math.inf
        self._training = SideTraining(TRAIN, troubles)

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events; from the next turn on."""
        self._planned = events

    async def look(self, now_s: float) -> None:
        """Forecast anew when a minute has passed, and begin a training that is due."""
        if self._planned is not None:
            events, self._planned = self._planned, None
            self.foresight.plan(events)
        self._training.adopt()  # here, where nobody else uses the forecasters
        if abs(now_s - self._looked_s) < LOOK_S:
            return
        self._looked_s = now_s
        history = self._happened.history
        if not history.subdivisions:
            return
        await asyncio.to_thread(self.foresight.look, history, now_s)
        foresight = self.foresight
        self._training.begin(
            (
                (foresight.instances, history.instances()),
                (foresight.creations, history.creations()),
            ),
            now_s,
        )

    def expect(self, now_s: float, ahead_s: float) -> Mapping[str, Expectation]:
        """Creations per second that are foreseen within `ahead_s`, by subdivision."""
        names = [one.name for one in self._subdivisions]
        self.outlooks.expected = self.foresight.expected(names, now_s, ahead_s)
        return self.outlooks.expected

    def needs(
        self, views: Sequence[ShardView], warm: Mapping[Key, int], now_s: float
    ) -> list[Need]:
        """What every subdivision needs of each family. warm: addresses held ahead that are needed."""
        needs = []
        for one in self._subdivisions:
            own = [view for view in views if view.shard.subdivision == one.name]
            granted = {family: _granted(own, family) for family in families(one)}
            running = max(granted.values())
            demand = self.outlooks.demands[one.name] = self._demand(one.name, running, now_s)
            for family in families(one):
                # Of a family that nobody has asked for yet, nothing is known: it counts in full if it is the only one.
                share = granted[family] / running if running else float(len(granted) == 1)
                cooling = sum(v.cooling for v in own if (":" in v.shard.prefix) == (family == 6))
                needs.append(
                    need_of(
                        demand,
                        family,
                        share=share,
                        warm=warm.get((one.name, family), 0),
                        cooling=cooling,
                        quota=one.quota,
                    )
                )
        return needs

    async def close(self) -> None:
        """End a training that is under way."""
        await self._training.close()

    def _demand(self, name: str, running: float, now_s: float) -> Demand:
        mix = {
            (profile or DEFAULT_PROFILE): float(count)
            for profile, count in self._happened.history.mix(name).items()
        }
        return predict_demand(
            name,
            self.foresight.outlook.instances.get(name),
            running,
            mean_instance(self._profiles, mix, DEFAULT_PROFILE),
            self._settings,
            now_s,
            self.foresight.bandwidth_factor(name, now_s, self._settings.horizon_s),
        )


def _granted(views: Sequence[ShardView], family: int) -> float:
    return float(sum(v.granted for v in views if (":" in v.shard.prefix) == (family == 6)))
