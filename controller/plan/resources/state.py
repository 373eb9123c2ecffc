"""What one cycle of the shadow manager is decided from, what it remembers, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.model.resources import (
    NOTHING,
    Allocation,
    Amounts,
    Mode,
    Policy,
    ResourceForecast,
)
from controller.plan.resources.amounts import AllocationRequest
from controller.plan.resources.cost import Choice, Regret
from controller.plan.resources.give_back import Trust
from controller.plan.resources.queue import Queue, QueueSettings, WarmReport, WarmRequest
from controller.plan.resources.transition import Share, Transition


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device now. use: of the primary and all its shadows together. primary: what the primary may have.

    forecast: None: there is none (yet); use alone counts then. in_use: shadow → what is in use there.
    """

    device: str
    use: Amounts
    primary: Amounts
    forecast: ResourceForecast | None = None
    in_use: Mapping[str, Amounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManagerView:
    """All devices in one cycle. reports: what became of shadows that were being warmed, and which died."""

    devices: tuple[DeviceView, ...]
    policies: tuple[Policy, ...]
    reports: tuple[WarmReport, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """period_s: from cycle to cycle. queue: of pre-warming."""

    period_s: float = 5.0
    queue: QueueSettings = field(default_factory=QueueSettings)

    def __post_init__(self) -> None:
        if self.period_s <= 0:
            raise ValueError(f"period_s is {self.period_s}: longer than 0 wanted")


@dataclass(frozen=True, slots=True)
class DeviceState:
    """held: decided for all shadows together; in forecast-only mode nobody holds it, and it is followed all the same,
    so that the record says what would have been. placed: shadow → amounts. active: shadows have been given
    something under an active policy, which is to be taken back should it only forecast from now on.
    """

    held: Amounts = NOTHING
    placed: Mapping[str, Amounts] = field(default_factory=dict)
    active: bool = False
    trust: Trust = field(default_factory=Trust)
    share: Share = field(default_factory=Share)


@dataclass(frozen=True, slots=True)
class ManagerState:
    """Devices by name, and the queue."""

    cycle: int = 0
    devices: Mapping[str, DeviceState] = field(default_factory=dict)
    queue: Queue = ()


@dataclass(frozen=True, slots=True)
class DeviceDecision:
    """The audit record of one device in one cycle: inputs, options, choice, and the regret of the choice before.

    predicted: utilisation at each resource's critical ratio. requests: of the pseudo-code. wanted: after cost and
    benefit. amounts: after bounds, give-back and budget. saving: expected, per cycle, against holding nothing.
    regret: of what was held since the last cycle; None in the first one.
    """

    device: str
    policy: str
    mode: Mode
    by: tuple[str, ...]
    use: Amounts
    predicted: Amounts
    requests: tuple[AllocationRequest, ...]
    choices: tuple[Choice, ...]
    wanted: Amounts
    amounts: Amounts
    placed: Mapping[str, Amounts]
    unplaced: Amounts
    doubted: tuple[bool, bool, bool]
    reasons: tuple[str, ...]
    saving: float
    regret: Regret | None
    transition: Transition


@dataclass(frozen=True, slots=True)
class ManagerPlan:
    """What shall be done. In forecast-only mode a device is only in `decisions`, once what it held under an active
    policy is idle again. A device without a policy is nowhere: its shadows are to be idle.

    allocations: for every shadow, changed or not (whoever acts writes the difference). warm: shadows to begin warming
    now. shares_pct: primary → share of its new traffic for its shadows. over_budget: policy → by how much per hour what
    must be held exceeds its cap.
    """

    decisions: tuple[DeviceDecision, ...]
    allocations: tuple[Allocation, ...]
    warm: tuple[WarmRequest, ...]
    shares_pct: Mapping[str, int]
    over_budget: Mapping[str, float]
