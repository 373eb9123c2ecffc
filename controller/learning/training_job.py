"""What the training process does: read the store, look for drift, train, keep the version.

The process reads and writes by itself, so that the controller neither copies a history to it nor
waits for a disk: only the job goes in and the model comes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from controller.observe import past
from controller.observe.source import Source
from ml.forecasting.boosting import FitReport
from ml.life.drift import InputDrift, InputReference, input_drift
from ml.life.inputs import sampled
from ml.life.registry import Kept, Origin, Registry
from ml.life.training import train_kept, with_warner
from ml.life.version import Entry, Standing, State, data_hash
from ml.settings import Settings

NICENESS = 10
PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Job:
    """store: its file, or the configuration's section. since_s: how far back to read, Unix time.
    models, metric, keep: of the registry. trigger: why. now_s: Unix time. champion: whether one serves
    now. limits: router → most connections without a breach. false_alarms_per_day: of each router, the
    budget of the alarm rule.
    """

    store: Source
    routers: tuple[str, ...]
    since_s: float
    settings: Settings
    seed: int
    models: str
    metric: str
    keep: int
    trigger: str
    now_s: float
    champion: bool
    limits: Mapping[str, float]
    false_alarms_per_day: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """entry: the version as it was kept. report: of its forecast model. kept: None when it was rejected."""

    entry: Entry
    report: FitReport
    kept: Kept | None


def run(job: Job) -> Trained:
    """Train and keep the result: champion when it is the first that is good enough, else challenger.

    A version that lost on its own hold-out is kept as rejected, for its figures. Raises PastError,
    RegistryError.
    """
    series = past.read(job.store, job.routers, job.since_s)
    kept = train_kept(series, job.settings, job.seed)
    kept = with_warner(kept, series, job.limits, job.false_alarms_per_day, job.seed)
    report = kept.model.report
    if not report.accepted:
        state = State.REJECTED
    elif job.champion:
        state = State.CHALLENGER
    else:
        state = State.CHAMPION
    registry = Registry(job.models, job.metric, job.keep)
    entry = registry.add(
        kept,
        Origin(job.now_s, data_hash(series), job.trigger),
        Standing(state, job.now_s, report.reason),
    )
    return Trained(entry, report, kept if report.accepted else None)


def drift(job: Job, reference: InputReference) -> InputDrift | None:
    """Whether the newest inputs are still those of `reference`; None when there are too few."""
    since_s = job.now_s - reference.stretch_s
    reach_s = (job.settings.lookback_steps + 1) * job.settings.step_s
    series = past.read(job.store, job.routers, since_s - reach_s)
    inputs, _, names = sampled(series, job.settings, since_s)
    return input_drift(reference, inputs) if names == reference.names else None


def begin() -> None:
    """Of the process: last in line for the processor, Ctrl-C is not its business, and it ends with the
    controller, even where it was stopped just then (`stand_still`).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def stand_still(pid: int, *, still: bool) -> None:
    """Stop a process, or let it go on."""
    with contextlib.suppress(OSError):  # it has ended
        os.kill(pid, signal.SIGSTOP if still else signal.SIGCONT)


def schedule(pid: int, *, idle: bool) -> None:
    """Whether a process gets only what nobody else wants, and gives way at once (sched(7), SCHED_IDLE);
    otherwise it has its share by its niceness.
    """
    with contextlib.suppress(OSError):  # it has ended, or may not
        os.sched_setscheduler(pid, os.SCHED_IDLE if idle else os.SCHED_OTHER, os.sched_param(0))
