"""A cgroup of version 2: one directory for all controllers (Linux: admin-guide/cgroup-v2)."""

from __future__ import annotations

import math
from pathlib import Path

from controller.act.resources import files
from controller.act.resources.errors import AllocationError
from controller.act.resources.group import (
    Group,
    GroupUse,
    make_directories,
    pages,
    quota,
)
from controller.act.resources.mounts import NEEDED_V2, Mounts

US = 1_000_000
TASK_WEIGHT, MOST_WEIGHT = 100, 10_000
_INTERNAL = (
    "it holds processes itself, and then its children get no controllers; move them to a child group, or have systemd "
    "delegate one (Delegate=yes)"
)


class GroupV2(Group):
    """See Group."""

    def __init__(self, mounts: Mounts, path: str) -> None:
        super().__init__(path)
        self._root = mounts.cpu
        self._directory = self._root / path

    @property
    def directories(self) -> tuple[Path, ...]:
        """See Group."""
        return (self._directory,)

    def make(self) -> None:
        """See Group. Parents pass the controllers on."""
        parent = self._root
        for directory in make_directories(self._root, self.path):
            self._pass_on(parent)
            parent = directory

    def _pass_on(self, parent: Path) -> None:
        file = parent / "cgroup.subtree_control"
        lacking = [name for name in NEEDED_V2 if name not in files.read(file).split()]
        if lacking:
            files.write(file, " ".join(f"+{name}" for name in lacking), remedy=_INTERNAL)

    def limit_cpu(self, cores: float) -> None:
        """See Group."""
        text = "max" if math.isinf(cores) else "{} {}".format(*quota(cores))
        files.write(self._directory / "cpu.max", text)

    def limit_memory(self, memory_bytes: float) -> None:
        """See Group. Unlike v1 the kernel takes a limit below what is in use, and kills: the caller sees to it."""
        text = "max" if math.isinf(memory_bytes) else str(pages(memory_bytes))
        files.write(self._directory / "memory.max", text)

    def cpu_cores(self) -> float:
        """See Group."""
        file = self._directory / "cpu.max"
        text = files.read(file)
        quota_us, _, period_us = text.partition(" ")
        if quota_us == "max":
            return math.inf
        try:
            return int(quota_us) / int(period_us)
        except (ValueError, ZeroDivisionError) as error:
            raise AllocationError(
                f"{file} holds {text!r}, no quota and period: it is no control file of a cgroup"
            ) from error

    def memory_bytes(self) -> float:
        """See Group."""
        file = self._directory / "memory.max"
        return math.inf if files.read(file) == "max" else float(files.number(file))

    def weigh(self, tasks: int) -> None:
        """See Group."""
        weight = min(MOST_WEIGHT, TASK_WEIGHT * tasks)
        files.write(self._directory / "cpu.weight", str(weight))

    def weight(self) -> int:
        """See Group."""
        return files.number(self._directory / "cpu.weight") // TASK_WEIGHT

    def use(self) -> GroupUse:
        """See Group."""
        stat = files.table(self._directory / "cpu.stat")
        in_use = files.number(self._directory / "memory.current")
        idle = files.table(self._directory / "memory.stat").get("inactive_file", 0)
        return GroupUse(
            cpu_s=stat.get("usage_usec", 0) / US,
            memory_bytes=max(0, in_use - idle),
            periods=stat.get("nr_periods", 0),
            limited_periods=stat.get("nr_throttled", 0),
        )
