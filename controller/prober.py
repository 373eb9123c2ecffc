"""What those who probe need of the fabric driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from controller.act.probes import ProbeAnswer


class Prober(Protocol):
    """Sends probes. Answers come to every callable in `on_probe`, as (switch that sent it, answer)."""

    on_probe: list[Callable[[str, ProbeAnswer], None]]

    async def probe(
        self,
        node: str,
        target_label: int,
        *,
        id: int,
        source_port: int,
        size: int = 0,
        flags: int = 0,
        group: int = 0,
    ) -> None:
        """Send a probe, or with a group a burst of them; raises NodeDown when it is not connected."""
