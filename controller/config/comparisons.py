"""The `ab` section: when a comparison of a variant with its primary goes on, ends well, and is taken back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from controller.config.fields import Float, Int, Section
from controller.plan.ab.rules import Margins, Rules
from controller.plan.ab.values import Metric

MetricName = Literal["latency", "loss", "refusals"]
Alpha = Annotated[Float, Field(gt=0, le=0.5)]
Share = Annotated[Int, Field(ge=1, le=99)]  # whole slots


class MarginsConfig(Section):
    """How much worse a variant may be. latency_ratio: times the primary's; loss, refusals: more of all, 0 to 1."""

    latency_ratio: Annotated[Float, Field(ge=1, le=10)] = 1.1
    loss: Annotated[Float, Field(ge=0, lt=1)] = 0.005
    refusals: Annotated[Float, Field(ge=0, lt=1)] = 0.005


class AbConfig(Section):
    """The meaning of each key is that of `controller.plan.ab.Rules`. probe_ms: between probes of each arm, of
    which latency and loss are measured.
    """

    alpha: Alpha = 0.05
    alpha_rollback: Alpha = 0.05
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = (
        "latency",
        "loss",
        "refusals",
    )
    margins: MarginsConfig = MarginsConfig()
    better_on: MetricName | None = None
    shares_pct: Annotated[tuple[Share, ...], Field(min_length=1)] = (1, 5, 10, 25, 50)
    stage_blocks: Annotated[Int, Field(ge=1)] = 10
    block_s: Annotated[Float, Field(ge=0)] = 5.0
    block_connections: Annotated[Int, Field(ge=1)] = 20
    least_blocks: Annotated[Int, Field(ge=3)] = 20
    longest_s: Annotated[Float, Field(gt=0)] = 86_400.0
    hard_pct: Annotated[Float, Field(gt=0, le=100)] = 50.0
    hard_count: Annotated[Int, Field(ge=1)] = 20
    probe_ms: Annotated[Float, Field(ge=5, le=60_000)] = 100.0

    @model_validator(mode="after")
    def _consistent(self) -> AbConfig:
        self.rules()
        return self

    def rules(self) -> Rules:
        """As the planner takes them. Raises ValueError for what contradicts itself."""
        margins = self.margins
        return Rules(
            alpha=self.alpha,
            alpha_rollback=self.alpha_rollback,
            metrics=tuple(Metric(one) for one in self.metrics),
            margins=Margins(margins.latency_ratio, margins.loss, margins.refusals),
            better_on=None if self.better_on is None else Metric(self.better_on),
            shares_pct=tuple(float(one) for one in self.shares_pct),
            stage_blocks=self.stage_blocks,
            block_s=self.block_s,
            block_connections=self.block_connections,
            least_blocks=self.least_blocks,
            longest_s=self.longest_s,
            hard_pct=self.hard_pct,
            hard_count=self.hard_count,
        )
