"""The forecasting models of the running controller: the line-up and its trainer, beside the cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.config import Config
from controller.cycle import Cycle
from controller.events import ModelDecided, Publisher
from controller.learning.lineup import Lineup
from controller.learning.trainer import Trainer
from controller.observe import past
from controller.predict import make_forecaster
from controller.recorder import Recorder
from controller.serve.control import ModelRefused
from controller.trouble import Troubles
from ml.breaches.warner import Warner
from ml.calendars.events import PlannedEvent
from ml.forecasting import seasonal
from ml.forecasting.forecaster import Forecaster
from ml.life.promotion import Rules
from ml.life.registry import Registry, RegistryError
from ml.life.version import Entry
from ml.series import Series

METRIC = "connections"


class Learning:
    """What the daemon and the API need of the models."""

    def __init__(
        self,
        config: Config,
        cycle: Cycle,
        recorder: Recorder,
        publisher: Publisher,
        troubles: Troubles,
        clock: Callable[[], float],
    ) -> None:
        own = config.forecast.models
        self._config = config
        self._cycle = cycle
        self._recorder = recorder
        self._publisher = publisher
        self._troubles = troubles
        self._clock = clock
        self.registry = Registry(own.path, METRIC, own.keep)
        self.lineup = Lineup(
            self.registry,
            Rules(
                alpha=own.alpha,
                alpha_back=own.alpha_back,
                longest_s=own.trial_s,
                watch_s=own.watch_s,
            ),
            cycle.foresight.forecaster,
            self._install,
            self._tell,
            troubles,
            clock,
        )
        self.trainer = Trainer(
            config, self.lineup, lambda: cycle.foresight.forecaster.settings, recorder, clock
        )

    async def run(self) -> None:
        """Go on with the champion of an earlier run, then learn. Ends at once without forecasts."""
        if self._config.cycle.predictive:
            await self._remember()
            await self.lineup.recall()
            await self.trainer.run()

    def plan(self, calendar: tuple[PlannedEvent, ...]) -> None:
        """Exchange the planned events of all models; the next training gets them as well."""
        self.lineup.plan(calendar)

    def turn(self) -> None:
        """After a cycle: hand its forecasts and what it saw to the line-up."""
        cycle = self._cycle
        forecasts = {
            name: outlook.forecast
            for name, outlook in cycle.outlooks.items()
            if outlook.forecast is not None
        }
        if not forecasts:
            return
        made_s = next(iter(forecasts.values())).made_at_s
        late_s = cycle.config.cycle.period_s
        values = {
            name: cycle.demands[name].count
            for name, sample in cycle.samples.items()
            if abs(made_s - sample.time_s) <= late_s
        }
        self.lineup.turn(made_s, values, forecasts, self._series)

    async def entries(self) -> list[Entry]:
        """Every kept version, the newest first."""
        return await asyncio.get_running_loop().run_in_executor(None, self.registry.entries)

    async def state(self) -> dict[str, Any]:
        """For the API (`serve/model_schemas.ModelsState`)."""
        versions = [
            {**entry.version.to_json(), **entry.standing.to_json()}
            for entry in await self.entries()
        ]
        return {
            "metric": METRIC,
            "directory": str(self.registry.path),
            **self.lineup.table(),
            "alarm": self._alarm(versions),
            "trainer": self.trainer.table(),
            "versions": versions,
        }

    async def promote(self, version: str) -> None:
        """Put a version into service. ModelRefused when it cannot be."""
        try:
            await self.lineup.promote(version)
        except RegistryError as error:
            raise ModelRefused(str(error)) from error

    async def roll_back(self) -> None:
        """Put the champion before into service. ModelRefused when there is none."""
        try:
            await self.lineup.roll_back()
        except RegistryError as error:
            raise ModelRefused(str(error)) from error

    async def close(self) -> None:
        """End the training process and the dark predictions."""
        self.trainer.close()
        await self.lineup.close()

    def summary(self) -> Mapping[str, Any]:
        """Who serves and who predicts in the dark, in short."""
        lineup = self.lineup
        return {
            "serving": lineup.serving,
            "challenger": lineup.challenger.name if lineup.challenger else None,
            "previous": lineup.previous.name if lineup.previous else None,
            "training": self.trainer.training,
            "alarm": "trained" if self._cycle.foresight.warner is not None else "simple",
        }

    async def _remember(self) -> None:
        """Days and weeks of the store, for what is seasonal. The loop turns meanwhile, without."""
        routers = tuple(self._cycle.labels)
        first = make_forecaster(self._config)
        width_s = max(seasonal.LEAST_WIDTH_S, first.settings.step_s)
        since_s = self._clock() - seasonal.REACH_S
        own = self._config.store
        if own.influxdb is not None or Path(own.path).is_file():  # else it is the first run
            try:
                first.remember(await asyncio.to_thread(past.means, own, routers, since_s, width_s))
            except past.PastError as error:
                self._troubles.count("memory", f"forecasts begin without days and weeks: {error}")
        first.remember([one.copy() for one in self._series()])
        first.plan(self._cycle.foresight.forecaster.settings.calendar)
        self.lineup.begin_with(first)

    def _install(self, forecaster: Forecaster, warner: Warner | None) -> None:
        self._cycle.foresight.serve(forecaster, warner)

    def _alarm(self, versions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Which rule makes an alarm of a probability."""
        serving, warner = self.lineup.serving, self._cycle.foresight.warner
        if warner is not None:
            rule, report = warner.rule, warner.report
            return {
                "rule": "trained",
                "level": rule.level,
                "samples": rule.samples,
                "hold_s": rule.hold_s,
                "budget_per_day": report.budget_per_day,
                "reason": report.reason,
            }
        reason = "no trained model serves"
        for version in versions:
            if version["id"] == serving:
                reason = version["metrics"].get("alarm_reason", "it was trained without alarms")
        return {
            "rule": "simple",
            "level": self._config.cycle.min_probability,
            "samples": 1,
            "hold_s": 0.0,
            "budget_per_day": None,
            "reason": reason,
        }

    def _tell(self, event: ModelDecided) -> None:
        self._recorder.model(event)
        self._publisher.publish(event)

    def _series(self) -> Sequence[Series]:
        return self._cycle.history.all(self._cycle.labels)
