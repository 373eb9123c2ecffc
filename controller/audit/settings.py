"""How the audit log is kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Sync(StrEnum):
    """When lines are forced to the disk (fdatasync). A crash of umbra loses nothing in any case; this
    is about a crash of the machine.
    """

    LINE = "line"  # before `add` returns
    INTERVAL = "interval"  # every sync_period_s at most, when rotating and when closing
    KERNEL = "kernel"  # whenever the kernel does


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """rotate_bytes: a file of that size is put aside and a new one begun. keep_files: so many files
    put aside are kept; None: all. most_waiting: lines kept in memory while the disk takes none.
    anchor_file: a file that the newest hash is appended to, every anchor_period_s at most, once it is
    on the disk; best on another machine.
    """

    sync: Sync = Sync.INTERVAL
    sync_period_s: float = 1.0
    rotate_bytes: int = 64 << 20
    keep_files: int | None = None
    most_waiting: int = 10_000
    anchor_file: Path | None = None
    anchor_period_s: float = 60.0

    def __post_init__(self) -> None:
        if self.rotate_bytes < 1:
            raise ValueError(f"rotate_bytes is {self.rotate_bytes}: at least 1")
        if self.keep_files is not None and self.keep_files < 1:
            raise ValueError(f"keep_files is {self.keep_files}: at least 1, or none to keep all")
        if self.most_waiting < 1:
            raise ValueError(f"most_waiting is {self.most_waiting}: at least 1")
