"""What every adapter of a telemetry store does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from controller.store.point import Checks, Point
from controller.store.schema import SCHEMA, Bucket, Measurement

Times = npt.NDArray[np.int64]
Column = npt.NDArray[Any]  # float64 with NaN where absent; object for integers, strings, booleans


class StoreError(Exception):
    """The store did not do what was asked; the message names it and the remedy."""


class UnavailableError(StoreError):
    """It cannot be reached, is overloaded, full, or lets nobody in: the same may succeed later.

    retry_after_s: when the server asked to be tried again; None when it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SlowError(UnavailableError):
    """It took the request and did not answer in time: less at once may succeed."""


class RefusedError(StoreError):
    """It took the request and refused what was in it: the same will be refused again."""


class TooLargeError(StoreError):
    """More than it takes at once."""


class UnsupportedError(StoreError):
    """This kind of store cannot do that at all."""


class Aggregate(StrEnum):
    """What is made of the values in a window; absent values count for nothing."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Query:
    """A range of one measurement.

    start_ns: first time; end_ns: before which it ends. fields: all (with an aggregate: all numeric
    ones) when empty. where: tag → any of these values. group_by: one frame for each set of values of
    these tags. aggregate: over windows of window_ns aligned to 1970, each at its start; over
    everything, at start_ns, when window_ns is None. limit: rows of each frame, of raw values only.
    offset: rows that are left out first; of one series, all of whose tags are named in `where`.
    """

    measurement: str
    start_ns: int | None = None
    end_ns: int | None = None
    fields: tuple[str, ...] = ()
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    aggregate: Aggregate | None = None
    window_ns: int | None = None
    limit: int | None = None
    newest_first: bool = False
    offset: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Rows of one group, by time. Without an aggregate the tags that are not grouped by are columns too."""

    tags: Mapping[str, str]
    times_ns: Times
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.times_ns)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A point that the store refused (as a line where lines were written), and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds that a bucket's points are kept; 0: for ever. own_s: measurement → seconds, where they differ."""

    raw_s: float
    long_s: float
    own_s: Mapping[str, float] = field(default_factory=dict)

    def of(self, bucket: Bucket) -> float:
        """Of one bucket."""
        return self.raw_s if bucket is Bucket.RAW else self.long_s

    def of_measurement(self, own: Measurement) -> float:
        """Of one measurement."""
        return self.own_s.get(own.name, self.of(own.bucket))


@dataclass(frozen=True, slots=True)
class Listed:
    """A measurement as the store has it. series: how many; None where the store cannot say."""

    measurement: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]  # name → type, as in schema.FieldType
    series: int | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this store is, and what it does by itself. cannot: in words, for `umbra store init`."""

    name: str
    version: str
    own_retention: bool  # it forgets by itself; otherwise `prune` must be called
    own_downsampling: bool  # `prepare` sets it up there; otherwise the controller does it
    cannot: tuple[str, ...] = ()


class Adapter(ABC):
    """One telemetry store. Every method may raise UnavailableError and, for a query that makes no sense, ValueError.

    Not thread-safe unless the adapter says so.
    """

    def __init__(self, schema: Mapping[str, Measurement] = SCHEMA) -> None:
        self.schema = schema
        self._checks = Checks(schema)

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abstractmethod
    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """Keep these points, overwriting what is there at the same series and time.

        When it returns they can be read, save those that are returned: these are at fault themselves.
        """

    @abstractmethod
    def query(self, query: Query) -> list[Frame]:
        """Frames in order of their tags; groups without rows are left out."""

    @abstractmethod
    def listing(self) -> list[Listed]:
        """The measurements that hold anything, by name."""

    @abstractmethod
    def prepare(self, retention: Retention) -> list[str]:
        """Make databases, retention and downsampling where they are missing or differ; what was done, in words."""

    @abstractmethod
    def retention(self) -> Mapping[Bucket, float]:
        """Seconds that each bucket keeps now; buckets that do not exist are absent."""

    def prune(self, now_ns: int) -> int:
        """Forget a batch of what is too old; points forgotten. Nothing where the store does so by itself."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    def last(
        self, measurement: str, where: Mapping[str, Sequence[str]] | None = None
    ) -> list[Point]:
        """The newest point of each series, by tags."""
        own = self.schema[measurement]
        frames = self.query(
            Query(measurement, where=where or {}, group_by=own.tags, limit=1, newest_first=True)
        )
        return [point for frame in frames for point in points_of(own, frame)]

    def span(self, measurement: str) -> tuple[int, int] | None:
        """Times of its oldest and newest point, ns; None when it holds nothing."""
        ends: list[int] = []
        for newest in (False, True):
            found = self.query(Query(measurement, limit=1, newest_first=newest))
            if not found or not len(found[0]):
                return None
            ends.append(int(found[0].times_ns[0]))
        return ends[0], ends[1]

    def sifted(self, points: Sequence[Point]) -> tuple[list[Point], list[Rejected]]:
        """(those that a store can take, those that none can)."""
        sound: list[Point] = []
        rejected: list[Rejected] = []
        for point in points:
            reason = self._checks.fault(point)
            if reason is None:
                sound.append(point)
            else:
                rejected.append(Rejected(repr(tuple(point)), reason))
        return sound, rejected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def checked(query: Query, schema: Mapping[str, Measurement]) -> tuple[Measurement, tuple[str, ...]]:
    """The query's measurement and fields. Raises ValueError for names or combinations that make no sense."""
    own = schema.get(query.measurement)
    if own is None:
        raise ValueError(f"no measurement {query.measurement!r}; there are {', '.join(schema)}")
    fields = query.fields or (own.numeric if query.aggregate else own.field_names)
    for name in fields:
        if name not in own.field_names:
            raise ValueError(f"{own.name} has no field {name!r}; it has {own.field_names}")
        if query.aggregate not in (None, Aggregate.COUNT) and name not in own.numeric:
            raise ValueError(f"{own.name}.{name} is no number: no {query.aggregate} of it")
    for name in (*query.where, *query.group_by):
        if name not in own.tags:
            raise ValueError(f"{own.name} has no tag {name!r}; it has {own.tags}")
    if any(not values for values in query.where.values()):
        raise ValueError("where: name at least one value for each tag")
    if query.window_ns is not None and (query.aggregate is None or query.window_ns < 1):
        raise ValueError("window_ns: a positive number, with an aggregate")
    if query.aggregate is not None and (query.limit is not None or query.newest_first):
        raise ValueError("limit and newest_first are for raw values")
    if query.offset and not all(len(query.where.get(tag, ())) == 1 for tag in own.tags):
        raise ValueError("offset is for one series: name a value for each of its tags")
    return own, fields


def points_of(measurement: Measurement, frame: Frame) -> list[Point]:
    """A frame of raw values with all fields as points. NaN becomes an absent value."""
    size = len(frame)
    tags = [
        frame.columns[name].tolist() if name in frame.columns else [frame.tags[name]] * size
        for name in measurement.tags
    ]
    values = [
        [None if one != one else one for one in frame.columns[name].tolist()]
        for name in measurement.field_names
    ]
    return [
        Point(measurement.name, time_ns, own_tags, own_values)
        for time_ns, own_tags, own_values in zip(
            frame.times_ns.tolist(),
            zip(*tags, strict=True) if tags else [()] * size,
            zip(*values, strict=True),
            strict=True,
        )
    ]
