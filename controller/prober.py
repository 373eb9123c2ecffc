"""What those who probe need of the fabric driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from controller.act.probes import Probe, ProbeAnswer


class Prober(Protocol):
    """Sends probes. Answers come to every callable in `on_probe`, as (switch that sent it, answer)."""

    on_probe: list[Callable[[str, ProbeAnswer], None]]

    async def probe(self, node: str, probe: Probe) -> None:
        """Send a probe, or with a group a train of them; raises NodeDown when it is not connected."""


class StatefulProber(Prober, Protocol):
    """And knows the state of its connections."""

    def status(self) -> Mapping[str, Any]:
        """Switch → its connection's state (`up`, `reconciled`)."""
