"""The words of umbra as frozen values: no I/O, no behaviour beyond what follows from the value itself."""

from controller.model.decision import Decision, Kind, Outcome
from controller.model.fabric import (
    Backend,
    Client,
    Fabric,
    Link,
    Port,
    Service,
    Stage,
    Switch,
    Tls,
)
from controller.model.observation import (
    NodeCounters,
    RouterSample,
    SampledConnection,
    ServiceCounters,
)
from controller.model.plan import (
    SLOTS,
    ArpRow,
    DeliverRow,
    FabricPlan,
    Idle,
    LabelRow,
    NodePlan,
    ServiceRow,
    SlotSet,
    TargetRow,
    TunnelRow,
)

__all__ = [
    "SLOTS",
    "ArpRow",
    "Backend",
    "Client",
    "Decision",
    "DeliverRow",
    "Fabric",
    "FabricPlan",
    "Idle",
    "Kind",
    "LabelRow",
    "Link",
    "NodeCounters",
    "NodePlan",
    "Outcome",
    "Port",
    "RouterSample",
    "SampledConnection",
    "Service",
    "ServiceCounters",
    "ServiceRow",
    "SlotSet",
    "Stage",
    "Switch",
    "TargetRow",
    "Tls",
    "TunnelRow",
]
