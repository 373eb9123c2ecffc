"""InfluxDB 2.x: written through influxdb-client, read by InfluxQL at /query. One bucket for each bucket of ours.

The server maps a bucket's name to the database that InfluxQL asks for by itself (its virtual DBRP
mappings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from influxdb_client import BucketRetentionRules, InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from controller.store.downsample import EVERY_NS, SOURCE, TARGET, measures
from controller.store.influx import InfluxAdapter
from controller.store.influx_http import Server, failure, unreachable
from controller.store.interface import Capabilities, Retention, UnavailableError
from controller.store.schema import SCHEMA, Bucket, Measurement

LEAST_RETENTION_S = 3600.0  # the server's


class Influx2Adapter(InfluxAdapter):
    """Downsamples by a task (in Flux, which the server runs; umbra reads by InfluxQL only)."""

    def __init__(
        self, server: Server, version: str, schema: Mapping[str, Measurement] = SCHEMA
    ) -> None:
        super().__init__(server, version, schema)
        self._client = InfluxDBClient(
            server.url,
            token=server.login.token,
            org=server.org,
            timeout=round(server.timeout_s * 1000),
            enable_gzip=True,
            ssl_ca_cert=server.ca_file,
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    @property
    def capabilities(self) -> Capabilities:
        """See Adapter."""
        return Capabilities(
            "InfluxDB 2.x",
            self.version,
            own_retention=True,
            own_downsampling=True,
            cannot=("forget sooner than after an hour",),
        )

    def write_lines(self, bucket: Bucket, lines: Sequence[str]) -> None:
        """See InfluxAdapter."""
        with self.asked():
            self._writer.write(self.database(bucket), record="\n".join(lines).encode())

    def prepare(self, retention: Retention) -> list[str]:
        """Buckets with their retention, and the task."""
        done = []
        api = self._client.buckets_api()
        with self.asked():
            for bucket in Bucket:
                name, wanted_s = self.database(bucket), _rule_s(retention.of(bucket))
                rules = BucketRetentionRules(type="expire", every_seconds=wanted_s)
                found = api.find_bucket_by_name(name)
                if found is None:
                    api.create_bucket(bucket_name=name, retention_rules=rules, org=self.server.org)
                    done.append(f"bucket {name} was made, kept for {wanted_s} s")
                elif _kept_s(found) != wanted_s:
                    found.retention_rules = [rules]
                    api.update_bucket(found)
                    done.append(f"{name} is kept for {wanted_s} s")
            if SOURCE in self.schema:
                done += self._prepare_task()
        return done

    def forget(self, measurement: str, before_ns: int) -> None:
        """See InfluxAdapter."""
        epoch = datetime.fromtimestamp(0, UTC)
        until = epoch + timedelta(microseconds=(before_ns - 1) // 1000)  # it deletes that one, too
        with self.asked():
            self._client.delete_api().delete(
                epoch,
                until,
                f'_measurement="{measurement}"',
                bucket=self.database(self.schema[measurement].bucket),
                org=self.server.org,
            )

    def retention(self) -> Mapping[Bucket, float]:
        """See Adapter."""
        api = self._client.buckets_api()
        with self.asked():
            found = {bucket: api.find_bucket_by_name(self.database(bucket)) for bucket in Bucket}
        return {bucket: float(_kept_s(one)) for bucket, one in found.items() if one is not None}

    def close(self) -> None:
        """See Adapter."""
        self._writer.close()
        self._client.close()
        super().close()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """influxdb-client's errors as ours."""
        try:
            yield
        except ApiException as error:
            body = error.body if isinstance(error.body, str) else (error.body or b"").decode()
            if not error.status:
                raise unreachable(self.server.url, error) from error
            raise failure(self.server, error.status, error.headers or {}, body) from error
        except (HTTPError, OSError) as error:
            raise unreachable(self.server.url, error) from error

    def _prepare_task(self) -> list[str]:
        api = self._client.tasks_api()
        flux = self.flux()
        found = api.find_tasks(name=self.task)
        if found and found[0].flux == flux:
            return []
        if found:
            # Only the text: with name and period beside it the server writes its own form of it.
            api.update_task_request(found[0].id, _changed(flux))
            return [f"task {self.task} was changed"]
        organizations = self._client.organizations_api().find_organizations(org=self.server.org)
        if not organizations:
            raise UnavailableError(
                f"{self.server.url} has no organization {self.server.org}; correct store.influxdb.org"
            )
        api.create_task(_task(flux, organizations[0].id))
        return [f"task {self.task} was made"]

    @property
    def task(self) -> str:
        """Its name."""
        return f"{self.server.database}_1m"

    def flux(self) -> str:
        """The task: two hours anew each minute, for what came late."""
        minute = EVERY_NS // 1_000_000_000
        parts = [
            'import "date"',
            f'option task = {{name: "{self.task}", every: {minute}s}}',
            f'samples = from(bucket: "{self.database(Bucket.RAW)}")',
            f"  |> range(start: date.truncate(t: -2h, unit: {minute}s))",
            f'  |> filter(fn: (r) => r._measurement == "{SOURCE}")',
            "keep = (tables=<-) => tables",
            f'  |> set(key: "_measurement", value: "{TARGET}")',
            f'  |> to(bucket: "{self.database(Bucket.LONG)}")',
            f"samples |> aggregateWindow(every: {minute}s, fn: mean, createEmpty: false, "
            'timeSrc: "_start") |> keep()',
        ]
        for name, how, field in measures(self.schema):
            if how != "mean":
                parts.append(
                    f'samples |> filter(fn: (r) => r._field == "{field}") |> aggregateWindow('
                    f'every: {minute}s, fn: {how}, createEmpty: false, timeSrc: "_start") '
                    f'|> set(key: "_field", value: "{name}") '
                    f'|> keep() |> yield(name: "{name}")'
                )
        return "\n".join(parts) + "\n"


def _task(flux: str, org_id: str) -> Any:
    from influxdb_client import TaskCreateRequest

    return TaskCreateRequest(flux=flux, org_id=org_id, status="active")


def _changed(flux: str) -> Any:
    from influxdb_client import TaskUpdateRequest

    return TaskUpdateRequest(flux=flux)


def _rule_s(wanted_s: float) -> int:
    return round(max(LEAST_RETENTION_S, wanted_s)) if wanted_s else 0


def _kept_s(bucket: Any) -> int:
    rules = bucket.retention_rules or []
    return int(rules[0].every_seconds or 0) if rules else 0
