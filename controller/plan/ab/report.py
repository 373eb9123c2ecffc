"""An A/B comparison for people and for the audit log."""

from __future__ import annotations

import math
from typing import Any

from controller.plan.ab.experiment import (
    Experiment,
    intervals,
    margin,
    same,
    share_pct,
)
from controller.plan.ab.rules import Rules
from controller.plan.ab.values import Arm, Metric

TESTS = {
    Metric.LATENCY: "sequential t-test on block differences of log latency, Gaussian mixture",
    Metric.LOSS: "two-sample betting e-process for shares",
    Metric.REFUSALS: "two-sample betting e-process for shares",
}
UNITS = {
    Metric.LATENCY: "times the primary's",
    Metric.LOSS: "difference of shares",
    Metric.REFUSALS: "difference of shares",
}


def report(experiment: Experiment, rules: Rules) -> dict[str, Any]:
    """Plain values: state, reason, and for each metric both arms, the effect, its interval at level
    `alpha` (which holds at all times) and the margin. Bounds that are not known yet are None.
    """
    metrics: dict[str, Any] = {}
    for metric, interval in intervals(experiment, rules.alpha, rules).items():
        limit = margin(rules.margins, metric)
        primary, variant = (_level(metric, arm) for arm in experiment.totals)
        metrics[metric.value] = {
            "primary": primary,
            "variant": variant,
            "effect": _known(interval.estimate),
            "low": _known(interval.low),
            "high": _known(interval.high),
            "unit": UNITS[metric],
            "margin": limit,
            "verdict": _verdict(metric, interval.low, interval.high, limit),
            "test": TESTS[metric],
        }
    primary_counts, variant_counts = experiment.totals
    return {
        "primary": experiment.primary,
        "variant": experiment.variant,
        "state": experiment.state.value,
        "reason": experiment.reason,
        "began_s": experiment.began_s,
        "decided_s": experiment.decided_s,
        "share_pct": share_pct(experiment, rules),
        "blocks": experiment.blocks,
        "connections": {
            "primary": primary_counts.connections,
            "variant": variant_counts.connections,
        },
        "alpha": rules.alpha,
        "alpha_rollback": rules.alpha_rollback,
        "autocorrelation": experiment.latency.autocorrelation,
        "metrics": metrics,
    }


def _level(metric: Metric, arm: Arm) -> float | None:
    """Geometric mean latency in ms, or the share lost or refused."""
    if metric is Metric.LATENCY:
        return math.exp(arm.log_ms / arm.timed) if arm.timed else None
    of, hits = (arm.sent, arm.lost) if metric is Metric.LOSS else (arm.connections, arm.refused)
    return hits / of if of else None


def _verdict(metric: Metric, low: float, high: float, limit: float) -> str:
    if low > limit:
        return "worse than the margin"
    if high < same(metric):
        return "better"
    if high < limit:
        return "within the margin" if low <= same(metric) else "worse, within the margin"
    return "worse" if low > same(metric) else "not known"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
