"""What real servers answer of databases and measurements that are not there yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.store.influx import InfluxAdapter
from controller.store.influx_http import Server
from controller.store.interface import Query, Retention, UnavailableError
from controller.store.opening import connect
from controller.store.schema import Bucket
from harness.influx import Influx


@pytest.fixture
def unmade(influx: Influx) -> Server:
    return replace(influx.server, database="unmade")


def test_a_database_that_is_not_there_yet_holds_nothing(unmade: Server) -> None:
    with connect(unmade) as store:
        assert store.query(Query("samples")) == []
        assert store.listing() == []


def test_a_measurement_that_is_not_there_yet_holds_nothing(influx: Influx) -> None:
    with connect(replace(influx.server, database="made")) as store:
        store.prepare(Retention(604_800.0, 7_776_000.0))
        assert store.query(Query("samples")) == []
        assert store.listing() == []


def test_a_retention_policy_that_is_not_there_is_told(influx: Influx) -> None:
    with connect(replace(influx.server, database="made_too")) as store:
        assert isinstance(store, InfluxAdapter)
        store.prepare(Retention(604_800.0, 7_776_000.0))
        statement = 'SELECT * FROM "made_too"."gone"."samples"'
        with pytest.raises(UnavailableError, match="retention policy not found"):
            list(store.answers(statement, Bucket.RAW))
