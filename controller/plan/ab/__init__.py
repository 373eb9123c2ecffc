"""A/B: a variant (a shadow with another program version or configuration) takes a share of new traffic and is
compared with the primary by tests that may be looked at after every block (docs/resource-shadowing.md).
"""

from __future__ import annotations

from controller.plan.ab.experiment import Experiment, State, begin, share_pct, step, wait
from controller.plan.ab.report import report
from controller.plan.ab.rules import Margins, Rules
from controller.plan.ab.values import Arm, Block, Interval, Metric

__all__ = [
    "Arm",
    "Block",
    "Experiment",
    "Interval",
    "Margins",
    "Metric",
    "Rules",
    "State",
    "begin",
    "report",
    "share_pct",
    "step",
    "wait",
]
