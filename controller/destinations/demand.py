"""What each destination will be asked for from each location: foreseen, or, without prediction, as it was of late."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import NormalDist

from controller.destinations.foresight import DestinationForesight, DestinationOutlook
from controller.learning.side_training import SideTraining
from controller.model import DemandCell
from controller.observe.access import AccessHistory, AccessStep
from controller.observe.access_readings import ELSEWHERE, Cell
from controller.plan.redirects.corrections import corrected
from controller.trouble import Troubles
from ml.calendars.events import PlannedEvent

TRAIN = "training for destinations"
RECENT_STEPS = 3  # without prediction
MOST_PENDING = 4096
_NORMAL = NormalDist()


class DestinationDemand:
    """`look` once a step. cells: the latest, uncorrected."""

    def __init__(
        self,
        history: AccessHistory,
        foresight: DestinationForesight,
        troubles: Troubles,
        *,
        predictive: bool,
    ) -> None:
        self.cells: tuple[DemandCell, ...] = ()
        self.new: Mapping[int, int] = {}  # destinations that borrowed → from how many
        self.since_s: dict[int, float] = {}  # destination → since when it can be asked for
        self._history = history
        self._foresight = foresight
        self._predictive = predictive
        self._planned: tuple[PlannedEvent, ...] | None = None
        self._training = SideTraining(TRAIN, troubles)
        self._pending: deque[tuple[float, Mapping[Cell, float]]] = deque(maxlen=MOST_PENDING)

    def plan(self, events: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events; from the next look on."""
        self._planned = events

    async def look(self, services: Iterable[int], now_s: float) -> None:
        """Forecast anew, and begin a training that is due."""
        wanted = tuple(services)
        for service in wanted:
            self.since_s.setdefault(service, now_s)
        known = {service: self.since_s[service] for service in wanted}
        if not self._predictive:
            self.cells = recent(self._history, known, self._foresight.settings.quantiles)
            return
        forecaster = self._foresight.forecaster
        if self._planned is not None:
            events, self._planned = self._planned, None
            forecaster.plan(events)
        self._training.adopt()  # here, where nobody else uses the forecaster
        outlook = await asyncio.to_thread(self._foresight.look, self._history, now_s, known)
        self.cells, self.new = outlook.cells, outlook.new
        cells = {(one.service, one.location): one for one in outlook.cells}
        self._pending.append(
            (
                now_s + self._foresight.settings.ahead_s,
                {key: self._then(outlook, key, cell) for key, cell in cells.items()},
            )
        )
        series = await asyncio.to_thread(self._history.series)
        self._training.begin([(forecaster, list(series.values()))], now_s)

    def _then(self, outlook: DestinationOutlook, key: Cell, cell: DemandCell) -> float:
        """The median for then, which a cell's own, the most until then, is not."""
        forecast = outlook.forecasts.get(key)
        ahead_s = self._foresight.settings.ahead_s
        return (
            cell.at(0.5) if forecast is None or key[0] in outlook.new else forecast.at(ahead_s, 0.5)
        )

    def cells_with(self, factors: Mapping[Cell, float]) -> tuple[DemandCell, ...]:
        """What is foreseen, times what forecasts were found to be off by."""
        if not self._predictive:
            return self.cells
        return tuple(corrected(cell, factors) for cell in self.cells)

    def compare(self, step: AccessStep) -> tuple[dict[Cell, float], dict[Cell, float]]:
        """(what was foreseen for the step that ended, what came), connections per second; empty if nothing was."""
        foreseen: Mapping[Cell, float] = {}
        while self._pending and self._pending[0][0] <= step.end_s:
            foreseen = self._pending.popleft()[1]
        step_s = self._history.settings.step_s
        came = {cell: step.counts.get(cell, 0.0) / step_s for cell in foreseen}
        return dict(foreseen), came

    async def learn(self, steps: Iterable[AccessStep]) -> str:
        """Load steps of the past, and train on the history now; why it did or did not."""
        self._history.load(steps)
        report = await asyncio.to_thread(self._foresight.fit, self._history)
        series = [one for one in self._history.series().values() if len(one)]
        made_s = max((float(one.times_s[-1]) for one in series), default=0.0)
        self._training.done(self._foresight.forecaster, series, made_s)
        return report.reason

    async def close(self) -> None:
        """End a training that is under way."""
        await self._training.close()


def recent(
    history: AccessHistory, services: Iterable[int], levels: tuple[float, ...]
) -> tuple[DemandCell, ...]:
    """The mean of the last steps, with what a Poisson count of them may be off by."""
    wanted, window_s = frozenset(services), RECENT_STEPS * history.settings.step_s
    found = []
    for cell in history.cells():
        if cell[0] not in wanted or cell[1] == ELSEWHERE:
            continue
        count = history.rate(cell, RECENT_STEPS) * window_s
        if count > 0:
            spread = math.sqrt(count)
            quantiles = (
                max(0.0, count + _NORMAL.inv_cdf(level) * spread) / window_s for level in levels
            )
            found.append(DemandCell(cell[0], cell[1], levels, tuple(quantiles)))
    return tuple(found)
