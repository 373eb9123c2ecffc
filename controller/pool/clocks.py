"""The clocks that the pool looks at, and the time that it counts itself.

A wall clock jumps, so nothing is decided by it. The pool's own time only ever grows, and by no more than
the kernel's count of seconds since the boot has grown (CLOCK_BOOTTIME: all processes see the same, and it
goes on while the machine sleeps). After another boot, or if that clock should go backwards, no time has passed
for the pool: a cool-down may become longer by that, never shorter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What a pool asks for the time."""

    def boot(self) -> str:
        """A name of this boot of the machine."""
        ...

    def elapsed_s(self) -> float:
        """Seconds since the boot; never backwards."""
        ...

    def wall_s(self) -> float:
        """Seconds since 1970, for people."""
        ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = _BOOT.read_text(encoding="ascii").strip()

    def boot(self) -> str:
        """The kernel's boot_id."""
        return self._boot

    def elapsed_s(self) -> float:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_s(self) -> float:
        """CLOCK_REALTIME."""
        return time.time()


@dataclass(frozen=True, slots=True)
class PoolTime:
    """The pool's own time `pool_s`, and which reading of the clock it belongs to."""

    boot: str
    elapsed_s: float
    pool_s: float

    def at(self, boot: str, elapsed_s: float) -> PoolTime:
        """The time at a later reading: never less, and never more than what has surely passed."""
        passed_s = elapsed_s - self.elapsed_s if boot == self.boot else 0.0
        return PoolTime(boot, elapsed_s, self.pool_s + max(0.0, passed_s))
