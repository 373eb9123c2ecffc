"""Programs that want more CPU and memory than their cgroup allows: what they get, by the kernel's own accounts.

Also a program, for the other kernel: `python -m topologies.bench.resources.limits_groups SECONDS` writes JSON.
"""

from __future__ import annotations

import json
import math
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from controller.act.resources import Allocator, GroupTree, Mounts, Place, find
from controller.act.resources.group import quota
from controller.model.resources import NO_LIMIT, NOTHING, Amounts
from topologies.namespace import dying

CORES = (0.1, 0.2, 0.3, 0.5)
MEMORY_MIB = (32, 64, 128)
SETTLE_S = 0.3
MIB = 1 << 20
PEAKS = ("memory.max_usage_in_bytes", "memory.peak")  # v1, v2
ENDED_S = 60.0
_SPIN = "while True: pass"
_EAT = "import sys\nkept = []\nfor _ in range(int(sys.argv[1])): kept.append(b'x' * (1 << 20))"
# Share of the time, in periods, in which a limit must have held somebody back to be called reached.
REACHED = 0.9
WEIGHT = 64  # in processes: it is the limit that is measured, not what a busy machine has left


class Measured(NamedTuple):
    """reached: the limit was what held it back, not a machine that had no more to give."""

    asked: float
    got: float
    reached: bool = True


@contextmanager
def group(mounts: Mounts | None = None) -> Iterator[tuple[GroupTree, Allocator]]:
    """A run with a group "busy", and its allocator."""
    with GroupTree(f"bench-{secrets.token_hex(4)}", weight=WEIGHT, mounts=mounts) as tree:
        yield tree, Allocator({"busy": Place(tree.make("busy"))}, mounts=tree.mounts)


def cpu(seconds: float, cores: Sequence[float] = CORES, programs: int = 2) -> list[Measured]:
    """Cores of programs that never rest, each over so many seconds."""
    found = []
    with group() as (tree, allocator):
        allocator.set("busy", Amounts(cores[0], math.inf, math.inf), NOTHING)
        busy = [
            subprocess.Popen(dying(tree.command("busy", [sys.executable, "-c", _SPIN])))
            for _ in range(programs)
        ]
        try:
            for allowed in cores:
                allocator.set("busy", Amounts(allowed, math.inf, math.inf), NOTHING)
                found.append(used_cores(allocator, "busy", allowed, seconds))
        finally:
            for one in busy:
                one.kill()
                one.wait()
    return found


def used_cores(allocator: Allocator, device: str, allowed: float, seconds: float) -> Measured:
    """Cores that a device uses, over so many seconds."""
    time.sleep(SETTLE_S)
    start_s, before = time.monotonic(), allocator.totals(device)
    while time.monotonic() < start_s + seconds:
        time.sleep(0.05)
    elapsed_s = time.monotonic() - start_s
    after = allocator.totals(device)
    limited_s = (after.limited_periods - before.limited_periods) * quota(allowed)[1] / 1e6
    got = (after.cpu_s - before.cpu_s) / elapsed_s
    return Measured(allowed, got, limited_s >= REACHED * elapsed_s)


def memory(mebibytes: Sequence[int] = MEMORY_MIB) -> list[Measured]:
    """The most bytes that programs held which take twice as much, until the kernel ends them."""
    found = []
    for allowed in mebibytes:
        with group() as (tree, allocator):
            limit = Amounts(math.inf, allowed * MIB, math.inf)
            given = allocator.set("busy", limit, NOTHING).given
            program = tree.command("busy", [sys.executable, "-c", _EAT, str(2 * allowed)])
            subprocess.run(dying(program), timeout=ENDED_S, check=False)
            found.append(Measured(given.memory_bytes, float(peak_bytes(tree))))
            allocator.set("busy", NO_LIMIT, NOTHING)
    return found


def peak_bytes(tree: GroupTree) -> int:
    """The most memory that the group "busy" ever held, by the kernel."""
    files = [tree.mounts.memory / tree.path("busy") / name for name in PEAKS]
    return next(int(file.read_text()) for file in files if file.exists())


def largest_error_pct(found: Sequence[Measured]) -> float:
    """Of what was got, from what was asked; NaN where no limit was reached."""
    errors = [abs(one.got - one.asked) / one.asked * 100 for one in found if one.reached]
    return max(errors, default=math.nan)


def measured(seconds: float) -> dict[str, Any]:
    """Both, and on which version."""
    return {"version": find().version.value, "cpu": cpu(seconds), "memory": memory()}


if __name__ == "__main__":
    print(json.dumps(measured(float(sys.argv[1]))))
