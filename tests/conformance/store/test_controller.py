"""A whole controller whose telemetry is in InfluxDB: it decides, restarts, remembers, and waits for no server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.config.sections import Influxdb
from controller.config.sections import Store as StoreSection
from controller.observe import past
from controller.store.interface import Query, Retention
from controller.store.opening import connect
from harness.influx import Influx
from harness.simworld import START_S, World
from topologies.servers.faulty import FaultyProxy, Mode
from topologies.servers.influx import TOKEN


def overload(time_s: float) -> float:
    return 45.0 if time_s > START_S + 40 else 12.0


def section(influx: Influx, proxy: FaultyProxy, directory: Path, database: str) -> StoreSection:
    named: dict[str, Any] = {"url": proxy.url, "database": database, "timeout_s": 2.0}
    if influx.major == 2:
        (directory / "token").write_text(TOKEN)
        named["token_file"] = str(directory / "token")
    server = replace(influx.server, database=database)
    with connect(server) as adapter:
        adapter.prepare(Retention(0.0, 0.0))  # the simulated clock is in 1970
    influxdb = Influxdb(spool=str(directory / "spool"), prove_s=0.5, **named)
    return StoreSection(path=str(directory / "umbra.db"), influxdb=influxdb)


def world_on(store: StoreSection, directory: Path) -> World:
    world = World(directory, overload)
    world.config = world.config.model_copy(update={"store": store})
    world.fresh()
    return world


def test_a_controller_finds_its_history_and_decisions_on_the_server_again(
    influx: Influx, proxy: FaultyProxy, tmp_path: Path
) -> None:
    store = section(influx, proxy, tmp_path, "restarts")

    async def story() -> None:
        world = world_on(store, tmp_path)
        await world.controller.start()
        await world.turns(90)
        assert world.router()["shift_pct"] == 50
        decided = {one["id"] for one in world.controller.decisions(limit=1000)}
        assert decided
        await world.restart()
        assert world.router()["shift_pct"] == 50
        assert {one["id"] for one in world.controller.decisions(limit=1000)} == decided
        await world.turns(3)
        assert world.router()["forecast"] is not None  # the history was loaded
        delivery = world.controller.state()["store"]["delivery"]
        assert delivery["server"].startswith(f"InfluxDB {influx.major}.")
        await world.close()

    asyncio.run(story())
    (series,) = past.read(store, ["r1"], 0.0)
    assert len(series) >= 90
    assert past.means(store, ["r1"], 0.0, 10.0)[0].values.size >= 8
    with connect(replace(influx.server, database="restarts")) as adapter:
        assert adapter.query(Query("decisions"))
        assert adapter.query(Query("services"))
        assert adapter.query(Query("forecasts"))


@pytest.mark.parametrize("mode", [Mode.NOTHING, Mode.BUSY, Mode.CUT])
def test_a_controller_decides_while_the_server_is_in_trouble_and_loses_nothing(
    influx: Influx, proxy: FaultyProxy, tmp_path: Path, mode: Mode
) -> None:
    database = f"trouble{mode.value}"
    store = section(influx, proxy, tmp_path, database)

    async def story() -> None:
        proxy.mode = mode
        world = world_on(store, tmp_path)
        await world.controller.start()
        await world.turns(90)
        assert world.router()["shift_pct"] == 50
        state = world.controller.state()
        assert state["store"]["discarded"] == 0
        assert not state["store"]["delivery"]["available"]
        decided = len(world.controller.decisions(limit=1000))
        await world.restart()  # what waits is in the spool: it knows its decisions all the same
        assert len(world.controller.decisions(limit=1000)) == decided
        proxy.mode = Mode.PASS
        delivery = world.controller.recorder.store.delivery
        assert delivery is not None
        for _ in range(600):
            if not delivery.behind:
                break
            await asyncio.sleep(0.1)
        assert not delivery.behind
        await world.close()

    asyncio.run(story())
    (series,) = past.read(store, ["r1"], 0.0)
    assert len(series) >= 89
