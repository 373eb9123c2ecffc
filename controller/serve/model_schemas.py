"""What the API says about forecasting models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from controller.serve.schemas import Request


class ContestState(BaseModel):
    """How a model that predicts in the dark compares with the one that serves."""

    serving: str
    rival: str
    blocks: int = Field(description="independent stretches compared")
    outcomes: int
    rival_better_pct: float = Field(description="mean of (serving's - rival's loss) / sum, percent")
    wealth_rival_better: float = Field(description="evidence; 1/alpha decides")
    wealth_serving_better: float
    serving_loss: float | None = Field(description="latest block, relative to persistence's error")
    rival_loss: float | None


class DarkState(BaseModel):
    """A model that predicts in the dark."""

    role: Literal["challenger", "previous"]
    version: str
    contest: ContestState


class DriftState(BaseModel):
    """Page-Hinkley on the loss of the model in service, relative to persistence's."""

    blocks: int
    latest_log_loss: float
    sum: float
    limit: float
    drifted: bool


class AlarmState(BaseModel):
    """Which rule takes a breach for coming."""

    rule: Literal["trained", "simple"] = Field(description="simple: cycle.min_probability alone")
    level: float = Field(description="least probability")
    samples: int = Field(description="so many in a row must reach it")
    hold_s: float = Field(description="how long an alarm stands")
    budget_per_day: float | None = Field(
        description="false alarms of a router that it was chosen for"
    )
    reason: str


class ModelEvent(BaseModel):
    """A decision about a model."""

    time_s: float
    metric: str
    version: str
    what: str
    reason: str
    figures: dict[str, Any]


class TrainerState(BaseModel):
    """What the training process does."""

    training: bool
    trained: int = Field(description="trainings in this run")
    input_psi: float | None = Field(description="population stability index of the last look")
    input_psi_limit: float | None


class VersionState(BaseModel):
    """One kept version."""

    id: str
    metric: str
    created_s: float
    data_hash: str
    feature_hash: str
    samples: int
    trained_until_s: float
    settings: dict[str, Any]
    metrics: dict[str, Any]
    parent: str | None
    trigger: str
    model_sha256: str
    model_bytes: int
    state: Literal["champion", "challenger", "retired", "rejected"]
    since_s: float
    reason: str
    figures: dict[str, Any]


class ModelsState(BaseModel):
    """All models of one metric; `serving` is "cold-start" while none that was trained serves."""

    metric: str
    directory: str
    serving: str
    watch_until_s: float | None
    dark: list[DarkState]
    drift: DriftState
    alarm: AlarmState
    recent: list[ModelEvent]
    trainer: TrainerState
    versions: list[VersionState]


class PromoteRequest(Request):
    """Put this version into service."""

    version: str
