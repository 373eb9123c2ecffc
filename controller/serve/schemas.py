"""What the API's bodies look like: the shape of `Controller.state()`, decisions and requests.

These models document the API (OpenAPI); answers are made from the controller's own values.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """A request's body: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class FreezeRequest(Request):
    """Stop changing shares: of one router, or of all when `router` is absent."""

    router: str | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"router": "r1"}, {}]})


class WeightRequest(Request):
    """Set by hand how much of a router's new connections its shadows take; null gives it back."""

    shift_pct: int | None = Field(ge=0, le=100, description="percent of new connections")

    model_config = ConfigDict(json_schema_extra={"examples": [{"shift_pct": 30}]})


class OrderRequest(Request):
    """An order that needs no further words."""


class DryRunRequest(Request):
    """With dry run on, decisions are made and recorded but nothing is written."""

    on: bool


class Health(BaseModel):
    """Whether the daemon turns: `stalled` when its last cycle is more than five periods old."""

    status: Literal["ok", "starting", "degraded", "stalled"]
    version: str
    cycle: int
    nodes_up: int
    nodes: int


class Steering(BaseModel):
    """What persons have asked for."""

    frozen: bool
    frozen_routers: list[str]
    dry_run: bool


class CycleState(BaseModel):
    """The loop. `last_ms`: how long each part of the last turn took."""

    number: int
    period_s: float
    predictive: bool
    finished_s: float | None = Field(description="Unix time when the last turn ended")
    last_ms: dict[str, float]


class NodeState(BaseModel):
    """One switch, as the fabric driver sees it."""

    name: str
    stage: Literal["edge", "spine", "router"]
    site: str
    address: str
    up: bool
    since_s: float | None = Field(description="Unix time of the last change of `up`")
    reconciled: bool
    entries: int
    last_error: str | None


class QuantileState(BaseModel):
    """Connections expected at one horizon; keys are quantiles such as p05, p50, p95."""

    horizon_s: float
    quantiles: dict[str, float]


class ForecastState(BaseModel):
    """The last forecast of one router."""

    router: str
    model: str = Field(
        description="which model made it: boosted, or the simple one before history suffices"
    )
    made_s: float
    horizons: list[QuantileState]
    breach_probability: float
    lead_s: float | None = Field(
        description="seconds until the expected breach; null when none is expected"
    )
    alarm: bool | None = Field(
        description="whether the trained rule warns of it; null where the simple rule decides"
    )


class RouterState(BaseModel):
    """One service router. In breach: `available` (capacity - live) < `threshold_available`."""

    name: str
    up: bool
    live: int | None
    capacity: int
    available: int | None
    threshold_available: int
    breach: bool
    demand: float | None = Field(description="connections it would have without its shadows")
    new_per_s: float | None
    refused_per_s: float | None
    mean_duration_s: float | None
    shift_pct: float
    manual_pct: float | None
    frozen: bool
    shadows: list[str]
    split: dict[str, int] = Field(description="shadow: percent of new connections it takes now")
    ordered: dict[str, float] = Field(
        description="router: percent that resources or a comparison move there, before split"
    )
    anomaly_severity: float
    forecast: ForecastState | None
    health: Literal["alive", "suspect", "dead", "returning", "unknown"] = Field(
        description="of its data plane, by probes; unknown when failover is off"
    )
    drained: bool = Field(description="taken out of service by a person")
    stand_ins: list[str] = Field(description="shadows that have its connections now")
    move: MoveState | None


class MoveState(BaseModel):
    """How far a router is on its way out of or back into service."""

    step: str
    since_s: float
    error: str | None = Field(description="why it is being tried again")


class ReplicaState(BaseModel):
    """A primary's replicas on one shadow: how the last transfer of all of them went, or goes."""

    primary: str
    shadow: str
    status: Literal["waiting", "running", "synced", "failed"]
    reason: str
    time_s: float = Field(description="Unix time of the last change of `status`")
    done: int = Field(description="indices of the connection table walked in this pass")
    total: int
    passes: int
    sent: int = Field(description="records sent in the last pass")
    received: int
    error: str | None


class ShareState(BaseModel):
    """What part of an edge's new connections to a service goes to a router."""

    edge: str
    router: str
    pct: int


class ServiceState(BaseModel):
    """One service address and its shares now."""

    id: int
    name: str
    address: str
    protocol: str
    port: int
    shares: list[ShareState]


class StoreDelivery(BaseModel):
    """The way to the telemetry server. Samples: delivered and refused in this run, waiting for it, taken by it
    but not yet read back. The spool that they wait in, of its bound.
    """

    server: str | None = Field(description="what it is; null before it has answered")
    available: bool
    delivered: int
    rejected: int
    waiting: int
    unproven: int
    proofs: int
    replays: int
    spool_bytes: int
    spool_full_pct: float


class StoreState(BaseModel):
    """Rows of telemetry and lines of the audit log: made durable, waiting in memory, lost."""

    path: str
    written: int
    waiting: int
    discarded: int
    delivery: StoreDelivery | None = Field(default=None, description="null with the embedded store")
    audit_waiting: int
    audit_discarded: int


class ModelsSummary(BaseModel):
    """Which forecasting models are in use; "cold-start" is the one that needs no training."""

    serving: str
    challenger: str | None
    previous: str | None = Field(description="the champion before, still predicting in the dark")
    training: bool
    alarm: Literal["trained", "simple"] = Field(description="the rule in use")


class State(BaseModel):
    """Everything at one moment: what `Controller.state()` returns."""

    time_s: float
    cycle: CycleState
    frozen: bool = Field(description="all routers are frozen")
    dry_run: bool
    nodes: list[NodeState]
    routers: list[RouterState]
    replicas: list[ReplicaState]
    services: list[ServiceState]
    troubles: dict[str, str] = Field(description="what goes wrong now")
    trouble_counts: dict[str, int] = Field(description="how often each went wrong")
    store: StoreState
    models: ModelsSummary


class DecisionState(BaseModel):
    """One step: why, from what, what was written and what came of it."""

    id: str
    time_s: float
    kind: Literal[
        "shift", "restore", "hold", "manual", "freeze", "unfreeze",
        "failover", "failback", "drain", "undrain",
    ]  # fmt: skip
    router: str
    shift_before_pct: float
    shift_after_pct: float
    shadows: list[str]
    trigger: str
    reason: str
    inputs: dict[str, float | str | None]
    dry_run: bool
    written: list[str]
    failed: list[tuple[str, str]]
    decide_to_written_ms: float | None
