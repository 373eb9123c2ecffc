"""Learns from the store's own history as it grows, in a process of its own.

A fork after gRPC has started hangs, so that the process is spawned; it gets the series and gives
back a model, which is used only if it beats the simple model on the newest part of the history.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess

from controller.config import Config
from controller.recorder import Recorder
from ml.boosting import TrainedModel, train
from ml.forecaster import Forecaster
from ml.series import Series
from ml.settings import Settings

LOG = logging.getLogger(__name__)

LOOK_EVERY_S = 20.0  # at first; later in proportion to the history
LOOK_SHARE = 0.05
MOST_HISTORY_S = 2 * 86400.0


class Trainer:
    """Keeps one forecaster trained."""

    def __init__(
        self,
        config: Config,
        forecaster: Forecaster,
        recorder: Recorder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trained = 0
        self._config = config
        self._forecaster = forecaster
        self._recorder = recorder
        self._clock = clock
        self._routers = tuple(s.name for s in config.switches if s.stage == "router")
        self._process: ProcessPoolExecutor | None = None

    @property
    def pid(self) -> int | None:
        """Of the training process; None before the first training."""
        workers = self._workers()
        return workers[0].pid if workers else None

    async def run(self) -> None:
        """Look whether training is due, train, and so on. Ends at once without forecasts."""
        if not self._config.cycle.predictive:
            return
        while True:
            span_s = await self.step()
            await asyncio.sleep(max(LOOK_EVERY_S, LOOK_SHARE * span_s))

    async def step(self) -> float:
        """One look, and a training when it is due; returns the history's length in seconds."""
        now_s = self._clock()
        retention_s = min(self._config.store.retention_s, MOST_HISTORY_S)
        series = await self._recorder.load(self._routers, now_s - retention_s)
        if self._forecaster.due(series, now_s):
            try:
                await self._train(series)
            except Exception:
                self.close()  # the process may be gone: the next training gets a new one
                LOG.exception("training failed; the model in use stays")
        return max((one.span_s for one in series), default=0.0)

    def close(self) -> None:
        """End the training process."""
        if self._process is not None:
            workers = self._workers()
            self._process.shutdown(wait=False, cancel_futures=True)
            for worker in workers:  # a training takes seconds: do not wait for it
                worker.terminate()
            self._process = None

    def _workers(self) -> list[BaseProcess]:
        if self._process is None:
            return []
        return list((self._process._processes or {}).values())

    async def _train(self, series: list[Series]) -> None:
        if self._process is None:
            self._process = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn"), initializer=_quiet
            )
        loop = asyncio.get_running_loop()
        settings: Settings = self._forecaster.settings
        trained: TrainedModel = await loop.run_in_executor(
            self._process, train, series, settings, self._forecaster.seed
        )
        report = self._forecaster.adopt(trained)
        self.trained += 1
        LOG.info("trained on %s samples: %s", report.samples, report)


def _quiet() -> None:
    """The training process: last in line for the processor, and Ctrl-C is not its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
