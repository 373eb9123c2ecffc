"""The events that umbra publishes to Ryu applications (os-ken).

A user's application handles them as any Ryu event:

    from os_ken.base import app_manager
    from os_ken.controller.handler import set_ev_cls
    from controller import ryu_events

    class Pager(app_manager.OSKenApp):
        @set_ev_cls(ryu_events.EventShift)
        def on_shift(self, ev):
            self.logger.info("%s: %s", ev.decision.router, ev.decision.reason)

and runs beside umbra: umbra ryu --config umbra.yaml pager.py
"""

from __future__ import annotations

from collections.abc import Mapping

from os_ken.controller import event

from controller.events import (
    ForecastMade,
    NodeFailed,
    NodeRecovered,
    ReplicasSynced,
    ShiftDecided,
)
from controller.model import Decision, Outcome
from ml.breaches.breach import Breach
from ml.forecasting.forecast import Forecast


class EventForecast(event.EventBase):  # type: ignore[misc]
    """The forecasts of one cycle: router → forecast, and router → the breach that it implies."""

    def __init__(self, made: ForecastMade) -> None:
        super().__init__()
        self.time_s = made.time_s
        self.forecasts: Mapping[str, Forecast] = made.forecasts
        self.breaches: Mapping[str, Breach] = made.breaches


class EventShift(event.EventBase):  # type: ignore[misc]
    """A decision, and what came of it. Its kind says whether it shifts, restores, holds, …; `failover`
    and `failback` are about routers that died and are back, `drain` and `undrain` about a person's orders.
    """

    def __init__(self, shift: ShiftDecided) -> None:
        super().__init__()
        self.decision: Decision = shift.decision
        self.outcome: Outcome = shift.outcome


class EventNodeFailed(event.EventBase):  # type: ignore[misc]
    """The connection to a switch was lost. `error`: what the last attempt said, if anything."""

    def __init__(self, failure: NodeFailed) -> None:
        super().__init__()
        self.node = failure.node
        self.time_s = failure.time_s
        self.error = failure.error


class EventNodeRecovered(event.EventBase):  # type: ignore[misc]
    """A switch is connected and reconciled (again)."""

    def __init__(self, recovery: NodeRecovered) -> None:
        super().__init__()
        self.node = recovery.node
        self.time_s = recovery.time_s


class EventReplicasSynced(event.EventBase):  # type: ignore[misc]
    """A shadow has all connections of a primary (`connections` of them)."""

    def __init__(self, synced: ReplicasSynced) -> None:
        super().__init__()
        self.primary = synced.primary
        self.shadow = synced.shadow
        self.time_s = synced.time_s
        self.reason = synced.reason
        self.connections = synced.connections
        self.passes = synced.passes


ALL = (EventForecast, EventShift, EventNodeFailed, EventNodeRecovered, EventReplicasSynced)


def event_of(news: object) -> event.EventBase | None:
    """The Ryu event for what the controller published; None for what Ryu is not told."""
    match news:
        case ForecastMade():
            return EventForecast(news)
        case ShiftDecided():
            return EventShift(news)
        case NodeFailed():
            return EventNodeFailed(news)
        case NodeRecovered():
            return EventNodeRecovered(news)
        case ReplicasSynced():
            return EventReplicasSynced(news)
    return None
