"""What the demo's failure act leaves behind: a router was killed under connections that talked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from topologies.load.exchanges import Exchange, Life
from topologies.load.interruption import Interruption

BEFORE_S = 1.0  # shown before the kill
AFTER_S = 3.5  # looked at afterwards


@dataclass(frozen=True, slots=True)
class Failure:
    """One kill. `answers_s` and `ends_s`: when the connections that lived then were answered and when
    they broke, in seconds from the kill.
    """

    replication: bool
    router: str
    shadows: tuple[str, ...]
    found: Interruption
    detect_ms: float | None
    answers_s: tuple[float, ...]
    ends_s: tuple[float, ...]

    @property
    def survived(self) -> int:
        """Connections that went on."""
        return self.found.connections - self.found.broken_total

    def to_json(self) -> dict[str, Any]:
        """The key "failure" of a run in the demo's JSON report."""
        connections = self.found.connections
        broken = self.found.broken_total
        detect_ms = self.detect_ms
        return {
            "replication": self.replication,
            "router": self.router,
            "shadows": list(self.shadows),
            "connections": connections,
            "survived": self.survived,
            "broken": broken,
            "broken_per_1000": round(1000.0 * broken / connections, 3) if connections else None,
            "recovery_ms": round(self.found.recovery_ms, 1) if self.survived else None,
            "detect_ms": None if detect_ms is None else round(detect_ms, 1),
        }


def failure(
    found: Interruption,
    exchanges: Iterable[Exchange],
    lives: Mapping[int, Life],
    at_s: float,
    *,
    replication: bool,
    router: str,
    shadows: tuple[str, ...],
    detect_ms: float | None,
) -> Failure:
    """What is kept for report and plot of a kill at `at_s`, and of the records of the talk around it."""
    alive = {number: life for number, life in lives.items() if life.alive_at(at_s)}
    ends_s = [
        life.ended_s - at_s
        for life in alive.values()
        if life.broken and life.ended_s is not None and life.ended_s - at_s <= AFTER_S
    ]
    return Failure(
        replication,
        router,
        shadows,
        found,
        detect_ms,
        tuple(one.answered_s - at_s for one in exchanges if one.connection in alive),
        tuple(sorted(ends_s)),
    )
