"""What the controller tells others in the same process: forecasts, shifts, failures, recoveries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.model import Decision, Outcome
from ml.breach import Breach
from ml.forecast import Forecast

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


Event = ForecastMade | ShiftDecided | NodeFailed | NodeRecovered | ReplicasSynced
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
