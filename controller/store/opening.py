"""The adapter for a server, after asking it what it is."""

from __future__ import annotations

from collections.abc import Mapping

from controller.store.detect import detect
from controller.store.influx import InfluxAdapter
from controller.store.influx1 import Influx1Adapter
from controller.store.influx_http import Server
from controller.store.interface import StoreError
from controller.store.schema import SCHEMA, Measurement


class MissingLibraryError(StoreError):
    """influxdb-client is not installed."""


def connect(server: Server, schema: Mapping[str, Measurement] = SCHEMA) -> InfluxAdapter:
    """Raises UnavailableError, MissingLibraryError."""
    found = detect(server)
    if found.major == 1:
        return Influx1Adapter(server, found.version, schema)
    try:
        from controller.store.influx2 import Influx2Adapter
        from controller.store.influx3 import Influx3Adapter
    except ImportError as error:
        raise MissingLibraryError(
            f"{server.url} is InfluxDB {found.version}: writing to it needs influxdb-client; "
            "pip install 'umbra[influxdb]'"
        ) from error
    kind = Influx2Adapter if found.major == 2 else Influx3Adapter
    return kind(server, found.version, schema)
