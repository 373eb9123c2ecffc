"""Lines that a server refused, kept aside with the reason: JSON lines beside the spool, bounded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from controller.store.interface import Rejected

MOST_BYTES = 32 << 20  # of each of two files
NAME = "rejected.jsonl"


class RejectedLines:
    """{"time_s", "reason", "line"} each. The older of two files is forgotten when the newer is full."""

    def __init__(self, directory: str | Path) -> None:
        self.path = Path(directory) / NAME
        self.added = 0

    def add(self, rejected: Sequence[Rejected], time_s: float) -> None:
        """Durable when it returns. Raises OSError."""
        data = "".join(
            json.dumps({"time_s": time_s, "reason": one.reason, "line": one.what}) + "\n"
            for one in rejected
        ).encode()
        if self.path.exists() and self.path.stat().st_size + len(data) > MOST_BYTES:
            self.path.replace(self._older)
        with self.path.open("ab+") as file:
            if _torn(file):
                data = b"\n" + data
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.added += len(rejected)

    def read(self) -> Iterator[tuple[float, Rejected]]:
        """All that are kept, oldest first: (when, what and why)."""
        for path in (self._older, self.path):
            if not path.exists():
                continue
            with path.open(encoding="utf-8") as file:
                for text in file:
                    try:
                        one = json.loads(text)
                    except ValueError:  # a crash in the midst of it
                        continue
                    yield float(one["time_s"]), Rejected(str(one["line"]), str(one["reason"]))

    def clear(self) -> None:
        """Forget all of them."""
        for path in (self._older, self.path):
            path.unlink(missing_ok=True)

    @property
    def _older(self) -> Path:
        return self.path.with_name("rejected.1.jsonl")


def _torn(file: BinaryIO) -> bool:
    """Does it end in the midst of a line, as a crash leaves it?"""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
