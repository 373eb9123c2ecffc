"""Servers, and a network before them that fails when it is told to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.influx import Influx, need, running
from topologies.servers.faulty import FaultyProxy, before


@pytest.fixture(scope="module", params=[1, 2])
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    need(request.param)
    with running(request.param, tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture
def proxy(influx: Influx) -> Iterator[FaultyProxy]:
    if influx.process is None:  # the test before had stopped it
        influx.start()
    with before(influx.port) as proxy:
        yield proxy
