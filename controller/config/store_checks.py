"""What must hold of the telemetry store's section."""

from __future__ import annotations

import re
from collections.abc import Iterator

from controller.config.addresses import is_loopback
from controller.config.errors import Problem
from controller.config.sections import Config
from controller.store.schema import SCHEMA, Bucket

LEAST_RETENTION_S = 3600.0  # of an InfluxDB server


def store_problems(config: Config) -> Iterator[Problem]:
    """Everything that contradicts itself there."""
    store, influxdb = config.store, config.store.influxdb
    for name, kept_s in store.retention_of_s.items():
        own = SCHEMA.get(name)
        if own is None:
            yield Problem(
                ("store", "retention_of_s", name),
                f"there is no measurement {name}",
                f"write one of {', '.join(SCHEMA)}",
            )
        elif influxdb is not None and kept_s > (
            bucket_s := store.retention_s if own.bucket is Bucket.RAW else store.long_retention_s
        ):
            yield Problem(
                ("store", "retention_of_s", name),
                f"InfluxDB forgets {name} with its bucket after {bucket_s:g} s",
                "write less, or keep the bucket longer",
            )
    if influxdb is None:
        return
    place = ("store", "influxdb")
    if config.store.retention_s < LEAST_RETENTION_S:
        yield Problem(
            ("store", "retention_s"),
            "InfluxDB forgets nothing sooner than after an hour",
            f"write {LEAST_RETENTION_S:g} or more",
        )
    if influxdb.password_file is not None and influxdb.username is None:
        yield Problem((*place, "password_file"), "nobody has this password", "add a username")
    host = re.sub(r":[0-9]+$", "", influxdb.url.partition("://")[2]).strip("[]")
    secret = influxdb.token_file or influxdb.password_file
    if influxdb.url.startswith("http://") and secret and not is_loopback(host):
        yield Problem(
            (*place, "url"),
            "token and password would travel in clear",
            "use https (ca_file names its CA)",
        )
