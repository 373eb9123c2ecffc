"""Learns from the store's own history: looks when a training is due, and has it done in a process.

A fork after gRPC has started hangs, so that the process is spawned. What it trained is first a
challenger (`controller.learning.lineup`), unless nothing that was trained serves yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any

from controller.config import Config
from controller.learning import training_job
from controller.learning.lineup import COLD, Lineup
from controller.learning.training_job import Job, Trained
from controller.predict import limits
from controller.recorder import Recorder
from ml.forecasting.features import fingerprint
from ml.life.drift import InputDrift
from ml.life.schedule import LastTraining, Schedule, due
from ml.settings import Settings

LOG = logging.getLogger(__name__)

LOOK_EVERY_S = 20.0  # at first; later in proportion to the history
LOOK_SHARE = 0.05
LOOK_MOST_S = 600.0
MOST_HISTORY_S = 7 * 86400.0
AGAIN_S = 300.0  # after a training that failed
GIVE_WAY_S = 180.0  # on a machine that is never idle, a training takes its (small) share after this


class Trainer:
    """Keeps the line-up trained."""

    def __init__(
        self,
        config: Config,
        lineup: Lineup,
        settings: Callable[[], Settings],
        recorder: Recorder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trained = 0
        self.latest: Trained | None = None
        self.inputs: InputDrift | None = None  # the last look at them
        self.training = False
        self._config = config
        self._lineup = lineup
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._routers = tuple(s.name for s in config.switches if s.stage == "router")
        self._limits = limits(config)
        self._process: ProcessPoolExecutor | None = None
        self._yields = False  # at work, and to everything else
        self._looked_s = float("-inf")
        self._failed_s = float("-inf")
        models = config.forecast.models
        self._schedule = Schedule(
            min_history_s=config.forecast.min_history_s,
            growth=models.retrain_growth,
            after_s=models.retrain_after_s,
        )

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
            await asyncio.sleep(min(LOOK_MOST_S, max(LOOK_EVERY_S, LOOK_SHARE * span_s)))

    async def step(self) -> float:
        """One look, and a training when it is due; returns the history's length in seconds."""
        await self._lineup.recall()  # another process may have trained or promoted
        now_s = self._clock()
        last = await self._last()
        after_s = last[1] if last is not None else float("-inf")
        span_s, new = await self._recorder.extent(self._routers, self._since_s(now_s), after_s)
        if abs(now_s - self._failed_s) < AGAIN_S:
            return span_s
        reason = due(
            self._schedule,
            now_s,
            span_s,
            new,
            last[0] if last is not None else None,
            features=fingerprint(self._settings()),
            drift=await self._drift(now_s),
        )
        if reason is not None and await self.train(reason):
            self._lineup.drift_answered()
        return span_s

    async def train(self, reason: str) -> bool:
        """Train now. What fails is logged, and tried again later: False."""
        LOG.info("training: %s", reason)
        self.training = True
        try:
            trained = await self.carry_out(self._job(reason))
            self.latest = trained
            self.trained += 1
            if trained.kept is not None:
                await self._lineup.challenge(trained.entry, trained.kept)
            else:
                self._lineup.note_rejected(trained.entry)
            return True
        except Exception:
            self.close()  # the process may be gone: the next training gets a new one
            self._failed_s = self._clock()
            LOG.exception("training failed; the model in use stays")
            return False
        finally:
            self.training = False

    async def carry_out(self, job: Job) -> Trained:
        """A training in the training process. Raises what `training_job.run` raises."""
        trained: Trained = await self._in_process(training_job.run, job)
        return trained

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """While a cycle turns: a training stands still. To give way at once (SCHED_IDLE) is not enough: caches
        and memory are shared, and a switch's process that it keeps waiting keeps the cycle waiting. After
        GIVE_WAY_S it has its share, whatever else is to be done.
        """
        pids = [one.pid for one in self._workers() if one.pid is not None] if self._yields else []
        for pid in pids:
            training_job.stand_still(pid, still=True)
        try:
            yield
        finally:
            for pid in pids:
                training_job.stand_still(pid, still=False)

    def close(self) -> None:
        """End the training process."""
        if self._process is not None:
            workers = self._workers()
            self._process.shutdown(wait=False, cancel_futures=True)
            for worker in workers:  # a training takes seconds: do not wait for it
                worker.terminate()
                if worker.pid is not None:  # what stands still does not even end
                    training_job.stand_still(worker.pid, still=False)
            self._process = None

    def table(self) -> dict[str, Any]:
        """For the API: what the trainer does and last saw."""
        inputs = self.inputs
        return {
            "training": self.training,
            "trained": self.trained,
            "input_psi": inputs.psi if inputs is not None else None,
            "input_psi_limit": inputs.limit if inputs is not None else None,
        }

    def _since_s(self, now_s: float) -> float:
        return now_s - min(self._config.store.retention_s, MOST_HISTORY_S)

    async def _last(self) -> tuple[LastTraining, float] | None:
        """The newest training that was kept, and until when its samples went."""
        loop = asyncio.get_running_loop()
        entries = await loop.run_in_executor(None, self._lineup.registry.entries)
        if not entries:
            return None
        version = entries[0].version
        last = LastTraining(version.created_s, version.samples, version.feature_hash)
        return last, version.trained_until_s

    async def _drift(self, now_s: float) -> str | None:
        """What has drifted since the model in service was trained, in words."""
        models = self._config.forecast.models
        if not models.retrain_on_drift or self._lineup.serving == COLD:
            return None
        if self._lineup.errors.drifted:
            return "the errors of the model in service have grown for good"
        reference = self._lineup.reference
        if reference is None or abs(now_s - self._looked_s) < models.drift_look_s:
            return None
        self._looked_s = now_s
        try:
            self.inputs = await self._in_process(training_job.drift, self._job("drift"), reference)
        except Exception:
            self.close()
            LOG.exception("the inputs could not be compared with those of the training")
            return None
        if self.inputs is None or not self.inputs.drifted:
            return None
        worst = ", ".join(f"{name} {psi:.2f}" for name, psi in self.inputs.worst)
        return (
            f"inputs: stability index {self.inputs.psi:.2f}, limit {self.inputs.limit:.2f}; "
            f"most: {worst}"
        )

    def _job(self, reason: str) -> Job:
        now_s, models = self._clock(), self._config.forecast.models
        return Job(
            store=self._config.store,
            routers=self._routers,
            since_s=self._since_s(now_s),
            settings=self._settings(),
            seed=self._config.forecast.seed,
            models=models.path,
            metric=self._lineup.registry.metric,
            keep=models.keep,
            trigger=reason,
            now_s=now_s,
            champion=self._lineup.serving != COLD,
            limits=self._limits,
            false_alarms_per_day=self._config.forecast.false_alarms_per_day,
        )

    async def _in_process(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._process is None:
            self._process = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=training_job.begin,
            )
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._process, function, *arguments)
        self._give_way(idle=True)  # from its first import on
        hurry = loop.call_later(GIVE_WAY_S, lambda: self._give_way(idle=False))
        try:
            return await work
        finally:
            hurry.cancel()
            self._yields = False

    def _give_way(self, *, idle: bool) -> None:
        self._yields = idle
        for worker in self._workers():
            if worker.pid is not None:
                training_job.schedule(worker.pid, idle=idle)

    def _workers(self) -> list[BaseProcess]:
        if self._process is None:
            return []
        return list((self._process._processes or {}).values())
