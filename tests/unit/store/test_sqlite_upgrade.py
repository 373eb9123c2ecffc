"""A file that an older umbra wrote is taken over whole."""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from pathlib import Path

import pytest

from controller.observe.store import Store
from controller.store.interface import Query, UnavailableError
from controller.store.sqlite import SqliteAdapter
from controller.trouble import Troubles

OLD = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE samples (
    router TEXT NOT NULL, time_s REAL NOT NULL, live REAL, new_per_s REAL, closed_per_s REAL,
    refused_per_s REAL, mean_duration_s REAL, bytes_per_s REAL, demand REAL, demand_new_per_s REAL,
    shift_pct REAL, PRIMARY KEY (router, time_s)) WITHOUT ROWID;
CREATE TABLE services (
    time_s REAL NOT NULL, node TEXT NOT NULL, service INTEGER NOT NULL, opened INTEGER,
    closed INTEGER, expired INTEGER, refused INTEGER, unbound INTEGER, packets INTEGER,
    bytes INTEGER, PRIMARY KEY (time_s, node, service)) WITHOUT ROWID;
CREATE TABLE connections (
    time_s REAL NOT NULL, node TEXT NOT NULL, client TEXT, address TEXT, protocol INTEGER,
    client_port INTEGER, service_port INTEGER, service INTEGER, binding INTEGER);
CREATE INDEX connections_time ON connections (time_s);
CREATE TABLE forecasts (
    time_s REAL NOT NULL, router TEXT NOT NULL, model TEXT NOT NULL, horizons BLOB NOT NULL,
    quantiles BLOB NOT NULL, counts BLOB NOT NULL, probability REAL, lead_s REAL,
    PRIMARY KEY (time_s, router)) WITHOUT ROWID;
CREATE TABLE decisions (
    id TEXT PRIMARY KEY, time_s REAL NOT NULL, router TEXT NOT NULL, kind TEXT NOT NULL,
    cause TEXT NOT NULL, shift_before_pct REAL, shift_after_pct REAL, shadows TEXT, reason TEXT,
    inputs TEXT, dry_run INTEGER) WITHOUT ROWID;
CREATE INDEX decisions_time ON decisions (time_s);
CREATE TABLE outcomes (
    id TEXT PRIMARY KEY, time_s REAL NOT NULL, written TEXT, failed TEXT,
    decide_to_written_ms REAL) WITHOUT ROWID;
"""


def packed(*values: float) -> bytes:
    return array("f", values).tobytes()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "umbra.db"
    with contextlib.closing(sqlite3.connect(file)) as made, made:
        made.executescript(OLD)
        made.execute("INSERT INTO meta VALUES ('routes', 'kept')")
        for second in range(100):
            row = ("r1", 1.7e9 + second + 0.25, second, 1, 1, 0, None, 5, second, 1, 0)
            made.execute(f"INSERT INTO samples VALUES ({','.join('?' * 11)})", row)
        made.execute("INSERT INTO services VALUES (1.7e9, 'e1', 3, 1, 2, 3, 4, 5, 6, 7)")
        for port in range(5):
            row = (1.7e9, "e1", "10.0.0.1", "10.1.0.1", 6, port, 80, 3, 301)
            made.execute(f"INSERT INTO connections VALUES ({','.join('?' * 9)})", row)
        forecast = (
            1.7e9, "r1", "cold", packed(5, 10), packed(0.05, 0.25, 0.5, 0.75, 0.95),
            packed(*range(10)), 0.5, 7.0,
        )  # fmt: skip
        made.execute(f"INSERT INTO forecasts VALUES ({','.join('?' * 8)})", forecast)
        for number in range(3):
            row = (
                f"d{number}", 1.7e9, "r1", "shift", "prediction", 0, 10, '["r2"]', "why", "{}", 0,
            )  # fmt: skip
            made.execute(f"INSERT INTO decisions VALUES ({','.join('?' * 11)})", row)
            row = (f"d{number}", 1.7e9 + 1, '["e1"]', "[]", 4.5)
            made.execute("INSERT INTO outcomes VALUES (?,?,?,?,?)", row)
        made.execute("PRAGMA user_version = 1")
    return file


def test_nothing_that_an_older_umbra_stored_is_lost(old: Path) -> None:
    troubles = Troubles()
    store = Store(old, troubles)
    assert store.meta("routes") == "kept"
    series = store.series("r1", 1.7e9)
    assert series.times_s.tolist() == [1.7e9 + second + 0.25 for second in range(100)]
    assert series.values.tolist() == list(range(100))
    found = store.decisions()
    assert sorted(one["id"] for one in found) == ["d0", "d1", "d2"]
    assert all(one["written"] == ["e1"] for one in found)
    (connections,) = store.local.query(Query("connections"))
    assert sorted(connections.columns["client_port"].tolist()) == list(range(5))
    frames = store.local.query(Query("forecasts", group_by=("horizon_s",)))
    assert {frame.tags["horizon_s"]: frame.columns["p95"].tolist() for frame in frames} == {
        "5": [4.0], "10": [9.0],
    }  # fmt: skip
    assert store.local.last("breaches")[0].values == (0.5, 7.0)
    assert store.local.last("services")[0].values == (1, 2, 3, 4, 5, 6, 7)
    assert troubles.open == {}
    store.close()


def test_a_reader_of_an_older_file_is_told_what_to_do(old: Path) -> None:
    with (
        SqliteAdapter(old, read_only=True) as reader,
        pytest.raises(UnavailableError, match="an older umbra wrote it"),
    ):
        reader.query(Query("samples"))
