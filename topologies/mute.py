"""A fabric whose routers tell their shadows nothing: what failover is worth without replication."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from controller.act.fabric import FabricDriver
from controller.act.packets import ScanMode, ScanResult
from controller.model import FabricPlan

TELLING = (ScanMode.FULL, ScanMode.GIVE)


class MuteDriver(FabricDriver):
    """As its base, but no switch sends replica records, neither by itself nor in a scan."""

    def want(self, plan: FabricPlan) -> None:
        """Set the desired state, less replication."""
        super().want(FabricPlan(tuple(replace(node, replicate=False) for node in plan.nodes)))

    async def walk(
        self,
        node: str,
        *,
        mode: ScanMode,
        session: int = 0,
        origins: int = 0,
        generation: int = 0,
        pause_s: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> ScanResult:
        """Scans that would send records to other switches send nothing."""
        if mode in TELLING:
            return ScanResult(0, 0, 0)
        return await super().walk(
            node,
            mode=mode,
            session=session,
            origins=origins,
            generation=generation,
            pause_s=pause_s,
            progress=progress,
        )
