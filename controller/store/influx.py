"""What all InfluxDB adapters share: lines out, InfluxQL in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.store import influxql
from controller.store.influx_http import Http, Server
from controller.store.interface import (
    Adapter,
    Frame,
    Listed,
    Query,
    RefusedError,
    Rejected,
    TooLargeError,
    UnavailableError,
    checked,
)
from controller.store.line_protocol import Encoder
from controller.store.point import Point
from controller.store.schema import SCHEMA, Bucket, Measurement

WRITE_LINES = 5_000  # in one request, as InfluxData recommends
CHUNK_ROWS = 20_000  # of an answer


class InfluxAdapter(Adapter):
    """One server. `write_lines` and `query` may be called in different threads."""

    def __init__(
        self, server: Server, version: str, schema: Mapping[str, Measurement] = SCHEMA
    ) -> None:
        super().__init__(schema)
        self.server = server
        self.version = version
        self.http = Http(server)
        self.encoder = Encoder(schema)

    @abstractmethod
    def write_lines(self, bucket: Bucket, lines: Sequence[str]) -> None:
        """One request. Raises UnavailableError, TooLargeError, and RefusedError when lines in it are at fault."""

    @abstractmethod
    def forget(self, measurement: str, before_ns: int) -> None:
        """All points of a measurement before then. Raises UnsupportedError where the server cannot."""

    def database(self, bucket: Bucket) -> str:
        """Its name on the server."""
        base = self.server.database
        return base if bucket is Bucket.RAW else f"{base}_{bucket.value}"

    def write(self, points: Sequence[Point]) -> list[Rejected]:
        """See Adapter."""
        sound, rejected = self.sifted(points)
        lines: dict[Bucket, list[str]] = {}
        for point in sound:
            bucket = self.schema[point.measurement].bucket
            lines.setdefault(bucket, []).append(self.encoder.line(point))
        for bucket, own_lines in lines.items():
            for start in range(0, len(own_lines), WRITE_LINES):
                rejected += self.write_sound(bucket, own_lines[start : start + WRITE_LINES])
        return rejected

    def write_sound(self, bucket: Bucket, lines: Sequence[str]) -> list[Rejected]:
        """Write these lines but for those that the server refuses; found by halving, which is harmless
        because a line that is written twice is there once.
        """
        if not lines:
            return []
        try:
            self.write_lines(bucket, lines)
        except (RefusedError, TooLargeError) as error:
            if len(lines) == 1:
                return [Rejected(lines[0], str(error))]
            half = len(lines) // 2
            rejected = self.write_sound(bucket, lines[:half])
            return rejected + self.write_sound(bucket, lines[half:])
        return []

    def query(self, query: Query) -> list[Frame]:
        """See Adapter. A database that does not exist holds nothing."""
        own, fields = checked(query, self.schema)
        statement = influxql.select(query, own, fields)
        reader = influxql.Reader(query, own, fields)
        for series in self.answers(statement, own.bucket):
            reader.take(series)
        return reader.frames()

    def answers(self, statement: str, bucket: Bucket) -> Iterator[list[dict[str, Any]]]:
        """The series in the answers to one statement, chunk by chunk."""
        parameters: dict[str, str] = {
            "db": self.database(bucket),
            "q": statement,
            "epoch": "ns",
            "chunked": "true",
            "chunk_size": str(CHUNK_ROWS),
        }
        for answer in self.http.lines("GET", "/query", params=parameters):
            for result in [answer, *answer.get("results", [])]:
                if result.get("error"):
                    error = str(result["error"])
                    # No code comes with it: this sentence is what 1.x and 2.x say of a database that is not there
                    # yet. A measurement that is not there yet is no error; all else that is "not found" is one.
                    if error == f"database not found: {self.database(bucket)}":
                        return
                    raise UnavailableError(f"{self.server.url}: {error}; it is tried again")
                if result.get("series"):
                    yield result["series"]

    def listing(self) -> list[Listed]:
        """See Adapter."""
        found: list[Listed] = []
        for bucket in Bucket:
            fields = self._shown("SHOW FIELD KEYS", bucket)
            # 2.x says of a bucket that is not there that it has no default retention policy.
            tags = self._shown("SHOW TAG KEYS", bucket) if fields else {}
            for measurement, rows in fields.items():
                types = {str(row[0]): str(row[1]) for row in rows}
                names = tuple(str(row[0]) for row in tags.get(measurement, []))
                number = self.series_count(measurement, bucket)
                if number != 0:
                    found.append(
                        Listed(measurement, self._in_order(measurement, names), types, number)
                    )
        return sorted(found, key=lambda one: one.measurement)

    def series_count(self, measurement: str, bucket: Bucket) -> int | None:
        """How many series a measurement has."""
        shown = self._shown(f"SHOW SERIES FROM {influxql.name(measurement)}", bucket)
        return sum(len(rows) for rows in shown.values())

    def close(self) -> None:
        """See Adapter."""
        self.http.close()

    def _shown(self, statement: str, bucket: Bucket) -> dict[str, list[list[Any]]]:
        shown: dict[str, list[list[Any]]] = {}
        for series in self.answers(statement, bucket):
            for one in series:
                shown.setdefault(str(one.get("name", "")), []).extend(one.get("values") or [])
        return shown

    def _in_order(self, measurement: str, tags: tuple[str, ...]) -> tuple[str, ...]:
        own = self.schema.get(measurement)
        return own.tags if own is not None and set(own.tags) == set(tags) else tags
