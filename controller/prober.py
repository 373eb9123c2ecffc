"""What those who probe need of the fabric driver, and what its answers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from controller.act.probes import ProbeAnswer

CLOCK_US = 1 << 48  # a switch stamps with 48 bits


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


class StatefulProber(Prober, Protocol):
    """And knows the state of its connections."""

    def status(self) -> Mapping[str, Any]:
        """Switch → its connection's state (`up`, `reconciled`)."""


def round_trip_ms(answer: ProbeAnswer) -> float:
    """How long a probe was under way; the clock may have wrapped meanwhile."""
    return answer.round_trip_us % CLOCK_US / 1000.0
