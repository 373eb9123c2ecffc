"""The Shadow Manager: resources of devices' shadows follow the forecast (seed 10069757). Pure, deterministic.

`update_shadow_resources` is one cycle for all devices: forecasts → amounts (`amounts`, `cost`, `give_back`), within
policies (`rules`, `budget`), over shadows of several sizes (`sizes`), warmed in order (`queue`), with traffic moved
in time (`transition`). `replay` decides a recorded day again.
"""

from __future__ import annotations

from controller.plan.resources.manager import update_shadow_resources
from controller.plan.resources.queue import QueueSettings, Warming, WarmReport, WarmRequest
from controller.plan.resources.state import (
    DeviceDecision,
    DeviceState,
    DeviceView,
    ManagerPlan,
    ManagerSettings,
    ManagerState,
    ManagerView,
)

__all__ = [
    "DeviceDecision",
    "DeviceState",
    "DeviceView",
    "ManagerPlan",
    "ManagerSettings",
    "ManagerState",
    "ManagerView",
    "QueueSettings",
    "WarmReport",
    "WarmRequest",
    "Warming",
    "update_shadow_resources",
]
