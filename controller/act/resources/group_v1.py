"""A cgroup of version 1: a directory below each controller (Linux: admin-guide/cgroup-v1)."""

from __future__ import annotations

import math
from pathlib import Path

from controller.act.resources import files
from controller.act.resources.errors import AllocationError
from controller.act.resources.group import (
    NO_LIMIT_BYTES,
    Group,
    GroupUse,
    make_directories,
    pages,
    quota,
)
from controller.act.resources.mounts import Mounts

NS = 1_000_000_000
TASK_SHARES, MOST_SHARES = 1024, 262_144
_BELOW_USE = (
    "more memory is in use than that; allow at least as much, or end processes in the group"
)
_PARENT = "a parent group allows less CPU; raise its cpu.cfs_quota_us, or ask for less"


class GroupV1(Group):
    """See Group."""

    def __init__(self, mounts: Mounts, path: str) -> None:
        super().__init__(path)
        self._roots = mounts.roots
        self._cpu = mounts.cpu / path
        self._cpuacct = mounts.cpuacct / path
        self._memory = mounts.memory / path

    @property
    def directories(self) -> tuple[Path, ...]:
        """See Group."""
        return tuple(root / self.path for root in self._roots)

    def make(self) -> None:
        """See Group."""
        for root in self._roots:
            for _ in make_directories(root, self.path):
                pass

    def limit_cpu(self, cores: float) -> None:
        """See Group."""
        quota_file = self._cpu / "cpu.cfs_quota_us"
        if math.isinf(cores):
            files.write(quota_file, "-1")
            return
        period_file = self._cpu / "cpu.cfs_period_us"
        before = files.number(quota_file), files.number(period_file)
        quota_us, period_us = quota(cores)
        try:
            self._write_quota(quota_us, period_us, before[1])
        except AllocationError:
            self._write_quota(*before, period_us)
            raise

    def _write_quota(self, quota_us: int, period_us: int, period_before_us: int) -> None:
        quota_file = self._cpu / "cpu.cfs_quota_us"
        if period_us != period_before_us:
            # The old quota in the new period might be less than is in use, or more than a parent allows.
            files.write(quota_file, "-1")
            files.write(self._cpu / "cpu.cfs_period_us", str(period_us), remedy=_PARENT)
        files.write(quota_file, str(quota_us), remedy=_PARENT)

    def limit_memory(self, memory_bytes: float) -> None:
        """See Group."""
        text = "-1" if math.isinf(memory_bytes) else str(pages(memory_bytes))
        files.write(self._memory / "memory.limit_in_bytes", text, remedy=_BELOW_USE)

    def cpu_cores(self) -> float:
        """See Group."""
        quota_us = files.number(self._cpu / "cpu.cfs_quota_us")
        if quota_us < 0:
            return math.inf
        return quota_us / files.number(self._cpu / "cpu.cfs_period_us")

    def memory_bytes(self) -> float:
        """See Group."""
        limit_bytes = files.number(self._memory / "memory.limit_in_bytes")
        return float(limit_bytes) if 0 <= limit_bytes < NO_LIMIT_BYTES else math.inf

    def weigh(self, tasks: int) -> None:
        """See Group."""
        files.write(self._cpu / "cpu.shares", str(min(MOST_SHARES, TASK_SHARES * tasks)))

    def weight(self) -> int:
        """See Group."""
        return files.number(self._cpu / "cpu.shares") // TASK_SHARES

    def use(self) -> GroupUse:
        """See Group."""
        stat = files.table(self._cpu / "cpu.stat")
        in_use = files.number(self._memory / "memory.usage_in_bytes")
        idle = files.table(self._memory / "memory.stat").get("total_inactive_file", 0)
        return GroupUse(
            cpu_s=files.number(self._cpuacct / "cpuacct.usage") / NS,
            memory_bytes=max(0, in_use - idle),
            periods=stat.get("nr_periods", 0),
            limited_periods=stat.get("nr_throttled", 0),
        )
