"""Writes what one part of the controller lays over the plan of every switch, and sees that it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from controller.model import NodePlan

COMPARE_S = 5.0  # for a switch that did not take a write: the others must not wait for it


class LayerDriver(Protocol):
    """What is needed of the fabric driver."""

    async def alter(self, change: Callable[[NodePlan], NodePlan]) -> Any: ...

    async def reconcile(self, node: str | None = None) -> Any: ...

    def status(self) -> Mapping[str, Any]: ...


class LayerWriter:
    """Call `write` one at a time. A switch that did not take a write is compared as a whole with the next one."""

    def __init__(self, driver: LayerDriver) -> None:
        self._driver = driver
        self._doubtful: set[str] = set()

    @property
    def doubtful(self) -> bool:
        """Whether some switch did not take what was written last."""
        return bool(self._doubtful)

    async def write(self, change: Callable[[NodePlan], NodePlan]) -> list[tuple[str, str]]:
        """Write the change to all switches; tells the switches that are up and did not take it, and why.

        One that is down gets it when it is back. Raises what `change` raises.
        """
        report = await self._driver.alter(change)
        statuses = self._driver.status()
        up = {name for name, status in statuses.items() if status.up}
        failed = [(name, why) for name, why in report.failed if name in up]
        for name in sorted(self._doubtful & up - {name for name, _ in failed}):
            failed += await self._compare(name)
        self._doubtful = {name for name, _ in failed}
        told = {name for name, _ in failed}
        # What a switch did not take is wanted of it all the same, and is written when it is compared again.
        failed += [
            (name, "it is to be compared first")
            for name in sorted(up - told)
            if not statuses[name].reconciled
        ]
        return failed

    async def _compare(self, name: str) -> list[tuple[str, str]]:
        try:
            async with asyncio.timeout(COMPARE_S):
                return list((await self._driver.reconcile(name)).failed)
        except TimeoutError:
            return [(name, f"it was not compared within {COMPARE_S:g} s")]
