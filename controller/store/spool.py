"""A durable, bounded queue on disk between the controller and a server: segments of records, in order.

A record is acknowledged when it has been synced. Segments are only appended to and only removed whole,
so that what was delivered can be forgotten even on a full disk (a database would need room to delete).
Where in them the reader stands is not kept: after a crash what is left is delivered again, which
overwrites and doubles nothing (`controller.store.stamps`).

record = magic, length, CRC-32 of the payload, samples (little-endian 32-bit), payload. A torn record
at the end of a segment was never acknowledged and is cut off.

Thread-safe: one thread appends, another reads.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from controller.durable import sync_directory

MAGIC = 0x31_4C_50_53  # "SPL1"
HEADER = struct.Struct("<IIII")
SEGMENT_BYTES = 4 << 20
_SUFFIX = ".spool"
_MAGIC = struct.pack("<I", MAGIC)


class SpoolFullError(Exception):
    """The bound is reached."""


class SpoolBusyError(OSError):
    """Another process has this spool."""


class Position(NamedTuple):
    """A place in the spool; positions ascend."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """end: the position after it."""

    payload: bytes
    samples: int
    end: Position


class _Place(NamedTuple):
    """Where a record lies."""

    path: Path
    number: int
    start: int
    end: int
    samples: int

    def read(self) -> Record:
        with self.path.open("rb") as file:
            file.seek(self.start + HEADER.size)
            payload = file.read(self.end - self.start - HEADER.size)
        return Record(payload, self.samples, Position(self.number, self.end))


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    size: int
    counts: list[tuple[int, int]]  # of each record: end offset, samples


class Spool:
    """A folder. It need not be usable when the spool is made: `append` opens it, again after trouble."""

    def __init__(self, directory: str | Path, most_bytes: int) -> None:
        self.directory = Path(directory)
        self.most_bytes = most_bytes
        self.damaged = 0  # ends of segments put aside because they could not be read
        self._lock = threading.RLock()
        self._segments: list[_Segment] = []
        self._file: int | None = None  # of the last segment, open for appending
        self._guard: int | None = None
        self._next = 1
        self._opened = self._closed = False

    @property
    def samples(self) -> int:
        """That are on disk, delivered but not yet proven ones included."""
        with self._lock:
            return sum(samples for one in self._segments for _, samples in one.counts)

    @property
    def size_bytes(self) -> int:
        """On disk."""
        with self._lock:
            return sum(one.size for one in self._segments)

    @property
    def full_pct(self) -> float:
        """Of the bound."""
        return 100.0 * self.size_bytes / self.most_bytes

    def samples_after(self, position: Position) -> int:
        """On disk behind this place."""
        with self._lock:
            return sum(
                samples
                for one in self._segments
                for end, samples in one.counts
                if (one.number, end) > position
            )

    def open(self) -> None:
        """Take the folder and look what is there. Raises OSError, SpoolBusyError."""
        with self._lock:
            if self._opened:
                return
            if self._closed:
                raise OSError(errno.ESHUTDOWN, "the spool is closed", str(self.directory))
            self.directory.mkdir(parents=True, exist_ok=True)
            if self._guard is None:
                guard = os.open(
                    self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
                try:
                    fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    os.close(guard)
                    text = f"{self.directory} is in use by another controller; give each its own"
                    raise SpoolBusyError(text) from error
                self._guard = guard
            self._segments = [
                found
                for path in sorted(self.directory.glob(f"*{_SUFFIX}"))
                if (found := self._inspect(path)) is not None
            ]
            self._next = 1 + max((one.number for one in self._segments), default=0)
            self._opened = True

    def append(self, payload: bytes, samples: int) -> None:
        """Keep a record; it is on disk when this returns. Raises SpoolFullError and OSError, and keeps nothing then."""
        with self._lock:
            self.open()
            size = HEADER.size + len(payload)
            if self.size_bytes + size > self.most_bytes:
                raise SpoolFullError(
                    f"the spool {self.directory} is full ({self.most_bytes >> 20} MiB)"
                )
            segment = self._current()
            assert self._file is not None
            header = HEADER.pack(MAGIC, len(payload), zlib.crc32(payload), samples)
            try:
                data = header + payload
                written = os.write(self._file, data)
                if written != len(data):
                    raise OSError(errno.ENOSPC, "no space left on device", str(segment.path))
                os.fdatasync(self._file)
            except OSError:
                # Nothing of it may be read later, it is not acknowledged; nor may anything follow a torn record.
                try:
                    os.ftruncate(self._file, segment.size)
                    os.lseek(self._file, segment.size, os.SEEK_SET)
                except OSError:
                    self._end_segment()
                raise
            segment.size += size
            segment.counts.append((segment.size, samples))

    def read(self, after: Position, most_samples: int, most_bytes: int = 4 << 20) -> list[Record]:
        """Records behind this place, in order: at least one if there is any. Raises OSError."""
        found: list[Record] = []
        count = size = 0
        for place in self._places(after):
            length = place.end - place.start
            if found and (count + place.samples > most_samples or size + length > most_bytes):
                break
            found.append(place.read())
            count += place.samples
            size += length
        return found

    def newest(self, after: Position, most_records: int) -> list[Record]:
        """The last records behind this place, in order. Raises OSError."""
        return [place.read() for place in self._places(after)[-most_records:]]

    def _places(self, after: Position) -> list[_Place]:
        with self._lock:
            self.open()
            return [
                _Place(one.path, one.number, start, end, samples)
                for one in self._segments
                if one.number >= after.segment
                for start, end, samples in _bounds(one)
                if (one.number, end) > after
            ]

    def release(self, until: Position) -> None:
        """Forget the segments all of which lies before this place. Raises OSError."""
        with self._lock:
            while self._segments:
                first = self._segments[0]
                if (first.number, first.size) > until:
                    break
                if len(self._segments) == 1:
                    self._end_segment()  # the next record begins another
                first.path.unlink(missing_ok=True)
                self._segments.pop(0)

    def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        with self._lock:
            self._end_segment()
            if self._guard is not None:
                os.close(self._guard)
                self._guard = None
            self._opened, self._closed = False, True

    def _current(self) -> _Segment:
        if self._file is not None and self._segments[-1].size < SEGMENT_BYTES:
            return self._segments[-1]
        self._end_segment()
        number, self._next = self._next, self._next + 1
        path = self.directory / f"{number:012d}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        sync_directory(self.directory)
        self._segments.append(_Segment(number, path, 0, []))
        return self._segments[-1]

    def _end_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _inspect(self, path: Path) -> _Segment | None:
        counts: list[tuple[int, int]] = []
        size = 0
        data = path.read_bytes()
        for end, samples in _records(data):
            counts.append((end, samples))
            size = end
        rest = data[size:]
        if _MAGIC in rest[1:]:  # more than a torn end: kept for whoever can read it
            path.with_suffix(".damaged").write_bytes(rest)
            self.damaged += 1
        if not counts:
            path.unlink()
            return None
        if path.stat().st_size > size:
            os.truncate(path, size)
        return _Segment(int(path.stem), path, size, counts)


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """End and samples of each sound record, up to the first that is not."""
    at = 0
    while at + HEADER.size <= len(data):
        magic, length, checksum, samples = HEADER.unpack_from(data, at)
        end = at + HEADER.size + length
        if magic != MAGIC or end > len(data):
            return
        if zlib.crc32(data[at + HEADER.size : end]) != checksum:
            return
        yield end, samples
        at = end


def _bounds(segment: _Segment) -> Iterator[tuple[int, int, int]]:
    start = 0
    for end, samples in segment.counts:
        yield start, end, samples
        start = end
