"""Proof that what a server acknowledged can be read: a point in each write, read back later.

A write that the server acknowledged and lost (it crashed, its disk was full, it is no InfluxDB) shows
as a missing canary; then all since the last proof is written again.
"""

from __future__ import annotations

from controller.store.influx import InfluxAdapter
from controller.store.interface import Query
from controller.store.point import Point
from controller.store.schema import Bucket

MEASUREMENT = "canary"


class Canaries:
    """Of one writer, which has its name as a tag; each of a cluster's controllers has its own."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.sequence = 0
        self._awaited: dict[int, int] = {}  # time_ns → sequence

    def next(self, now_ns: int) -> Point:
        """For the next write."""
        self.sequence += 1
        time_ns = max(now_ns, max(self._awaited, default=0) + 1)
        return Point(MEASUREMENT, time_ns, (self.writer,), (self.sequence,))

    def written(self, point: Point) -> None:
        """The server acknowledged it."""
        self._awaited[point.time_ns] = int(point.values[0] or 0)

    def missing(self, adapter: InfluxAdapter) -> int:
        """How many of those that were acknowledged cannot be read. Raises StoreError."""
        if not self._awaited:
            return 0
        found = adapter.query(
            Query(
                MEASUREMENT,
                min(self._awaited),
                max(self._awaited) + 1,
                where={"writer": (self.writer,)},
            )
        )
        read: dict[int, int] = {}
        for frame in found:
            sequences = frame.columns["sequence"].tolist()
            read.update(zip(frame.times_ns.tolist(), sequences, strict=True))
        return sum(1 for at, sequence in self._awaited.items() if read.get(at) != sequence)

    def proven(self) -> None:
        """Begin anew: what was written is proven, or will be written again."""
        self._awaited.clear()

    def line(self, adapter: InfluxAdapter, point: Point) -> str:
        """As it is written."""
        return adapter.encoder.line(point)

    @property
    def bucket(self) -> Bucket:
        """Beside what it vouches for."""
        return Bucket.RAW
