"""The beginning and the end of a run: nothing that was asked for is lost, and a stop is prompt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from controller.act.fabric import FabricDriver
from controller.config import Config, parse
from controller.daemon import Controller
from harness.simdriver import SimDriver
from harness.simulated import SimFabric, SimRouter
from harness.yaml_fabric import FABRIC_YAML

PATIENCE_S = 10.0


def configuration(directory: Path) -> Config:
    return parse(
        f"store: {{path: {directory}/umbra.db}}\naudit: {{path: {directory}/audit.jsonl}}\n"
        + FABRIC_YAML
    )


class Reluctant(SimDriver):
    """Does not come up until `ready`."""

    ready: asyncio.Event

    async def wait_up(self, timeout_s: float) -> tuple[str, ...]:
        await self.ready.wait()
        return await super().wait_up(timeout_s)


def controller(directory: Path, *, ready: bool = True) -> tuple[Controller, Reluctant]:
    config = configuration(directory)
    sim = SimFabric({f"r{n}": SimRouter(300 + n, 400, 300.0) for n in (1, 2)}, {1: _calm}, seed=1)
    driver = Reluctant(config.fabric(), sim)
    driver.ready = asyncio.Event()
    if ready:
        driver.ready.set()
    made = Controller(config, clock=lambda: sim.time_s, driver=cast(FabricDriver, driver))
    return made, driver


def _calm(_: float) -> float:
    return 12.0


async def end(one: Controller) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await one._finish()


def test_an_order_given_while_the_switches_connect_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        one, driver = controller(tmp_path, ready=False)
        starting = asyncio.create_task(one.start())
        await asyncio.sleep(0.05)
        one.freeze("r1")
        one.manual_weight("r2", 20)
        driver.ready.set()
        await starting
        routers = {router["name"]: router for router in one.state()["routers"]}
        assert routers["r1"]["frozen"]
        assert routers["r2"]["manual_pct"] == 20
        await end(one)

    asyncio.run(story())


def test_a_stop_while_the_switches_connect_is_prompt_and_forgets_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        first, _ = controller(tmp_path)
        await first.start()
        first.freeze()
        await first.turn()
        await end(first)
        second, _ = controller(tmp_path, ready=False)
        running = asyncio.create_task(second.run())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE_S):
            await second.stop()
            await running
        third, _ = controller(tmp_path)
        await third.start()
        assert third.state()["frozen"]
        await end(third)

    asyncio.run(story())


def test_a_dry_run_that_a_person_asked_for_outlives_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        first, _ = controller(tmp_path)
        await first.start()
        first.dry_run = True
        await first.turn()
        await end(first)
        second, driver = controller(tmp_path)
        await second.start()
        second.manual_weight("r1", 30)
        await second.turn()
        assert second.state()["dry_run"]
        assert driver.writes == []
        second.dry_run = False
        await second.turn()
        await end(second)
        third, _ = controller(tmp_path)
        await third.start()
        assert not third.state()["dry_run"]
        await end(third)

    asyncio.run(story())


def test_a_memory_that_cannot_be_read_is_no_secret(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "umbra.db").write_text("no database at all\n" * 100)
        one, _ = controller(tmp_path)
        await one.start()
        assert "freezes" in one.state()["troubles"]["recall"]
        await end(one)

    asyncio.run(story())
