"""The groups of one run, which are gone when it is: parent/RUN/NAME below every mount.

A run holds a lock (flock(2)) on its directory, and the kernel releases it when the process ends, however it ends. A
run's directory that nobody holds is one that a killed run left; the next one removes it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from controller.act.resources import files
from controller.act.resources.errors import AllocationError
from controller.act.resources.group import Group
from controller.act.resources.groups import group
from controller.act.resources.mounts import Mounts, find
from controller.act.resources.place import Place

PARENT = "umbra"
# A process writes itself into its groups before it becomes the program: all that it uses is counted, and limited.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; exec "$@"'


class GroupTree:
    """run: its name, one path component. weight: where CPU is short, each group gets as much as so many processes.

    Nothing is made before `open`. Raises AllocationError.
    """

    def __init__(
        self, run: str, *, parent: str = PARENT, weight: int = 1, mounts: Mounts | None = None
    ) -> None:
        Place(f"{parent}/{run}")  # refuses what leads out of the mount
        self.run, self.parent, self.weight = run, parent, weight
        self._mounts = mounts
        self._lock: int | None = None
        self._names: dict[str, None] = {}

    @property
    def mounts(self) -> Mounts:
        """Found out when first needed, if not given."""
        if self._mounts is None:
            self._mounts = find()
        return self._mounts

    def path(self, name: str) -> str:
        """Of the group of that name, whether it is there or not."""
        return f"{self.parent}/{self.run}/{name}"

    def open(self) -> None:
        """Make the run's directory, and remove those of runs that were killed."""
        own = self._group(f"{self.parent}/{self.run}")
        self._group(self.parent).make()
        with self._held():
            self._remove_abandoned()
            own.make()
            self._lock = os.open(own.directories[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def make(self, name: str) -> str:
        """Make a group; returns its path, for a Place."""
        path = self.path(name)
        self._group(path).make()
        self._group(path).weigh(self.weight)
        self._names[name] = None
        self._balance()
        return path

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """The command, such that it starts inside the group. Where it cannot enter it ends with 125 and says why."""
        entrances = map(str, self._group(self.path(name)).entrances)
        return ["sh", "-c", _ENTER, "sh", *entrances, "--", *command]

    def remove(self, name: str) -> None:
        """Remove a group, whose processes have ended."""
        self._group(self.path(name)).remove()
        self._names.pop(name, None)
        self._balance()

    def close(self) -> None:
        """Remove all groups of the run; nothing happens when that is done."""
        if self._lock is None:
            return
        try:
            for name in list(self._names):
                self._group(self.path(name)).remove()
            self._names.clear()
            self._group(f"{self.parent}/{self.run}").remove()
        finally:
            os.close(self._lock)
            self._lock = None
        with suppress(OSError, AllocationError), self._held():
            self._weigh_parent()  # of other runs
            for directory in self._group(self.parent).directories:
                with suppress(OSError):
                    directory.rmdir()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _balance(self) -> None:
        """Without this all groups together would count as one process."""
        with self._held():
            self._group(f"{self.parent}/{self.run}").weigh(max(1, self.weight * len(self._names)))
            self._weigh_parent()

    def _weigh_parent(self) -> None:
        own = self._group(self.parent)
        runs = [f"{self.parent}/{one.name}" for one in _children(self.mounts.cpu / self.parent)]
        own.weigh(max(1, sum(self._group(run).weight() for run in runs)))

    def _group(self, path: str) -> Group:
        return group(self.mounts, path)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """No other run makes or removes directories of runs meanwhile."""
        directory = self._group(self.parent).directories[0]
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _remove_abandoned(self) -> None:
        roots = self._group(self.parent).directories
        for directory in _children(roots[0]):
            if directory.name != self.run and _abandoned(directory):
                self._remove_run(directory.name)
        locked = {directory.name for directory in _children(roots[0])}
        for root in roots[1:]:  # a removal that was itself killed
            for directory in _children(root):
                if directory.name not in locked:
                    self._remove_run(directory.name)

    def _remove_run(self, run: str) -> None:
        own = self._group(f"{self.parent}/{run}")
        names = {child.name for directory in own.directories for child in _children(directory)}
        # Processes of a run that was killed may still be ending, or belong to somebody: then it stays for the next run.
        with suppress(AllocationError):
            for name in sorted(names):
                self._remove_empty(f"{own.path}/{name}")
            self._remove_empty(own.path)

    def _remove_empty(self, path: str) -> None:
        own = self._group(path)
        if own.processes():
            raise AllocationError(f"{own.directories[0]} has processes: it stays")
        own.remove()


def _children(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    try:
        return sorted(one for one in directory.iterdir() if one.is_dir())
    except OSError as error:
        raise files.failure(directory / "cgroup.procs", "be listed", error) from error


def _abandoned(directory: Path) -> bool:
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False  # it vanished
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # its run lives
    finally:
        os.close(lock)
    return True
