"""Creations and terminations of instances → series that can be forecast, per subdivision.

Steps are aligned to Unix time; a sample stands at its step's end and says what was in it. The newest
samples are kept in memory; what came before a start is read from `instance_log`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ml.series import MEAN_DURATION_S, NEW_PER_S, Series

KEEP_STEPS = 3 * 1440  # of a minute: three days in memory
COLUMNS = 4
Sample = tuple[float, float, float, float]  # time, running, new per second, mean duration
Columns = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class InstanceEvent:
    """An instance was created or terminated at `time_s` (Unix seconds).

    address, shard: what it has; empty when not known. profile: its application. Of a termination: lived_s,
    and the mean of what it used, where that was measured.
    """

    time_s: float
    subdivision: str
    owner: str
    created: bool
    profile: str = ""
    address: str = ""
    shard: str = ""
    lived_s: float | None = None
    cpu_cores: float | None = None
    memory_mib: float | None = None
    network_bps: float | None = None


class _Samples:
    """The newest `most` samples by column. What was given out is never written again: nobody needs a copy."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = np.empty((COLUMNS, 64))
        self._end = 0

    def append(self, sample: Sample) -> None:
        """One more; amortised in constant time."""
        if self._end == self._kept.shape[1]:
            kept = self.columns()
            self._end = kept.shape[1]
            self._kept = np.empty((COLUMNS, 2 * self._end))
            self._kept[:, : self._end] = kept
        self._kept[:, self._end] = sample
        self._end += 1

    def columns(self) -> Columns:
        """Shape (4, samples): time, running, new per second, mean duration. Cannot be written."""
        kept = self._kept[:, max(0, self._end - self._most) : self._end]
        kept.flags.writeable = False
        return kept


@dataclass(slots=True)
class _Subdivision:
    samples: _Samples
    running: int = 0
    new: int = 0  # in the step that is not over
    ended: int = 0
    lived_s: float = 0.0
    mix: dict[str, int] | None = None


class InstanceHistory:
    """step_s: of the series. keep_steps: how many samples are kept of each subdivision.

    Events may come late: they count in the step that is not over. Not thread-safe.
    """

    def __init__(self, step_s: float = 60.0, keep_steps: int = KEEP_STEPS) -> None:
        self.step_s = step_s
        self.keep_steps = keep_steps
        self._end_s = -math.inf  # of the step that is not over
        self._known: dict[str, _Subdivision] = {}

    @property
    def subdivisions(self) -> tuple[str, ...]:
        """All that have had an instance, in name order."""
        return tuple(sorted(self._known))

    def add(self, event: InstanceEvent) -> None:
        """One creation or termination."""
        self.advance(event.time_s)
        own = self._of(event.subdivision)
        mix = own.mix = own.mix if own.mix is not None else {}
        if event.created:
            own.running += 1
            own.new += 1
            mix[event.profile] = mix.get(event.profile, 0) + 1
            return
        own.running = max(0, own.running - 1)
        mix[event.profile] = max(0, mix.get(event.profile, 0) - 1)
        if event.lived_s is not None:
            own.ended += 1
            own.lived_s += event.lived_s

    def advance(self, now_s: float) -> None:
        """End the steps that are over by `now_s`; a clock that was set back ends none."""
        if self._end_s == -math.inf:
            self._end_s = (math.floor(now_s / self.step_s) + 1) * self.step_s
        while self._end_s <= now_s:
            # After a long pause only the last steps would be kept anyway.
            behind = math.floor((now_s - self._end_s) / self.step_s)
            if behind > self.keep_steps:
                self._end_s += (behind - self.keep_steps) * self.step_s
            for own in self._known.values():
                mean_s = own.lived_s / own.ended if own.ended else math.nan
                own.samples.append((self._end_s, own.running, own.new / self.step_s, mean_s))
                own.new, own.ended, own.lived_s = 0, 0, 0.0
            self._end_s += self.step_s

    def correct(self, running: Mapping[str, Mapping[str, int]]) -> None:
        """What really runs (subdivision → profile → instances), after a restart or a loss of events."""
        for name, mix in running.items():
            own = self._of(name)
            own.mix = {profile: count for profile, count in mix.items() if count > 0}
            own.running = sum(own.mix.values())

    def load(self, events: Iterable[InstanceEvent]) -> None:
        """Events of an earlier run, in order of time."""
        for event in events:
            self.add(event)

    def running(self, subdivision: str) -> int:
        """Instances that run now."""
        return self._known[subdivision].running if subdivision in self._known else 0

    def mix(self, subdivision: str) -> dict[str, int]:
        """Profile → instances that run now."""
        own = self._known.get(subdivision)
        mix = own.mix if own is not None and own.mix is not None else {}
        return {name: count for name, count in sorted(mix.items()) if count}

    def instances(self) -> list[Series]:
        """Running instances at the end of each step, with creations per second and mean duration as channels."""
        found = []
        for name in self.subdivisions:
            times_s, running, new, mean_s = self._known[name].samples.columns()
            channels = {NEW_PER_S: new, MEAN_DURATION_S: mean_s}
            found.append(Series(name, times_s, running, channels))
        return found

    def creations(self) -> list[Series]:
        """Creations per second in each step."""
        found = []
        for name in self.subdivisions:
            times_s, _, new, _ = self._known[name].samples.columns()
            found.append(Series(name, times_s, new))
        return found

    def _of(self, name: str) -> _Subdivision:
        own = self._known.get(name)
        if own is None:
            own = self._known[name] = _Subdivision(_Samples(self.keep_steps))
        return own
