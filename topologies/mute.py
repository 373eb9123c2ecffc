"""A fabric whose routers tell their shadows nothing: what failover is worth without replication."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.act.fabric import FabricDriver
from controller.act.packets import Scan, ScanMode, ScanResult
from controller.model import FabricPlan

TELLING = (ScanMode.FULL, ScanMode.GIVE)


class MuteDriver(FabricDriver):
    """As its base, but no switch sends replica records, neither by itself nor in a scan."""

    def want(self, plan: FabricPlan) -> None:
        """Set the desired state, less replication."""
        super().want(FabricPlan(tuple(replace(node, replicate=False) for node in plan.nodes)))

    async def walk(self, node: str, scan: Scan, **how: Any) -> ScanResult:
        """Scans that would send records to other switches send nothing."""
        if scan.mode in TELLING:
            return ScanResult(0, 0, 0)
        return await super().walk(node, scan, **how)
