"""The telemetry store's tables (SQLite) and how values become rows."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any

from controller.model import Decision, NodeCounters, Outcome, RouterSample, SampledConnection
from controller.observe.demand import Demand
from ml.breach import Breach
from ml.forecast import Forecast

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
    router TEXT NOT NULL, time_s REAL NOT NULL, live REAL, new_per_s REAL, closed_per_s REAL,
    refused_per_s REAL, mean_duration_s REAL, bytes_per_s REAL, demand REAL, demand_new_per_s REAL,
    shift_pct REAL, PRIMARY KEY (router, time_s)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS services (
    time_s REAL NOT NULL, node TEXT NOT NULL, service INTEGER NOT NULL, opened INTEGER,
    closed INTEGER, expired INTEGER, refused INTEGER, unbound INTEGER, packets INTEGER,
    bytes INTEGER, PRIMARY KEY (time_s, node, service)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS connections (
    time_s REAL NOT NULL, node TEXT NOT NULL, client TEXT, address TEXT, protocol INTEGER,
    client_port INTEGER, service_port INTEGER, service INTEGER, binding INTEGER);
CREATE INDEX IF NOT EXISTS connections_time ON connections (time_s);
CREATE TABLE IF NOT EXISTS forecasts (
    time_s REAL NOT NULL, router TEXT NOT NULL, model TEXT NOT NULL, horizons BLOB NOT NULL,
    quantiles BLOB NOT NULL, counts BLOB NOT NULL, probability REAL, lead_s REAL,
    PRIMARY KEY (time_s, router)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
    id TEXT PRIMARY KEY, time_s REAL NOT NULL, router TEXT NOT NULL, kind TEXT NOT NULL,
    cause TEXT NOT NULL, shift_before_pct REAL, shift_after_pct REAL, shadows TEXT, reason TEXT,
    inputs TEXT, dry_run INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_time ON decisions (time_s);
CREATE TABLE IF NOT EXISTS outcomes (
    id TEXT PRIMARY KEY, time_s REAL NOT NULL, written TEXT, failed TEXT,
    decide_to_written_ms REAL) WITHOUT ROWID;
"""

INSERTS = {
    "samples": "INSERT OR REPLACE INTO samples VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    "services": "INSERT OR REPLACE INTO services VALUES (?,?,?,?,?,?,?,?,?,?)",
    "connections": "INSERT INTO connections VALUES (?,?,?,?,?,?,?,?,?)",
    "forecasts": "INSERT OR REPLACE INTO forecasts VALUES (?,?,?,?,?,?,?,?)",
    "decisions": "INSERT OR REPLACE INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    "outcomes": "INSERT OR REPLACE INTO outcomes VALUES (?,?,?,?,?)",
    "meta": "INSERT OR REPLACE INTO meta VALUES (?,?)",
}

# What grows with time, and how its oldest rows are found.
PRUNES = {
    "samples": "DELETE FROM samples WHERE (router, time_s) IN "
    "(SELECT router, time_s FROM samples WHERE router = ? AND time_s < ? LIMIT ?)",
    "services": "DELETE FROM services WHERE (time_s, node, service) IN "
    "(SELECT time_s, node, service FROM services WHERE time_s < ? LIMIT ?)",
    "connections": "DELETE FROM connections WHERE rowid IN "
    "(SELECT rowid FROM connections WHERE time_s < ? LIMIT ?)",
    "forecasts": "DELETE FROM forecasts WHERE (time_s, router) IN "
    "(SELECT time_s, router FROM forecasts WHERE time_s < ? LIMIT ?)",
    "outcomes": "DELETE FROM outcomes WHERE id IN "
    "(SELECT outcomes.id FROM decisions JOIN outcomes USING (id) "
    "WHERE decisions.time_s < ? LIMIT ?)",
    "decisions": "DELETE FROM decisions WHERE id IN "
    "(SELECT id FROM decisions WHERE time_s < ? LIMIT ?)",
}

# Every router that has samples, by leaps through the key: DISTINCT would read the whole table.
ROUTERS = """
WITH RECURSIVE known(router) AS (
    SELECT min(router) FROM samples
    UNION ALL
    SELECT (SELECT min(router) FROM samples WHERE router > known.router) FROM known
    WHERE known.router IS NOT NULL)
SELECT router FROM known WHERE router IS NOT NULL
"""

Row = tuple[Any, ...]


def sample_row(sample: RouterSample, demand: Demand, shift_pct: float) -> Row:
    """NaN becomes NULL by itself (SQLite has no NaN)."""
    return (
        sample.router,
        sample.time_s,
        sample.live,
        sample.new_per_s,
        sample.closed_per_s,
        sample.refused_per_s,
        demand.mean_duration_s,
        sample.bytes_per_s,
        demand.count,
        demand.new_per_s,
        shift_pct,
    )


def service_rows(counters: NodeCounters) -> list[Row]:
    """One row per service of a switch."""
    return [
        (
            counters.time_s,
            counters.node,
            service,
            own.opened,
            own.closed,
            own.expired,
            own.refused,
            own.unbound,
            own.packets,
            own.bytes,
        )
        for service, own in counters.services.items()
    ]


def connection_row(connection: SampledConnection) -> Row:
    """A digest."""
    return (
        connection.time_s,
        connection.node,
        connection.client,
        connection.address,
        connection.protocol,
        connection.client_port,
        connection.service_port,
        connection.service_id,
        connection.binding,
    )


def forecast_row(forecast: Forecast, threat: Breach | None) -> Row:
    """Horizons, quantiles and counts (horizon by horizon) as 32-bit floats."""
    counts = [value for row in forecast.values for value in row]
    return (
        forecast.made_at_s,
        forecast.target,
        forecast.model,
        pack(forecast.horizons_s),
        pack(forecast.quantiles),
        pack(counts),
        threat.probability if threat else None,
        threat.lead_s if threat else None,
    )


def decision_row(decision: Decision) -> Row:
    """Lists and mappings as JSON."""
    return (
        decision.id,
        decision.time_s,
        decision.router,
        decision.kind.value,
        decision.trigger,
        decision.shift_before_pct,
        decision.shift_after_pct,
        json.dumps(decision.shadows),
        decision.reason,
        json.dumps(dict(decision.inputs)),
        int(decision.dry_run),
    )


def outcome_row(outcome: Outcome, time_s: float) -> Row:
    """Lists as JSON."""
    return (
        outcome.decision_id,
        time_s,
        json.dumps(outcome.written),
        json.dumps(outcome.failed),
        outcome.decide_to_written_ms,
    )


def decision_of(row: Row) -> dict[str, Any]:
    """A row of decisions joined with outcomes, as the API shows it."""
    return {
        "id": row[0],
        "time_s": row[1],
        "router": row[2],
        "kind": row[3],
        "trigger": row[4],
        "shift_before_pct": row[5],
        "shift_after_pct": row[6],
        "shadows": json.loads(row[7]),
        "reason": row[8],
        "inputs": json.loads(row[9]),
        "dry_run": bool(row[10]),
        "written": json.loads(row[11]) if row[11] else [],
        "failed": json.loads(row[12]) if row[12] else [],
        "decide_to_written_ms": row[13],
    }


def pack(values: Sequence[float]) -> bytes:
    """Numbers → 32-bit floats."""
    return array("f", values).tobytes()


def unpack(data: bytes) -> list[float]:
    """The reverse of `pack`."""
    values = array("f")
    values.frombytes(data)
    return values.tolist()
