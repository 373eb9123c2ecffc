"""A pool with a clock that a test moves, and a copy of its file as a crash would leave it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from controller.model import Subdivision
from controller.pool import Pool

POD = Subdivision("pod", ("10.0.0.0/24", "fd00::/64"), "site", max_shards=8)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.booted = "first boot"
        self.since_boot_s = 1_000.0
        self.people_s = 1.7e9

    def boot(self) -> str:
        return self.booted

    def elapsed_s(self) -> float:
        return self.since_boot_s

    def wall_s(self) -> float:
        return self.people_s

    def pass_s(self, seconds: float) -> None:
        self.since_boot_s += seconds
        self.people_s += seconds

    def reboot(self) -> None:
        self.booted += "+"
        self.since_boot_s = 0.0


def assign(pool: Pool, prefix: str, subdivision: str = POD.name) -> None:
    """Both phases of a claim."""
    pool.confirm(prefix, pool.claim(prefix, subdivision, "test").sequence)


def crashed(path: Path, to: Path, cut: Callable[[bytes], bytes] = lambda log: log) -> Path:
    """The pool's file as it lies on the disk now, with its log (cut as a loss of power may do): nothing is closed."""
    to.mkdir()
    shutil.copy(path, to / path.name)
    log = path.with_name(path.name + "-wal")
    (to / log.name).write_bytes(cut(log.read_bytes()))
    return to / path.name
