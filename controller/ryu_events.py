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

from os_ken.controller import event

from controller.events import ForecastMade, NodeFailed, NodeRecovered, ShiftDecided
from controller.model import Decision, Outcome


class EventForecast(event.EventBase):  # type: ignore[misc]
    """A forecast was made. `forecast` is what the controller published."""

    def __init__(self, forecast: ForecastMade) -> None:
        super().__init__()
        self.forecast = forecast


class EventShift(event.EventBase):  # type: ignore[misc]
    """A router's share changed or was held: the decision, and what came of writing it."""

    def __init__(self, shift: ShiftDecided) -> None:
        super().__init__()
        self.decision: Decision = shift.decision
        self.outcome: Outcome = shift.outcome


class EventNodeFailed(event.EventBase):  # type: ignore[misc]
    """A switch was lost. `node` is its name."""

    def __init__(self, failure: NodeFailed) -> None:
        super().__init__()
        self.failure = failure
        self.node: str = failure.node


class EventNodeRecovered(event.EventBase):  # type: ignore[misc]
    """A lost switch is back. `node` is its name."""

    def __init__(self, recovery: NodeRecovered) -> None:
        super().__init__()
        self.recovery = recovery
        self.node: str = recovery.node


ALL = (EventForecast, EventShift, EventNodeFailed, EventNodeRecovered)


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
    return None
