"""A whole fabric of real switches and hosts, with a FabricDriver that writes to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from controller.act.fabric import FabricDriver
from controller.act.program import default_files
from controller.config import parse
from controller.model import Fabric, Idle, SlotSet
from controller.plan.fabric import fabric_plan, slot_set_id
from controller.plan.slots import slots
from topologies.clos import ClosSpec, ServiceSpec, configuration
from topologies.net import Network

T = TypeVar("T")

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


@dataclass
class Running:
    """A fabric that forwards. `do` runs something in the driver's event loop and waits for it."""

    config: dict[str, Any]
    fabric: Fabric
    network: Network
    driver: FabricDriver
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[Any, Any, T], timeout_s: float = 30.0) -> T:
        """Run a coroutine of the driver."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def weights(self, service_name: str, shares: Mapping[str, float]) -> None:
        """Set the shares (router → percent) of a service's new connections on all edges."""
        service = next(s for s in self.fabric.services if s.name == service_name)
        number = slot_set_id(service)
        labels = {self.fabric.switch(name).label: share for name, share in shares.items()}
        in_force = self.do(self.driver.slots_in_force())
        sets = {
            edge: [SlotSet(number, slots(found, labels))]
            for (edge, found_number), found in in_force.items()
            if found_number == number and edge.startswith("e")
        }
        report = self.do(self.driver.write_slot_sets(sets))
        assert not report.failed, report.failed


@contextmanager
def running(kind: str, spec: ClosSpec, run_dir: Path) -> Iterator[Running]:
    """Build the fabric on this kind of switch and program it; everything is gone afterwards."""
    config = configuration(spec)
    fabric = parse(yaml.safe_dump(config)).fabric()
    files = default_files()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    with Network(config, kind, run_dir) as network:
        thread.start()

        async def make() -> FabricDriver:
            driver = FabricDriver(fabric, p4info_path=files.p4info, json_path=files.json)
            driver.want(fabric_plan(fabric, idle=Idle(), sample_one_in=64))
            await driver.start()
            return driver

        driver = asyncio.run_coroutine_threadsafe(make(), loop).result(20)
        up = Running(config, fabric, network, driver, loop)
        try:
            wait_reconciled(up)
            yield up
        finally:
            up.do(driver.stop())
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)
            loop.close()


def wait_reconciled(up: Running, timeout_s: float = 30.0) -> None:
    """Wait until every switch holds its plan."""

    async def all_hold() -> None:
        async with asyncio.timeout(timeout_s):
            while not all(s.up and s.reconciled for s in up.driver.status().values()):
                await asyncio.sleep(0.05)

    up.do(all_hold(), timeout_s + 5)
