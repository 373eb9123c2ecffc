"""A controller that is restarted flushes nothing and moves no traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from controller.config import Config, parse
from controller.daemon import Controller
from controller.events import Event, ShiftDecided
from harness.whole import SMALLEST
from topologies.clos import configuration
from topologies.net import Network

SPEC = replace(SMALLEST, edges=2, base_port=54000)


async def session(config: Config, until: Callable[[Controller, list[Event]], bool]) -> Controller:
    """Run a controller until the condition holds."""
    controller = Controller(config)
    events: list[Event] = []
    controller.subscribe(events.append)
    running = asyncio.create_task(controller.run())
    async with asyncio.timeout(20):
        while not until(controller, events):
            await asyncio.sleep(0.05)
    await controller.stop()
    await running
    return controller


def turned(controller: Controller, _events: list[Event]) -> bool:
    return controller.cycle.number >= 3


def test_a_restart_writes_nothing_and_keeps_the_weights(kind: str, tmp_path: Path) -> None:
    plain = configuration(SPEC)
    plain["cycle"] = {"period_s": 0.2}
    plain["store"] = {"path": str(tmp_path / "umbra.db")}
    plain["audit"] = {"path": str(tmp_path / "audit.jsonl")}
    config = parse(yaml.safe_dump(plain))

    def shifted(controller: Controller, events: list[Event]) -> bool:
        if controller.cycle.number == 2:
            controller.manual_weight("r1", 40)
        return any(isinstance(e, ShiftDecided) and e.outcome.written for e in events)

    with Network(plain, kind, tmp_path):
        first = asyncio.run(session(config, shifted))
        assert first.driver.status()["e1"].updates > 10
        second = asyncio.run(session(config, turned))
        assert {status.updates for status in second.driver.status().values()} == {0}
        assert second.cycle.state.of("r1").shift_pct == 40
        # The weights are in the switches: without its memory the controller reads them back.
        (tmp_path / "umbra.db").unlink()
        third = asyncio.run(session(config, lambda c, _: c.cycle.number >= 1))
        assert third.cycle.state.of("r1").shift_pct >= 39
