"""Trains the forecasters of one part of the controller beside its loop, in a process of its own, when it is due."""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from controller.learning import training_job
from controller.trouble import Troubles
from ml.forecasting.boosting import TrainedModel, train
from ml.forecasting.features import fingerprint
from ml.forecasting.forecaster import Forecaster
from ml.life.schedule import LastTraining, Schedule, due
from ml.series import Series

LOG = logging.getLogger(__name__)


class SideTraining:
    """One training at a time. `trouble`: under which name one that fails is told."""

    def __init__(self, trouble: str, troubles: Troubles) -> None:
        self._trouble = trouble
        self._troubles = troubles
        self._workers: ProcessPoolExecutor | None = None
        self._training: asyncio.Task[None] | None = None
        self._trained: tuple[Forecaster, TrainedModel] | None = None
        self._last: dict[str, LastTraining] = {}  # by metric

    def adopt(self) -> None:
        """Put into use what was trained. Call it where nobody else uses the forecasters."""
        if self._trained is None:
            return
        (forecaster, trained), self._trained = self._trained, None
        try:
            report = forecaster.adopt(trained)
        except ValueError as error:
            self._troubles.fail(self._trouble, error)
        else:
            self._troubles.end(self._trouble)
            LOG.info("%s: %s", forecaster.settings.metric, report.reason)

    def begin(
        self, candidates: Iterable[tuple[Forecaster, Sequence[Series]]], now_s: float
    ) -> None:
        """Begin the first training that is due, unless one is under way. The series must be copies."""
        if self._training is not None and not self._training.done():
            return
        for forecaster, series in candidates:
            if self._due(forecaster, series, now_s):
                self._training = asyncio.create_task(self._train(forecaster, series))
                return

    def done(self, forecaster: Forecaster, series: Sequence[Series], now_s: float) -> None:
        """Somebody else has just trained it on this."""
        own = forecaster.settings
        self._last[own.metric] = LastTraining(now_s, sum(map(len, series)), fingerprint(own))

    async def close(self) -> None:
        """End a training that is under way."""
        if self._training is not None:
            self._training.cancel()
            await asyncio.gather(self._training, return_exceptions=True)
        if self._workers is not None:
            for process in list((self._workers._processes or {}).values()):
                process.terminate()
            self._workers.shutdown(wait=False, cancel_futures=True)

    def _due(self, forecaster: Forecaster, series: Sequence[Series], now_s: float) -> bool:
        settings, known = forecaster.settings, [one for one in series if len(one)]
        last = self._last.get(settings.metric)
        after_s = last.made_s if last is not None else -math.inf
        span_s = max((float(one.times_s[-1] - one.times_s[0]) for one in known), default=0.0)
        new = sum(int((one.times_s > after_s).sum()) for one in known)
        schedule = Schedule(min_history_s=settings.min_history_s)
        if due(schedule, now_s, span_s, new, last, features=fingerprint(settings)) is None:
            return False
        self.done(forecaster, known, now_s)
        return True

    async def _train(self, forecaster: Forecaster, series: Sequence[Series]) -> None:
        try:
            if self._workers is None:
                self._workers = ProcessPoolExecutor(
                    1,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=training_job.begin,
                )
            trained: TrainedModel = await asyncio.get_running_loop().run_in_executor(
                self._workers, train, list(series), forecaster.settings, forecaster.seed
            )
            self._trained = (forecaster, trained)
        except Exception as error:
            if self._workers is not None:
                self._workers.shutdown(wait=False, cancel_futures=True)
                self._workers = None
            self._troubles.fail(self._trouble, error)
