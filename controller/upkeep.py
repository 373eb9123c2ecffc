"""What goes on beside the cycle: tasks that end only with the controller, and are begun again when
they fail; among them the expiry of idle connections and the retries of reconciliation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from controller.model import Fabric, Stage
from controller.trouble import Troubles

SCAN_PAUSE_S = 0.01  # between the pieces of a scan
AGAIN_S = 5.0
Work = Callable[[], Coroutine[Any, Any, None]]


class Driver(Protocol):
    """What is needed of the fabric driver."""

    async def scan(self, node: str, *, pause_s: float = 0.0) -> Any: ...

    async def reconcile(self, node: str | None = None) -> Any: ...

    def status(self) -> Mapping[str, Any]: ...


class Upkeep:
    """Owns the controller's background tasks."""

    def __init__(self, fabric: Fabric, driver: Driver, troubles: Troubles) -> None:
        self._fabric = fabric
        self._driver = driver
        self._troubles = troubles
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, work: Work) -> None:
        """Run it, and again when it fails, until `close`."""
        task = asyncio.create_task(self._guard(name, work), name=f"umbra-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guard(self, name: str, work: Work) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                self._troubles.fail(name, error)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def expire(self, period_s: float) -> None:
        """Expire idle connections on every switch that binds some, one switch after the other."""
        names = [s.name for s in self._fabric.switches if s.stage is not Stage.SPINE]
        while True:
            await asyncio.sleep(period_s)
            for name in names:
                if not self._driver.status()[name].up:
                    continue
                with self._troubles.within(f"scan {name}"):
                    await self._driver.scan(name, pause_s=SCAN_PAUSE_S)

    async def reconcile(self, done: Callable[[str], None]) -> None:
        """Try again where a connected switch could not be brought to the plan; `done` is told."""
        while True:
            await asyncio.sleep(AGAIN_S)
            for name, status in self._driver.status().items():
                if not status.up or status.reconciled:
                    continue
                report = await self._driver.reconcile(name)
                if report.failed:
                    self._troubles.begin(f"reconcile {name}", report.failed[0][1])
                else:
                    done(name)
