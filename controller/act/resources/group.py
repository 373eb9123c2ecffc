"""A device's cgroup, whichever version it is of."""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.act.resources import files
from controller.act.resources.errors import AllocationError

# The kernel's bounds (kernel/sched/core.c): a quota of at least 1 ms, a period of 1 ms to 1 s.
LEAST_QUOTA_US = 1_000
PERIOD_US = 10_000  # the kernel's 100 ms would stop a device that used up its quota for long
MOST_PERIOD_US = 1_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NO_LIMIT_BYTES = 1 << 62  # v1 says "no limit" as the largest page-aligned number
LEAVE_S, LEAVE_POLL_S = 2.0, 0.01  # how long a process that was ended may take to leave its group


@dataclass(frozen=True, slots=True)
class GroupUse:
    """Counters since the group was made. memory_bytes: the working set now: without file pages that nobody used
    lately, which the kernel drops first. periods: in which there was something to do under a CPU limit;
    limited_periods: of these, in which the limit held it back.
    """

    cpu_s: float
    memory_bytes: int
    periods: int
    limited_periods: int


def quota(cores: float) -> tuple[int, int]:
    """(quota, period) in µs for so many cores; not below a thousandth of a core. Raises ValueError for what is no
    finite amount.
    """
    if not math.isfinite(cores) or cores < 0:
        raise ValueError(f"{cores} is no number of cores")
    cores = max(cores, LEAST_QUOTA_US / MOST_PERIOD_US)
    period_us = min(MOST_PERIOD_US, max(PERIOD_US, math.ceil(LEAST_QUOTA_US / cores)))
    return max(LEAST_QUOTA_US, round(cores * period_us)), period_us


def pages(memory_bytes: float) -> int:
    """Bytes in whole pages, rounded up: the kernel would round down."""
    return math.ceil(memory_bytes / PAGE_BYTES) * PAGE_BYTES


def granted_cores(cores: float) -> float:
    """What `Group.cpu_cores` says after `limit_cpu(cores)`."""
    if math.isinf(cores):
        return cores
    quota_us, period_us = quota(cores)
    return quota_us / period_us


def granted_bytes(memory_bytes: float) -> float:
    """What `Group.memory_bytes` says after `limit_memory(memory_bytes)`."""
    return memory_bytes if math.isinf(memory_bytes) else float(pages(memory_bytes))


class Group(ABC):
    """path: below the mounts. All methods raise AllocationError."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    @abstractmethod
    def directories(self) -> tuple[Path, ...]:
        """Of this group: one with v2, one for each mounted controller with v1."""

    @abstractmethod
    def make(self) -> None:
        """Make it, and its parents; nothing happens where they are there."""

    @abstractmethod
    def limit_cpu(self, cores: float) -> None:
        """At most so many cores; infinity lifts the limit."""

    @abstractmethod
    def limit_memory(self, memory_bytes: float) -> None:
        """At most so much; infinity lifts the limit."""

    @abstractmethod
    def cpu_cores(self) -> float:
        """The limit in force; infinity when there is none."""

    @abstractmethod
    def memory_bytes(self) -> float:
        """The limit in force; infinity when there is none."""

    @abstractmethod
    def weigh(self, tasks: int) -> None:
        """Where CPU is short it counts as much as so many processes of usual weight."""

    @abstractmethod
    def weight(self) -> int:
        """How much it counts: as so many processes."""

    @abstractmethod
    def use(self) -> GroupUse:
        """What it has used."""

    @property
    def entrances(self) -> tuple[Path, ...]:
        """The files that a process writes itself into."""
        return tuple(directory / "cgroup.procs" for directory in self.directories)

    def processes(self) -> tuple[int, ...]:
        """Process ids in it, ascending; those of other process namespaces are 0."""
        found: set[int] = set()
        for entrance in self.entrances:
            if entrance.parent.is_dir():
                found |= {int(line) for line in files.read(entrance).split()}
        return tuple(sorted(found))

    def remove(self) -> None:
        """Remove it, which must be empty of processes and groups; nothing happens where it is gone.

        A process that was just ended has a moment to leave.
        """
        for directory in self.directories:
            self._remove(directory)

    def _remove(self, directory: Path) -> None:
        deadline_s = time.monotonic() + LEAVE_S
        while True:
            try:
                directory.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError as error:
                if time.monotonic() > deadline_s:
                    inside = ", ".join(map(str, self.processes())) or "none"
                    raise AllocationError(
                        f"{directory} cannot be removed ({error.strerror}): end the processes in it ({inside}) "
                        "and remove the groups in it first"
                    ) from error
                time.sleep(LEAVE_POLL_S)


def make_directories(root: Path, path: str) -> Iterable[Path]:
    """Make `path` below `root`, one step at a time; yields each directory when it is there."""
    directory = root
    for part in path.split("/"):
        directory = directory / part
        try:
            directory.mkdir(exist_ok=True)
        except OSError as error:
            raise files.failure(directory / "cgroup.procs", "be made", error) from error
        yield directory
