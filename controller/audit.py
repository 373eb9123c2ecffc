"""The audit log: one JSON object per line for every decision, only ever appended, flushed at once.

A line has `time` (ISO 8601, UTC), `decision` with reason and inputs, and `outcome`. When the disk is
full or read-only the lines wait in memory (up to a limit; what is discarded beyond is counted
and said in the log itself) and are written when there is room: a line that was cut off by a
full disk is continued, so every line stays whole. The file may be moved away at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.model import Decision, Outcome
from controller.trouble import Troubles

MOST_WAITING = 10_000  # lines
TROUBLE = "audit"


def record(decision: Decision, outcome: Outcome) -> dict[str, Any]:
    """The object of one line."""
    moment = datetime.fromtimestamp(decision.time_s, UTC)
    return {
        "time": moment.isoformat(timespec="milliseconds"),
        "decision": {**asdict(decision), "kind": decision.kind.value},
        "outcome": asdict(outcome),
    }


class AuditLog:
    """Appends to one file. Used by one thread."""

    def __init__(self, path: str | Path, troubles: Troubles) -> None:
        self.path = Path(path)
        self.discarded = 0
        self._troubles = troubles
        self._waiting: deque[bytes] = deque()
        self._told = 0
        self._descriptor: int | None = None
        self._inode: tuple[int, int] | None = None

    @property
    def waiting(self) -> int:
        """Lines not yet in the file."""
        return len(self._waiting)

    def add(self, decision: Decision, outcome: Outcome) -> None:
        """Append one line (now, or as soon as the disk takes it)."""
        self._put(record(decision, outcome))
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        try:
            descriptor = self._open()
            while self._waiting:
                line = self._waiting[0]
                done = os.write(descriptor, line)
                if done < len(line):  # the disk became full within the line
                    self._waiting[0] = line[done:]
                else:
                    self._waiting.popleft()
        except OSError as error:
            self._troubles.begin(
                TROUBLE,
                f"{self.path} cannot be written ({error.strerror}): make room or let umbra write "
                f"there; up to {MOST_WAITING} lines wait in memory",
            )
            return
        self._troubles.end(TROUBLE)
        if self.discarded > self._told:
            lost, self._told = self.discarded - self._told, self.discarded
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._put({"time": now, "discarded": lost})
            self.flush()

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        self._close()

    def _put(self, what: dict[str, Any]) -> None:
        self._waiting.append(json.dumps(what, ensure_ascii=False).encode() + b"\n")
        while len(self._waiting) > MOST_WAITING:
            # Never the first one: half of it may be in the file.
            del self._waiting[1]
            self.discarded += 1

    def _open(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self.path)
            if self._descriptor is not None and (found.st_dev, found.st_ino) == self._inode:
                return self._descriptor
        self._close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        status = os.fstat(self._descriptor)
        self._inode = (status.st_dev, status.st_ino)
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
