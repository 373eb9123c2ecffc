"""Decisions about resources for the audit log: each that differs from the one before, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controller.audit.canonical import plain
from controller.model.resources import NOTHING, Amounts
from controller.plan.resources import DeviceDecision
from controller.resources import told

# After which a decision that stands is told again: its inputs are others by then.
AGAIN_CYCLES = 120
Line = tuple[str, dict[str, Any]]  # subject and what is said of it


@dataclass(slots=True)
class _Standing:
    """A decision that was told, and what came of it since."""

    id: str
    decided: tuple[Any, ...]
    cycles: int = 0
    cost: float = 0.0
    best_cost: float = 0.0
    unmet: Amounts = NOTHING
    use: Amounts = NOTHING

    def count(self, one: DeviceDecision) -> None:
        """A cycle in which it stood is over: `one` is the decision at its end."""
        if one.regret is None:
            return
        self.cycles += 1
        self.cost += one.regret.cost
        self.best_cost += one.regret.best
        self.unmet = self.unmet.at_least(one.regret.unmet)
        self.use = self.use.at_least(one.use)

    def result(self) -> Line:
        """Costs over all its cycles; the largest use, and the most that was not met."""
        return (
            "result",
            {
                "of": self.id,
                "cycles": self.cycles,
                "regret": self.cost - self.best_cost,
                "cost": self.cost,
                "best_cost": self.best_cost,
                "unmet": plain(self.unmet),
                "use": plain(self.use),
            },
        )


class AuditLines:
    """Remembers what was told last of each device. Call it from one thread at a time."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}

    def of(self, decisions: Sequence[DeviceDecision], now_s: float, *, dry: bool) -> list[Line]:
        """The lines of one cycle."""
        found: list[Line] = []
        before, self._standing = self._standing, {}
        for one in decisions:
            standing, decided = before.get(one.device), _decided(one, dry=dry)
            if standing is not None:
                standing.count(one)
                if standing.decided == decided and standing.cycles < AGAIN_CYCLES:
                    self._standing[one.device] = standing
                    continue
                if standing.cycles:
                    found.append(standing.result())
            number = told.number(now_s, one.device)
            found.append(("allocation", {"id": number, **told.details(one, dry=dry)}))
            self._standing[one.device] = _Standing(number, decided)
        return found


def _decided(one: DeviceDecision, *, dry: bool) -> tuple[Any, ...]:
    """What was decided, without what it was decided from: that differs in every cycle."""
    share_pct = one.transition.share.share_pct
    whose = (one.policy, one.mode, one.by, one.reasons, dry)
    return *whose, one.amounts, one.placed, one.unplaced, share_pct
