"""What the API says about devices' resources and about comparisons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from controller.serve.schemas import Request


class AmountsState(BaseModel):
    """Cores, bytes, bits per second; null: no limit."""

    cpu_cores: float | None
    memory_bytes: float | None
    network_bps: float | None


class ShadowState(BaseModel):
    """One shadow of a device."""

    name: str = Field(description="of its size in the policy")
    switch: str
    state: Literal["idle", "queued", "warming", "ready"]
    amounts: AmountsState | None = Field(description="as set last; null: nothing was set yet")
    use: AmountsState | None
    share_pct: float = Field(description="of its primary's new connections")
    trouble: str | None


class DeviceState(BaseModel):
    """One device with its shadows. `predicted`: amounts, at the quantile that the prices ask for."""

    name: str
    policy: str | None
    mode: Literal["forecast-only", "active"] | None
    capacity: AmountsState
    use: AmountsState | None
    limited: float | None = Field(description="share of time in which its own CPU limit held it")
    predicted: AmountsState | None
    model: str | None = Field(description="who made the forecast; null: there is none")
    utilisation: float | None = Field(description="of its capacity, worst resource, 1 = full")
    predicted_utilisation: float | None
    share_pct: float
    reason: str | None = Field(description="why this share of new connections moves")
    reasons: list[str] = Field(description="what had a say in the amounts")
    shadows: list[ShadowState]


class WarmState(BaseModel):
    """One request of the pre-warming queue."""

    device: str
    shadow: str
    state: Literal["queued", "warming", "ready"]
    amounts: AmountsState
    needed_s: float
    worth: float
    failures: int
    trouble: str | None


class ResourcesState(BaseModel):
    """Everything about devices' resources at one moment."""

    turns: int
    turn_ms: float
    decide_ms: float
    dry_run: bool
    devices: list[DeviceState]
    queue: list[WarmState] = Field(description="the earliest needed first")
    over_budget: dict[str, float] = Field(description="policy: by how much per hour")


class ResourceDecision(BaseModel):
    """One device in one cycle."""

    id: str
    time_s: float
    device: str
    policy: str
    mode: Literal["forecast-only", "active"]
    by: list[str] = Field(description="schedules and exceptions that had a say")
    amounts: AmountsState = Field(description="of all its shadows together")
    placed: dict[str, AmountsState]
    unplaced: AmountsState
    share_pct: int
    share_reason: str
    reasons: list[str]
    saving: float = Field(description="expected in this cycle, against holding nothing")
    dry_run: bool
    inputs: dict[str, Any]
    regret: float | None = Field(description="of the decision before, now that its demand is known")


class StartRequest(Request):
    """Compare `variant` with `primary`. Rules that are absent are those of the section `ab`."""

    primary: str
    variant: str
    shares_pct: list[Annotated[int, Field(ge=1, le=99)]] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="of new connections, one after the other: whole percents, as traffic goes by slots",
    )
    better_on: Literal["latency", "loss", "refusals"] | None = None
    longest_s: float | None = Field(default=None, gt=0)


class StopRequest(Request):
    """End the comparison with this primary."""

    primary: str


class ComparisonState(BaseModel):
    """One comparison. metrics: name → both arms, effect, interval at all times, margin, verdict, test."""

    primary: str
    variant: str
    state: Literal["running", "fit", "rolled back", "undecided"]
    reason: str
    began_s: float
    decided_s: float | None
    share_pct: float = Field(description="of the primary's new connections, in whole slots")
    blocks: int
    connections: dict[str, int]
    alpha: float
    alpha_rollback: float
    autocorrelation: float
    metrics: dict[str, dict[str, Any]]


class ComparisonsState(BaseModel):
    """Those that have a share, and those that ended, newest first."""

    running: list[ComparisonState]
    ended: list[ComparisonState]
