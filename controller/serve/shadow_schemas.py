"""What the answers about shadows look like: the shape of `Controller.shadows()` and `why_shadows`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ShadowState(BaseModel):
    """One shadow of a router."""

    name: str
    domain: str = Field(description="its failure domain")
    round_trip_ms: float | None
    measured: bool = Field(description="by probes; false: after the configured delays")


class AssignmentState(BaseModel):
    """A router and its shadows. Packet rates are of service packets."""

    router: str
    domain: str
    shadows: list[ShadowState]
    primaries: list[str] = Field(description="routers whose shadow it is itself")
    packets_per_s: float | None
    packets_per_connection_s: float | None
    carries_pps: float | None = Field(
        description="packets per second that it can carry by synthetic load; null: no bound is known"
    )


class LoadStepState(BaseModel):
    """One rate of a test. `sign`: what was wrong; empty when nothing was."""

    offered_pps: float
    sent: int
    received: int
    lost_pct: float
    mean_ms: float | None
    max_ms: float | None
    sign: str


class LoadTestState(BaseModel):
    """The last test with synthetic load. `stopped`: why it ended before its target; empty if not."""

    edge: str
    time_s: float
    age_s: float
    target_pps: float
    own_pps: float = Field(description="what the shadow did for connections meanwhile")
    clean_pps: float
    mean_bytes: float
    stopped: str
    steps: list[LoadStepState]


class CandidateState(BaseModel):
    """One candidate, and why it is a shadow or is none."""

    name: str
    state: Literal[
        "shadow",
        "candidate",
        "full",
        "failed",
        "unusable",
        "claimed",
        "out_of_reach",
        "not_named",
    ]
    domain: str
    capacity: float
    available: float | None = Field(description="connections that it can still take")
    primaries: int = Field(description="other routers that count on it")
    round_trip_ms: float | None
    measured: bool
    spread_ms: float | None = Field(description="between the quartiles of the latest round trips")
    cost_ms: float | None = Field(description="round trip, weighed with how much it is counted on")
    why: str
    carries_pps: float | None
    load_test: LoadTestState | None
    load_test_trouble: str | None = Field(description="why the last test said nothing")


class ChangeState(BaseModel):
    """One step of the assignment; an empty name is a free place."""

    cycle: int
    time_s: float
    before: str
    after: str
    why: str


class RulesState(BaseModel):
    """The numbers that the choice goes by."""

    per_router: int
    near_ms: float
    margin: float
    patience_s: float


class WhyState(AssignmentState):
    """Everything about one router's shadows."""

    rules: RulesState
    candidates: list[CandidateState]
    changes: list[ChangeState]
