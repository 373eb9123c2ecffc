"""What the controller tells others in the same process: forecasts, shifts, failures, recoveries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.model import Decision, Outcome
from ml.breaches.breach import Breach
from ml.forecasting.forecast import Forecast
from ml.life.version import plain

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForecastMade:
    """The forecasts of one cycle: router → forecast, and the breach it implies."""

    time_s: float
    forecasts: Mapping[str, Forecast]
    breaches: Mapping[str, Breach]


@dataclass(frozen=True, slots=True)
class ShiftDecided:
    """A decision and what was written. A dry run writes nothing."""

    decision: Decision
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """The connection to a switch was lost."""

    node: str
    time_s: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NodeRecovered:
    """A switch is connected and reconciled (again)."""

    node: str
    time_s: float


@dataclass(frozen=True, slots=True)
class ReplicasSynced:
    """A shadow has all connections of a primary: so many, in so many passes over its table."""

    primary: str
    shadow: str
    time_s: float
    reason: str
    connections: int
    passes: int


@dataclass(frozen=True, slots=True)
class ModelDecided:
    """What was decided about a forecasting model, and why: trained, promoted, rolled back, …"""

    time_s: float
    metric: str
    version: str
    what: str
    reason: str
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "time_s": self.time_s,
            "metric": self.metric,
            "version": self.version,
            "what": self.what,
            "reason": self.reason,
            "figures": plain(self.figures),
        }


Event = ForecastMade | ShiftDecided | NodeFailed | NodeRecovered | ReplicasSynced | ModelDecided
Listener = Callable[[Event], None]


@dataclass(slots=True)
class Publisher:
    """Calls every listener with every event, in order of subscription, in the controller's loop.

    A listener that fails is logged and counted, and never disturbs the others or the loop.
    """

    failures: int = 0
    _listeners: list[Listener] = field(default_factory=list)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` from now on; returns a function that ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                self.failures += 1
                LOG.exception("a listener failed on %s", type(event).__name__)
