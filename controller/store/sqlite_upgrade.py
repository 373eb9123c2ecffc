"""A file of version 1 (times as seconds, forecasts packed) becomes one of version 2, in one transaction."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping

from controller.store import sqlite_tables as tables
from controller.store.schema import Measurement

_OLD = ("samples", "services", "connections", "forecasts", "decisions", "outcomes")
_TIME = "CAST(round({}time_s * 1e6) AS INTEGER) * 1000"
_SAMPLES = (
    "router, {time}, live, new_per_s, closed_per_s, refused_per_s, mean_duration_s, bytes_per_s, "
    "demand, demand_new_per_s, shift_pct FROM v1_samples"
)
_SERVICES = (
    "node, CAST(service AS TEXT), {time}, opened, closed, expired, refused, unbound, packets, bytes "
    "FROM v1_services"
)
# Several connections of one switch had the same time: they are told apart by the last digits.
_CONNECTIONS = (
    "node, {time} + row_number() OVER (PARTITION BY node, time_s ORDER BY rowid) - 1, client, "
    "address, protocol, client_port, service_port, service, binding FROM v1_connections"
)
_NUMBER = "row_number() OVER (PARTITION BY {} ORDER BY id) - 1"
_DECISIONS = (
    "router, kind, {time} + " + _NUMBER.format("router, kind, time_s") + ", id, cause, "
    "shift_before_pct, shift_after_pct, shadows, reason, inputs, dry_run FROM v1_decisions"
)
_RESULT = (
    "CASE WHEN failed NOT IN ('[]', '') THEN 'failed' WHEN written NOT IN ('[]', '') "
    "THEN 'written' ELSE 'none' END"
)
_OUTCOMES = (
    _RESULT + ", {time} + " + _NUMBER.format("time_s") + ", id, written, failed, "
    "decide_to_written_ms FROM v1_outcomes"
)
_COPIES = {
    "samples": _SAMPLES,
    "services": _SERVICES,
    "connections": _CONNECTIONS,
    "decisions": _DECISIONS,
    "outcomes": _OUTCOMES,
}
_QUANTILES = 5


def set_aside(connection: sqlite3.Connection) -> None:
    """Rename the old tables."""
    for name in _OLD:
        connection.execute(f"ALTER TABLE {name} RENAME TO v1_{name}")


def take_over(connection: sqlite3.Connection, schema: Mapping[str, Measurement]) -> None:
    """Copy what the old tables hold and drop them."""
    time = _TIME.format("")
    for name, columns in _COPIES.items():
        if name in schema:
            connection.execute(
                f"INSERT OR REPLACE INTO {name} SELECT {columns.replace('{time}', time)}"
            )
    rows = connection.execute(
        f"SELECT router, {time}, model, horizons, quantiles, counts, probability, lead_s "
        "FROM v1_forecasts"
    )
    for row in rows:
        for table, values in _forecast(row):
            if table in schema:
                connection.execute(tables.insert(schema[table]), values)
    for name in _OLD:
        connection.execute(f"DROP TABLE v1_{name}")


def _forecast(row: tuple[object, ...]) -> Iterator[tuple[str, tuple[object, ...]]]:
    router, time_ns, model, horizons, quantiles, counts, probability, lead_s = row
    if len(_floats(quantiles)) == _QUANTILES:
        values = _floats(counts)
        for index, horizon_s in enumerate(_floats(horizons)):
            own = values[index * _QUANTILES : (index + 1) * _QUANTILES]
            yield "forecasts", (router, f"{horizon_s:g}", time_ns, model, *own)
    if probability is not None:
        yield "breaches", (router, time_ns, probability, lead_s)


def _floats(data: object) -> list[float]:
    values = array("f")
    if isinstance(data, bytes):
        values.frombytes(data)
    return values.tolist()
