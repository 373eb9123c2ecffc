"""The burst act's fabric with the controller's own address loop: client, edge with NAT, spine, a host with an agent.

Nothing here holds or plans: `controller.addressing` does, as in a running controller, with a configuration that suits
twelve seconds. Its history has the quarter of an hour before: what comes between bursts came then, too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from controller.act.fabric import FabricDriver
from controller.act.program import default_files
from controller.addressing.make import make
from controller.addressing.manager import AddressManager
from controller.config import parse
from controller.model import Idle
from controller.observe.instance_log import InstanceLog
from controller.observe.instances import InstanceEvent
from controller.plan.fabric import fabric_plan
from controller.pool import Pool
from controller.pool.counts import Counts
from controller.trouble import Troubles
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.demo.bursts import POD, Held, Shape, announced
from topologies.host_agents import start_agents
from topologies.net import Network
from topologies.wiring import HostWiring

HOST = "b1"
PREFIX, EXTERNAL = "10.64.0.0/24", "198.51.100.0/24"
PERIOD_S = 0.5
EARLY_S = 1.5
MOST_WARM = 64
PAST_S = 900.0
LIVED_S = 5.0  # of instances before the load
READY_S = 30.0
LEAD_S = 1.0  # from the announcement to the load: the loop has seen it


class Controlled:
    """The running one."""

    def __init__(
        self, network: Network, manager: AddressManager, pool: Pool, steps: list[Held]
    ) -> None:
        self.network = network
        self.manager = manager
        self._pool = pool
        self._steps = steps

    async def counts(self) -> Counts:
        """The pod's addresses now."""
        return await asyncio.to_thread(self._pool.counts, POD)

    async def ready(self, *, held_ahead: bool) -> None:
        """Wait for the first shard, and for warm addresses if there are to be any. TimeoutError."""
        async with asyncio.timeout(READY_S):
            while True:
                found = await self.counts()
                if found.held if held_ahead else found.free:
                    return
                await asyncio.sleep(0.02)

    def announce(self, shape: Shape) -> float:
        """Tell the loop of the bursts; when the load is to begin (Unix time)."""
        begun_s = time.time() + LEAD_S
        self.manager.plan(announced(shape, begun_s))
        return begun_s

    def held(self, begun_s: float) -> tuple[Held, ...]:
        """What the loop has held, and why; in seconds from the beginning of the load."""
        return tuple(Held(one.time_s - begun_s, one.count, one.reason) for one in self._steps)


@asynccontextmanager
async def controlled(
    kind: str, directory: Path, shape: Shape, seed: int, *, held_ahead: bool
) -> AsyncIterator[Controlled]:
    """Build it, and turn the loop for as long as the context lasts. What fails in the loop ends the block."""
    service = (ServiceSpec("web", routers=("r1",)),)
    plain = configuration(
        ClosSpec(edges=1, spines=1, routers=1, backends=2, clients=1, services=service)
    )
    steps: list[Held] = []

    def note(time_s: float, step: Mapping[str, Any]) -> None:
        if step["act"] == "grow":
            steps.append(Held(time_s, int(step["what"]), step["reason"]))

    with Network(plain, kind, directory) as network, Pool(directory / "pool.db") as pool:
        plain["addresses"] = _section(directory, network.wiring.host(HOST), held_ahead)
        config = parse(yaml.safe_dump(plain), base=directory)
        fabric = config.fabric()
        driver = FabricDriver(fabric, default_files())
        start_agents(network, (HOST,), directory / "agents")
        _remember(Path(plain["addresses"]["history"]), shape, seed)
        manager = make(
            config, fabric, driver, Troubles(), note, time.time, lambda: False, pool=pool
        )
        assert manager is not None
        try:
            await manager.recall()
            driver.want(manager.over(fabric_plan(fabric, idle=Idle())))
            await driver.start()
            async with asyncio.timeout(READY_S):
                while not all(one.reconciled for one in driver.status().values()):
                    await asyncio.sleep(0.02)
            async with asyncio.TaskGroup() as group:
                loop = group.create_task(manager.run())
                yield Controlled(network, manager, pool, steps)
                loop.cancel()
        finally:
            await manager.close()
            await driver.stop()


def _section(directory: Path, host: HostWiring, held_ahead: bool) -> dict[str, Any]:
    """The configuration of the loop; without addresses held ahead it holds none, and all else is the same."""
    return {
        "pool": str(directory / "pool.db"),
        "history": str(directory / "instances.db"),
        "period_s": PERIOD_S,
        "warm": {
            "confidence": 0.9,
            "warm_up_s": PERIOD_S,
            "early_s": EARLY_S,
            "at_least": 0,
            "at_most": MOST_WARM if held_ahead else 0,
        },
        "shards": {"ipv4_addresses": 256},
        "subdivisions": [
            {
                "name": POD,
                "prefixes": [PREFIX],
                "external": EXTERNAL,
                "hosts": [
                    {
                        "name": HOST,
                        "port": f"{host.switch}:{host.port}",
                        "agent": str(directory / "agents" / f"{HOST}.sock"),
                    }
                ],
            }
        ],
    }


def _remember(path: Path, shape: Shape, seed: int) -> None:
    """A history of instances that came one by one, and have ended."""
    draws = random.Random(seed)
    now_s = time.time()
    events = []
    for number in range(int(PAST_S * shape.per_s)):
        came_s = now_s - PAST_S + (number + draws.random()) / shape.per_s
        if came_s + LIVED_S < now_s:
            owner = f"earlier {number}"
            events.append(InstanceEvent(came_s, POD, owner, True))
            events.append(InstanceEvent(came_s + LIVED_S, POD, owner, False, lived_s=LIVED_S))
    log = InstanceLog(path)
    log.add(sorted(events, key=lambda one: one.time_s))
    log.close()
