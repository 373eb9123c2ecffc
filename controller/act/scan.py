"""Keeps the connection tables free of idle entries: one switch after the other, a piece at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from controller.act.fabric import SCAN_PIECE, NodeStatus
from controller.act.node import NodeDown, ScanResult, describe
from controller.model import Stage, Switch

LOG = logging.getLogger(__name__)


class Scanned(Protocol):
    """What can be scanned: the FabricDriver."""

    def status(self) -> Mapping[str, NodeStatus]: ...

    async def scan(self, node: str, *, pause_s: float = 0.0) -> ScanResult: ...


async def keep_scanning(
    driver: Scanned, switches: Sequence[Switch], period_s: float, found: dict[str, ScanResult]
) -> None:
    """Scan every edge and router once per `period_s`, evenly spread; `found` gets each one's last result.

    Runs until cancelled. A switch that is down or does not answer is left out until the next round.
    """
    bound = [switch for switch in switches if switch.stage is not Stage.SPINE]
    if not bound:
        return
    share_s = period_s / len(bound)
    while True:
        for switch in bound:
            started_s = time.monotonic()
            status = driver.status()[switch.name]
            if status.up and status.reconciled:
                pieces = -(-switch.table_size // SCAN_PIECE)
                try:
                    result = await driver.scan(switch.name, pause_s=0.8 * share_s / pieces)
                    found[switch.name] = result
                except (NodeDown, TimeoutError, OSError) as error:
                    LOG.warning(
                        "%s: connection table not scanned: %s", switch.name, describe(error)
                    )
            await asyncio.sleep(max(0.01, share_s - (time.monotonic() - started_s)))
