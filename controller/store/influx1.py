"""InfluxDB 1.x: written at /write, read by InfluxQL at /query. One database for each bucket."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence

from controller.store import influxql
from controller.store.downsample import EVERY_NS, SOURCE, TARGET, measures
from controller.store.influx import InfluxAdapter
from controller.store.interface import (
    Capabilities,
    RefusedError,
    Retention,
    StoreError,
    UnavailableError,
)
from controller.store.schema import Bucket

LEAST_RETENTION_S = 3600.0  # the server's
POLICY = "autogen"
CONTINUOUS = "umbra_1m"
_MEASURE = re.compile(r'(\w+)\("?(\w+)"?\) AS "?(\w+)"?')  # of a continuous query as it is shown
_PARTS = re.compile(r"(\d+)(w|d|h|m|s|ms|u|ns)")
_SECONDS = {
    "w": 604_800,
    "d": 86_400,
    "h": 3600,
    "m": 60,
    "s": 1,
    "ms": 1e-3,
    "u": 1e-6,
    "ns": 1e-9,
}


class Influx1Adapter(InfluxAdapter):
    """Downsamples by a continuous query."""

    @property
    def capabilities(self) -> Capabilities:
        """See Adapter."""
        return Capabilities(
            "InfluxDB 1.x",
            self.version,
            own_retention=True,
            own_downsampling=True,
            cannot=("forget sooner than after an hour",),
        )

    def write_lines(self, bucket: Bucket, lines: Sequence[str]) -> None:
        """See InfluxAdapter."""
        self.http.request(
            "POST",
            "/write",
            params={"db": self.database(bucket), "precision": "ns"},
            content=gzip.compress("\n".join(lines).encode(), compresslevel=1),
            headers={"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"},
        )

    def prepare(self, retention: Retention) -> list[str]:
        """Databases, their default policy's duration, and the continuous query."""
        done = []
        databases = {str(row[0]) for row in self._admin("SHOW DATABASES")}
        for bucket in Bucket:
            base = self.database(bucket)
            wanted_s = retention.of(bucket)
            if wanted_s:
                wanted_s = max(LEAST_RETENTION_S, wanted_s)
            duration = f"{round(wanted_s)}s" if wanted_s else "INF"
            if base not in databases:
                self._admin(f"CREATE DATABASE {influxql.name(base)}")
                done.append(f"database {base} was made")
            if self.retention().get(bucket) != wanted_s:
                shard = "1d" if wanted_s >= 2 * 86_400 or not wanted_s else "1h"
                self._admin(
                    f"ALTER RETENTION POLICY {influxql.name(POLICY)} ON {influxql.name(base)} "
                    f"DURATION {duration} SHARD DURATION {shard} DEFAULT"
                )
                done.append(f"{base} is kept for {duration}")
        if SOURCE in self.schema:
            done += self._prepare_means()
        return done

    def forget(self, measurement: str, before_ns: int) -> None:
        """See InfluxAdapter."""
        base = self.database(self.schema[measurement].bucket)
        answer = self.http.request(
            "POST",
            "/query",
            params={"db": base},
            data={"q": f"DELETE FROM {influxql.name(measurement)} WHERE time < {before_ns}"},
        ).json()
        for result in answer.get("results", []):
            if result.get("error"):
                raise _refused(self.server.url, f"DELETE FROM {measurement}", str(result["error"]))

    def retention(self) -> Mapping[Bucket, float]:
        """See Adapter."""
        databases = {str(row[0]) for row in self._admin("SHOW DATABASES")}
        found = {}
        for bucket in Bucket:
            base = self.database(bucket)
            if base not in databases:
                continue
            for row in self._admin(f"SHOW RETENTION POLICIES ON {influxql.name(base)}"):
                if row[0] == POLICY:
                    found[bucket] = _seconds(str(row[1]))
        return found

    def _prepare_means(self) -> list[str]:
        """The continuous query; made anew when it does not make what the schema asks for."""
        base = influxql.name(self.database(Bucket.RAW))
        wanted = measures(self.schema)
        rows = self._admin("SHOW CONTINUOUS QUERIES", only=self.database(Bucket.RAW))
        said = next((str(row[1]) for row in rows if row[0] == CONTINUOUS), None)
        if said is not None:
            if {(name, how, field) for how, field, name in _MEASURE.findall(said)} == set(wanted):
                return []
            self._admin(f"DROP CONTINUOUS QUERY {influxql.name(CONTINUOUS)} ON {base}")
        into = f"{influxql.name(self.database(Bucket.LONG))}.{influxql.name(POLICY)}"
        columns = ", ".join(
            f"{how}({influxql.name(field)}) AS {influxql.name(name)}" for name, how, field in wanted
        )
        minute = EVERY_NS // 1_000_000_000
        self._admin(
            f"CREATE CONTINUOUS QUERY {influxql.name(CONTINUOUS)} ON {base} "
            f"RESAMPLE EVERY {minute}s FOR 2h BEGIN SELECT {columns} INTO {into}."
            f"{influxql.name(TARGET)} FROM {influxql.name(SOURCE)} "
            f'GROUP BY time({minute}s), "router" END'
        )
        return [f"continuous query {CONTINUOUS} was {'made' if said is None else 'changed'}"]

    def _admin(self, statement: str, only: str | None = None) -> list[list[object]]:
        """The rows of a statement that is not about one measurement's points; of one database's part if named."""
        answer = self.http.request("POST", "/query", data={"q": statement}).json()
        rows: list[list[object]] = []
        for result in answer.get("results", []):
            if result.get("error"):
                raise _refused(self.server.url, statement, str(result["error"]))
            for series in result.get("series", []):
                if only is not None and series.get("name") != only:
                    continue
                rows += series.get("values") or []
        return rows


def _refused(url: str, statement: str, error: str) -> StoreError:
    if "authoriz" in error or "requires" in error:
        return UnavailableError(f"{url} refused: {error}; give it a user with admin privileges")
    return RefusedError(f"{url} refused {statement!r}: {error}")


def _seconds(text: str) -> float:
    """ "168h0m0s" → 604800. "0s" is for ever."""
    return float(sum(int(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text)))
