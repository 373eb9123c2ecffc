"""A real switch that holds the plan of one node of the small fabric."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from controller.act.node import NodeLink
from controller.act.packets import ScanResult
from controller.act.probes import ProbeAnswer
from controller.act.program import default_files
from controller.model import Idle, NodeCounters, NodePlan, SlotSet
from controller.observe.counters import counters, requests
from harness.small import PATIENT, at, small_fabric, small_plan
from topologies.single import SingleSwitch

FILES = default_files()
PORTS = 4

T = TypeVar("T")


class Programmed:
    """`device` carries packets; the rest is what a controller does to it."""

    def __init__(
        self, device: SingleSwitch, plan: NodePlan, do: Callable[[Coroutine[Any, Any, T]], T]
    ):
        self.device = device
        self.plan = plan
        self._do: Callable[[Coroutine[Any, Any, Any]], Any] = do
        self.digests: list[Any] = []
        self.probes: list[ProbeAnswer] = []
        self.link: NodeLink = NodeLink(
            at(small_fabric(), plan.node, device.address, device.device_id),
            FILES,
            on_connected=self._connected,
            on_down=lambda _: None,
            on_digest=lambda _, entry: self.digests.append(entry),
            on_probe=lambda _, answer: self.probes.append(answer),
        )

    async def _connected(self, link: NodeLink) -> None:
        await link.reconcile(self.plan)

    async def ready(self) -> None:
        """Wait until the switch holds its plan."""
        async with asyncio.timeout(15):
            while not self.link.reconciled:
                await asyncio.sleep(0.01)

    def weights(self, *sets: SlotSet) -> None:
        """Change slot sets."""
        self._do(self.link.write_slot_sets(sets))

    def replan(self, plan: NodePlan) -> int:
        """Want something else; returns how many updates that took."""
        self.plan = plan
        return int(self._do(self.link.reconcile(plan)))

    def scan(self) -> ScanResult:
        """Scan the whole connection table."""
        result: ScanResult = self._do(self.link.scan(0, self.link.switch.table_size))
        return result

    def counters(self) -> NodeCounters:
        """Read the counters."""
        answer = self._do(self.link.read(requests(small_fabric(), self.plan)))
        return counters(self.plan.node, 0.0, self.plan, answer)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the event loop that the connection to the switch lives on."""
        result: T = self._do(work)
        return result

    def wait(self, condition: Callable[[], bool], timeout_s: float = 3.0) -> bool:
        """Let the event loop run until the condition holds; False when the time is over."""

        async def poll() -> bool:
            for _ in range(int(timeout_s / 0.02)):
                if condition():
                    return True
                await asyncio.sleep(0.02)
            return condition()

        return bool(self._do(poll()))


@contextmanager
def programmed(
    kind: str, node: str, run_dir: Path, *, idle: Idle = PATIENT
) -> Iterator[Programmed]:
    """Start a switch of this kind and make it that node."""
    loop = asyncio.new_event_loop()
    with SingleSwitch(kind, PORTS, run_dir) as device:
        node_under_test = Programmed(device, small_plan(node, idle), loop.run_until_complete)
        task = loop.create_task(node_under_test.link.run())
        try:
            loop.run_until_complete(node_under_test.ready())
            yield node_under_test
        finally:
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            loop.close()


Make = Callable[..., AbstractContextManager[Programmed]]
