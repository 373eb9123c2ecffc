"""One simulated fabric, and the controllers that come and go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, cast

from controller.act.fabric import FabricDriver
from controller.config import Config, parse
from controller.daemon import Controller
from controller.events import Event
from harness.simdriver import SimDriver
from harness.simulated import Rate, SimFabric, SimRouter

START_S = 1_000_000.0
WEB = 16  # slot set of service 1


def configuration(
    directory: Path,
    more: str = "",
    *,
    routers: int = 3,
    capacity: int = 400,
    domains: Mapping[int, str] | None = None,
) -> Config:
    """Two edges, a spine, the routers r1, r2, ... of these failure domains; one service, on r1."""
    own = "".join(
        f"  - {{name: r{n}, stage: router, device_id: 2{n}, address: '127.0.0.1:5002{n}', "
        f"label: 30{n}, mac: '02:00:00:00:03:0{n}', capacity: {capacity}, threshold_available: 100, "
        f"failure_domain: {(domains or {}).get(n, 'main')}}}\n"
        for n in range(1, routers + 1)
    )
    links = "".join(f"  - {{a: 'r{n}:1', b: 's1:1{n}'}}\n" for n in range(1, routers + 1))
    text = f"""\
umbra: 1
store: {{path: {directory}/umbra.db}}
audit: {{path: {directory}/audit.jsonl}}
switches:
  - {{name: e1, stage: edge, device_id: 1, address: '127.0.0.1:50001', label: 101,
     mac: '02:00:00:00:01:01', subnet: 10.1.1.0/24}}
  - {{name: e2, stage: edge, device_id: 2, address: '127.0.0.1:50002', label: 102,
     mac: '02:00:00:00:01:02', subnet: 10.1.2.0/24}}
  - {{name: s1, stage: spine, device_id: 11, address: '127.0.0.1:50011', label: 201,
     mac: '02:00:00:00:02:01', subnet: 10.2.1.0/24}}
{own}links:
  - {{a: 'e1:1', b: 's1:1'}}
  - {{a: 'e2:1', b: 's1:2'}}
{links}clients: []
backends:
  - {{name: b1, port: 's1:9', ip: 10.2.1.10, mac: '02:00:00:00:05:01', label: 401}}
services:
  - {{id: 1, name: web, address: 10.100.0.1, port: 80, routers: [r1], backends: [b1]}}
{more}
"""
    return parse(text)


class World:
    """One simulated fabric and the controllers that come and go."""

    def __init__(
        self,
        directory: Path,
        rate: Rate,
        more: str = "",
        *,
        routers: int = 3,
        capacity: int = 400,
    ) -> None:
        self.config = configuration(directory, more, routers=routers, capacity=capacity)
        fabric = self.config.fabric()
        queues = {
            f"r{n}": SimRouter(300 + n, capacity, capacity - 100.0) for n in range(1, routers + 1)
        }
        self.sim = SimFabric(queues, {1: rate}, seed=5)
        self.sim.time_s = START_S
        self.driver = SimDriver(fabric, self.sim)
        self.events: list[Event] = []
        self.controller = self.fresh()

    def fresh(self) -> Controller:
        self.driver.on_up, self.driver.on_down, self.driver.on_probe = [], [], []
        driver = cast(FabricDriver, self.driver)
        controller = Controller(self.config, clock=lambda: self.sim.time_s, driver=driver)
        controller.subscribe(self.events.append)
        self.controller = controller
        return controller

    async def lived(self, story: Callable[[Self], Awaitable[None]]) -> Self:
        """Start the controller, let the story happen, and end the controller."""
        await self.controller.start()
        try:
            await story(self)
        finally:
            await self.close()
        return self

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await self.controller.turn()

    async def restart(self) -> None:
        await self.close()
        self.fresh()
        await self.controller.start()

    async def close(self) -> None:
        await self.controller._finish()

    def router(self, name: str = "r1") -> dict[str, Any]:
        found = [r for r in self.controller.state()["routers"] if r["name"] == name]
        return cast(dict[str, Any], found[0])

    def share(self, edge: str = "e1", label: int = 301) -> int:
        return self.driver.tables[edge, WEB].count(label)


def calm(_: float) -> float:
    return 12.0
