"""Appends to the audit log: at once, chained, through crashes, full disks and other programs' log rotation.

A line is sealed (given its number and hash) when it is written, so what waits in memory can be
discarded beyond a limit, counted and said in the log, without a gap in the chain. A line that a full disk cut
off is continued. When the file is not what it was left as (moved, truncated, written to by others) the chain
goes on all the same and the log says what was found.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from controller.audit import anchors, files
from controller.audit.canonical import plain
from controller.audit.line import GENESIS, Head, seal
from controller.audit.settings import AuditSettings, Sync
from controller.audit.standing import Remains, Standing, look
from controller.durable import sync_directory
from controller.model import Decision, Outcome
from controller.trouble import Troubles

LOG = logging.getLogger(__name__)
TROUBLE = "audit"
ROTATION = "audit rotation"
ANCHORS = "audit anchors"
FORMAT = 1


def record(decision: Decision, outcome: Outcome) -> dict[str, Any]:
    """What the line of a routing decision says."""
    return {
        "time": _iso(decision.time_s),
        "decision": {**asdict(decision), "kind": decision.kind.value},
        "outcome": asdict(outcome),
    }


@dataclass(slots=True)
class _Writing:
    """A sealed line of which `done` bytes are in the file. event: it is about the chain itself."""

    what: dict[str, Any]
    event: bool
    content: bytes
    head: Head
    done: int = 0


class AuditLog:
    """Appends to one file. Used by one thread; one process at a time holds the file."""

    def __init__(
        self, path: str | Path, troubles: Troubles, settings: AuditSettings | None = None
    ) -> None:
        self.path = Path(path)
        self.settings = settings or AuditSettings()
        self.discarded = 0
        self._troubles = troubles
        self._told = 0
        self._waiting: deque[dict[str, Any]] = deque()
        self._events: deque[dict[str, Any]] = deque()  # about the chain itself: written first
        self._writing: _Writing | None = None
        self._prefix = b""  # the end of line that a torn line lacks
        self._file: FileIO | None = None
        self._inode = (0, 0)
        self._size_bytes = 0
        self._head: Head | None = None  # None: nothing is known before the file is opened
        self._chain = ""
        self._part = 0
        self._follows: Path | None = None  # what was put aside just now
        self._dropped: list[Path] = []
        self._unsynced = False
        self._synced_s = float("-inf")
        self._anchored = Head()
        self._anchored_s = float("-inf")

    @property
    def waiting(self) -> int:
        """Lines not yet in the file."""
        return len(self._waiting) + (self._writing is not None and not self._writing.event)

    @property
    def head(self) -> Head | None:
        """Where the chain stands; None before the first line."""
        return self._head

    def add(self, decision: Decision, outcome: Outcome) -> None:
        """Append one line (now, or as soon as the disk takes it)."""
        self._put(record(decision, outcome))
        self.flush()

    def note(self, time_s: float, key: str, what: Mapping[str, Any]) -> None:
        """Append a line that is no routing decision: `what` under `key` (docs/audit.md lists them)."""
        self.notes(time_s, [(key, what)])

    def notes(self, time_s: float, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """The same for several lines, which go to the disk together."""
        for key, what in lines:
            if key in ("time", "chain", "sequence", "previous", "hash"):
                raise ValueError(f"{key} is a member of every line: name the subject otherwise")
            if len(self._waiting) >= self.settings.most_waiting:
                self.flush()
            self._put({"time": _iso(time_s), key: dict(what)})
        self.flush()

    def flush(self) -> None:
        """Write what waits; force it to the disk when that is due."""
        try:
            if self._waiting or self._writing or self._events:
                self._write()
            self._sync(closing=False)
        except OSError as error:
            remedy = (
                "end it, or name another file for one of them"
                if isinstance(error, BlockingIOError)
                else "make room or let umbra write there"
            )
            self._troubles.begin(
                TROUBLE,
                f"{self.path} cannot be written ({error.strerror}): {remedy}; up to "
                f"{self.settings.most_waiting} lines wait in memory",
            )
            return
        self._troubles.end(TROUBLE)
        if self.discarded > self._told:
            lost, self._told = self.discarded - self._told, self.discarded
            self._put({"time": _iso(time.time()), "discarded": lost})
            self.flush()

    def close(self) -> None:
        """Write what waits, force it to the disk and close the file."""
        self.flush()
        try:
            self._sync(closing=True)
        except OSError as error:
            self._troubles.begin(TROUBLE, f"{self.path} cannot be written ({error.strerror})")
        self._close()

    def _put(self, what: dict[str, Any]) -> None:
        self._waiting.append(plain(what))
        while len(self._waiting) > self.settings.most_waiting:
            self._waiting.popleft()
            self.discarded += 1

    def _write(self) -> None:
        self._ready()
        while (writing := self._next()) is not None:
            assert self._file is not None
            written = os.write(self._file.fileno(), writing.content[writing.done :])
            writing.done += written
            self._size_bytes += written
            self._unsynced = True
            if writing.done < len(writing.content):  # the disk became full within the line
                continue
            self._head, self._prefix, self._writing = writing.head, b"", None
            if self._size_bytes >= self.settings.rotate_bytes and not self._events:
                self._rotate()

    def _next(self) -> _Writing | None:
        if self._writing is None and (self._events or self._waiting):
            event = bool(self._events)
            what = (self._events or self._waiting).popleft()
            content, head = seal(what, self._head or Head())
            self._writing = _Writing(what, event, self._prefix + content, head)
        return self._writing

    def _ready(self) -> None:
        """Have the file open, and be sure that it is as it was left."""
        if self._file is not None:
            try:
                found = os.stat(self.path)
            except FileNotFoundError:
                found = None
            same = found is not None and (found.st_dev, found.st_ino) == self._inode
            if same and found is not None and found.st_size == self._size_bytes:
                return
            left = look(self._file.fileno())
            if self._writing is not None and left.head == self._writing.head:
                self._head, self._writing = left.head, None  # it lacks only its end of line
            self._close()
            self._open(None if same else left.remains)
            return
        self._open(None)

    def _open(self, remains: Remains | None) -> None:
        """remains: what is torn at the end of the file before."""
        if self._writing is not None:  # to be sealed anew
            (self._events if self._writing.event else self._waiting).appendleft(self._writing.what)
            self._writing = None
        aside: list[dict[str, Any]] = []
        while True:
            file = _locked(self.path)
            standing = look(file.fileno())
            if not standing.size_bytes or standing.head is not None:
                break
            moved = files.put_aside_unchained(self.path)
            file.close()
            aside.append(files.described(moved))
        status = os.fstat(file.fileno())
        self._inode, self._size_bytes = (status.st_dev, status.st_ino), standing.size_bytes
        self._prefix = b""
        self._file = file
        starting = self._head is None
        if not standing.size_bytes:
            self._begin(remains, aside)
        else:
            self._resume(standing)
        self._follows = None
        if starting:
            self._compare_with_anchors()

    def _begin(self, remains: Remains | None, aside: list[dict[str, Any]]) -> None:
        """Queue the opening line of an empty file."""
        what = "continued" if self._follows is None else "rotated"
        if self._head is None:
            what, remains = self._find_part_before()
            if what == "begun":
                aside = [files.described(file) for file in files.unchained(self.path)]
        else:
            self._part += 1
        told: dict[str, Any] = {
            "event": what, "format": FORMAT, "id": self._chain, "part": self._part,
        }  # fmt: skip
        if self._follows is not None:
            told["follows"] = self._follows.name
        if remains is not None:
            told |= remains.described()
        if aside:
            told["unchained"] = aside
        self._tell(told, first=True)
        sync_directory(self.path.parent)

    def _find_part_before(self) -> tuple[str, Remains | None]:
        """After a start without a file: the newest part put aside, or a new chain."""
        last = 0
        for part, before in reversed(files.rotated(self.path)):
            last = max(last, part)
            with before.open("rb") as file:
                standing = look(file.fileno())
            if standing.head is not None:
                self._head, self._chain = standing.head, standing.chain
                self._part, self._follows = last + 1, before
                return "rotated", standing.remains
        self._head, self._chain, self._part = Head(0, GENESIS), secrets.token_hex(16), last + 1
        return "begun", None

    def _resume(self, standing: Standing) -> None:
        """Go on in a file that holds a chain; queue what is to be said of it."""
        if self._head is None:
            self._head, self._chain, self._part = standing.head, standing.chain, standing.part
        elif standing.head != self._head:
            self._tell(
                {"event": "continued", "format": FORMAT, "id": self._chain, "part": self._part}
            )
        if not standing.ends:
            self._prefix = b"\n"
        if standing.remains is not None:
            what = "damaged" if standing.remains.objects else "torn"
            self._tell({"event": what, **standing.remains.described()}, first=True)
            self._troubles.count(
                "audit file", f"{self.path}: its end was {what}; umbra audit verify tells more"
            )

    def _tell(self, event: dict[str, Any], *, first: bool = False) -> None:
        line = {"time": _iso(time.time()), "chain": event}
        if first:
            self._events.appendleft(line)
        else:
            self._events.append(line)

    def _rotate(self) -> None:
        """Put the full file aside and begin the next."""
        self._sync(closing=True)
        try:
            aside = files.put_aside(self.path, self._part)
        except OSError as error:
            self._troubles.begin(
                ROTATION,
                f"{self.path} cannot be put aside ({error.strerror}): let umbra write to its "
                "directory; until then the file grows",
            )
            return
        self._troubles.end(ROTATION)
        self._close()
        self._follows = aside
        self._forget()
        self._open(None)

    def _forget(self) -> None:
        """Remove the parts beyond those to be kept; the log says which."""
        if self.settings.keep_files is None:
            return
        for part, file in files.rotated(self.path)[: -self.settings.keep_files]:
            if file not in self._dropped:
                self._dropped.append(file)  # removed once the line that says so is written
                self._tell({"event": "dropped", "file": file.name, "part": part})

    def _sync(self, *, closing: bool) -> None:
        """Force lines to the disk as the policy says, then write an anchor if that is due."""
        now_s = time.monotonic()
        if self._unsynced and self._file is not None:
            due = {
                Sync.LINE: True,
                Sync.INTERVAL: closing or now_s - self._synced_s >= self.settings.sync_period_s,
                Sync.KERNEL: False,
            }[self.settings.sync]
            if due:
                os.fdatasync(self._file.fileno())
                self._synced_s = now_s
            if due or self.settings.sync is Sync.KERNEL:
                self._unsynced = False
        if not self._unsynced and not self._events:
            while self._dropped:
                self._dropped[0].unlink(missing_ok=True)
                del self._dropped[0]
        if self._unsynced or self._head is None or self._head == self._anchored:
            return
        if closing or now_s - self._anchored_s >= self.settings.anchor_period_s:
            self._anchor(now_s)
        if closing:  # wherever the journal goes, this is an anchor, too
            LOG.info("head of %s: %d:%s", self.path, self._head.sequence, self._head.hash)

    def _anchor(self, now_s: float) -> None:
        assert self._head is not None
        self._anchored, self._anchored_s = self._head, now_s
        if self.settings.anchor_file is None or not self._head.sequence:
            return
        taken = anchors.Anchor(self._head.sequence, self._head.hash, self._chain, _iso(time.time()))
        try:
            anchors.append(self.settings.anchor_file, taken)
        except OSError as error:
            self._troubles.begin(
                ANCHORS,
                f"{self.settings.anchor_file} cannot be written ({error.strerror}): let umbra write "
                "there, or name another anchor file",
            )
            return
        self._troubles.end(ANCHORS)

    def _compare_with_anchors(self) -> None:
        """At a start: say so in the log when it ends before what an anchor has."""
        file = self.settings.anchor_file
        if file is None or self._head is None or not file.exists():
            return
        try:
            found = anchors.newest(anchors.read(file), self._chain)
        except (OSError, anchors.AnchorError) as error:
            self._troubles.begin(ANCHORS, f"{file} cannot be read ({error})")
            return
        if found is not None and found.sequence > self._head.sequence:
            told = {"sequence": found.sequence, "hash": found.hash, "ends": self._head.sequence}
            self._tell({"event": "lost", **told})
            self._troubles.count(
                "audit file",
                f"{self.path} ends at {self._head.sequence}, but an anchor in {file} has "
                f"{found.sequence}: its end was cut off; umbra audit verify --anchor {file}",
            )

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _locked(path: Path) -> FileIO:
    """The file, open for appending, made if need be, and this process's alone. Raises OSError."""
    while True:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = FileIO(os.open(path, flags, 0o640), "r+")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except BlockingIOError as error:
            file.close()
            raise BlockingIOError(error.errno, "another process writes it") from error
        except FileNotFoundError:
            pass  # put aside since it was opened
        except OSError:
            file.close()
            raise
        file.close()


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
