"""A whole fabric under load, programmed once and without a controller: for what the data plane must do by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import yaml

from controller.act.fabric import FabricDriver
from controller.act.program import default_files
from controller.config import load
from controller.model import Fabric, Idle, SlotSet
from controller.plan.fabric import fabric_plan, slot_set_id
from controller.plan.slots import slots
from topologies.clos import ClosSpec, ServiceSpec
from topologies.load.analysis import Traffic
from topologies.load.run import LoadRun
from topologies.load.schedule import Planned
from topologies.net import Network

READY_S = 30.0
SMALLEST = ClosSpec(
    edges=1,
    spines=1,
    routers=2,
    backends=1,
    clients=1,
    capacity=100,
    threshold=10,
    services=(ServiceSpec("web", routers=("r1",)),),
)


class Whole(AbstractAsyncContextManager["Whole"]):
    """The running fabric; `fabric` in the controller's words, `driver` to change what it does."""

    def __init__(self, config: Mapping[str, Any], kind: str, directory: Path) -> None:
        self.config = config
        self.directory = directory
        path = directory / "fabric.yaml"
        path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        self.fabric: Fabric = load(path).fabric()
        self.network = Network(config, kind, directory)
        self.driver = FabricDriver(self.fabric, default_files())
        self._in_force: dict[tuple[str, int], tuple[int, ...]] = {}

    async def __aenter__(self) -> Whole:
        self.network.start()
        try:
            plan = fabric_plan(self.fabric, idle=Idle())
            self.driver.want(plan)
            for node in plan.nodes:
                self._in_force |= {(node.node, one.id): one.slots for one in node.slot_sets}
            await self.driver.start()
            await self.until(lambda: all(s.reconciled for s in self.driver.status().values()))
        except BaseException:
            await self.driver.stop()
            self.network.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.driver.stop()
        self.network.stop()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; TimeoutError when it does not come."""
        async with asyncio.timeout(READY_S):
            while not condition():
                await asyncio.sleep(0.02)

    async def share(self, service_id: int, shares: Mapping[str, float]) -> None:
        """Give routers (by name) these percentages of a service's new connections, on all edges."""
        service = next(service for service in self.fabric.services if service.id == service_id)
        labels = {self.fabric.switch(name).label: pct for name, pct in shares.items()}
        sets: dict[str, list[SlotSet]] = {}
        for edge in (switch for switch in self.fabric.switches if switch.stage == "edge"):
            key = (edge.name, slot_set_id(service))
            self._in_force[key] = slots(self._in_force[key], labels)
            sets[edge.name] = [SlotSet(key[1], self._in_force[key])]
        report = await self.driver.write_slot_sets(sets)
        assert not report.failed, report.failed

    async def carry(
        self,
        connections: Sequence[Planned],
        *,
        at: Mapping[float, tuple[int, Mapping[str, float]]] | None = None,
        interval_s: float = 1.0,
    ) -> Traffic:
        """Make these connections; `at` changes shares at given times (service, shares by router)."""
        run = LoadRun(
            self.network, self.config, connections, self.directory / "load", interval_s=interval_s
        )
        run.start()
        changes = sorted((at or {}).items())
        while not run.done():
            run.poll(0.0)
            assert not self.network.dead(), self.network.dead()
            while changes and run.time_s >= changes[0][0]:
                _, (service_id, shares) = changes.pop(0)
                await self.share(service_id, shares)
            await asyncio.sleep(0.05)
        return run.finish()
