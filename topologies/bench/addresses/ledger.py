"""What the owners of addresses did and were told, written down beside the pool; and what it proves.

One file per worker, a line per step: before a request what is wanted, after it what was answered, with the kernel's
clock. A line is one write, so it outlives a kill -9 of its writer. The pool never sees these files.

    t? OWNER                     wants an address            r? OWNER ADDRESS SEQUENCE   stops using it
    t! OWNER ADDRESS SEQUENCE    has it from here on         r! OWNER                    was told so
    t- OWNER                     was told that there is none c! WORKER                    its wall clock was set
    f! WHO WHAT...               a fault that the worker saw itself
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path


def now_s() -> float:
    """Seconds since the boot, the same in all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ledger:
    """Appends lines; thread-safe, because each is one write to a file opened for appending."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *fields: object) -> None:
        """One line, with the time in front."""
        line = " ".join([f"{now_s():.6f}", *map(str, fields)]) + "\n"
        os.write(self._file, line.encode("ascii"))

    def close(self) -> None:
        """No more lines."""
        os.close(self._file)


@dataclass(slots=True)
class Held:
    """A grant as its owner knows it. `ended_s`: when the owner stopped using it."""

    owner: str
    address: str
    sequence: int
    since_s: float
    ended_s: float | None = None


@dataclass(slots=True)
class Account:
    """A worker's file, read as far as it was written."""

    path: Path
    operations: int = 0  # that were answered
    jumps: int = 0
    live: dict[str, Held] = field(default_factory=dict)  # by owner
    wanting: set[str] = field(default_factory=set)
    leaving: dict[str, Held] = field(default_factory=dict)  # stopped, not told yet
    past: list[Held] = field(default_factory=list)  # every grant that was ever answered
    faults: list[str] = field(default_factory=list)
    _read_bytes: int = 0

    def read(self) -> None:
        """What is new. A line that is being written waits."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._read_bytes += whole
        for line in data[:whole].decode("ascii").splitlines():
            self._step(line.split(" "))

    def _step(self, fields: list[str]) -> None:
        at_s, step, owner = float(fields[0]), fields[1], fields[2]
        if step == "t?":
            self.wanting.add(owner)
        elif step == "t-":
            self.wanting.discard(owner)
            self.operations += 1
        elif step == "t!":
            self._granted(Held(owner, fields[3], int(fields[4]), at_s))
        elif step == "r?":
            if owner in self.live:  # else it is asked again after a crash
                held = self.live.pop(owner)
                held.ended_s = at_s
                self.leaving[owner] = held
        elif step == "r!":
            self.leaving.pop(owner, None)
            self.operations += 1
        elif step == "c!":
            self.jumps += 1
        elif step == "f!":
            self.faults.append(" ".join(fields[2:]))

    def _granted(self, held: Held) -> None:
        self.wanting.discard(held.owner)
        self.operations += 1
        before = self.live.get(held.owner)
        if before is None:
            self.live[held.owner] = held
            self.past.append(held)
        elif (before.address, before.sequence) != (held.address, held.sequence):
            self.faults.append(
                f"{held.owner} was told {before.address} ({before.sequence}), then {held.address} ({held.sequence})"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences; empty when all is well."""

    duplicates: tuple[str, ...]  # two had one address at one time
    early: tuple[str, ...]  # given again before it had cooled down
    faults: tuple[
        str, ...
    ]  # a request asked again was answered otherwise, or a worker saw one itself


def judge(accounts: Iterable[Account], ended_s: dict[Path, float], cool_s: float) -> Verdict:
    """Every grant of an address must have ended before the next began. `ended_s`: when a worker ended with all it had.

    Sequence numbers tell the order of an address's grants; the kernel's clock tells whether they overlapped.
    """
    by_address: dict[str, list[tuple[int, Held, float | None, bool]]] = {}
    faults: list[str] = []
    for account in accounts:
        faults += account.faults
        for held in account.past:
            asked = held.ended_s is not None
            end_s = held.ended_s if asked else ended_s.get(account.path)
            by_address.setdefault(held.address, []).append((held.sequence, held, end_s, asked))
    duplicates: list[str] = []
    early: list[str] = []
    for address, grants in by_address.items():
        grants.sort(key=lambda grant: grant[0])
        for (_, held, end_s, _), (_, after, _, _) in pairwise(grants):
            if end_s is None or after.since_s < end_s:
                duplicates.append(f"{address}: {held.owner} had it when {after.owner} got it")
            elif after.since_s < end_s + cool_s:
                early.append(f"{address}: {after.since_s - end_s:.3f} s after {held.owner}")
        if len({grant[0] for grant in grants}) != len(grants):
            duplicates.append(f"{address}: two grants with one sequence number")
    return Verdict(tuple(duplicates), tuple(early), tuple(faults))
