"""InfluxDB 3 Core: written through influxdb-client (its /api/v2/write), read by InfluxQL at /query."""

from __future__ import annotations

from collections.abc import Mapping

from controller.store.influx2 import Influx2Adapter
from controller.store.influx_http import failure
from controller.store.interface import Capabilities, RefusedError, Retention, UnsupportedError
from controller.store.schema import Bucket


class Influx3Adapter(Influx2Adapter):
    """One database for each bucket. Its downsampling needs plugins: the controller does it instead."""

    @property
    def capabilities(self) -> Capabilities:
        """See Adapter."""
        return Capabilities(
            "InfluxDB 3",
            self.version,
            own_retention=True,
            own_downsampling=False,
            cannot=(
                "downsample by itself (the controller does it)",
                "tell or change the retention of a database that exists",
                "count series",
                "keep a measurement shorter than its database",
            ),
        )

    def prepare(self, retention: Retention) -> list[str]:
        """Databases, with their retention where they are new."""
        done = []
        there = self._databases()
        for bucket in Bucket:
            name, kept_s = self.database(bucket), retention.of(bucket)
            if name in there:
                continue
            body: dict[str, str] = {"db": name}
            if kept_s:
                body["retention_period"] = f"{round(kept_s)}s"
            self.http.request("POST", "/api/v3/configure/database", json=body)
            done.append(f"database {name} was made")
        return done

    def forget(self, measurement: str, before_ns: int) -> None:
        """It cannot delete a part of a table."""
        raise UnsupportedError(
            f"{self.server.url} cannot forget a part of {measurement}: drop it from store.retention_of_s"
        )

    def retention(self) -> Mapping[Bucket, float]:
        """Unknown: the server does not tell."""
        return {}

    def series_count(self, measurement: str, bucket: Bucket) -> int | None:
        """Unknown: tables have no index of series."""
        return None

    def _databases(self) -> set[str]:
        path = "/api/v3/configure/database"
        answer = self.http.request("GET", path, params={"format": "json"})
        rows = answer.json()
        if not isinstance(rows, list):
            error = failure(self.server, 400, {}, answer.text)
            raise RefusedError(f"{path}: {error}")
        return {str(row.get("iox::database", "")) for row in rows}
