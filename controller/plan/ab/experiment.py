"""One A/B comparison from its first share of traffic to its end: a pure step per observation.

It ends in one of three ways, whichever comes first: the variant is shown to be worse than a margin allows
(rolled back, its share is 0 from then on), it is shown to be within all margins at the last share, and better where
that is asked for (fit), or its time is up (undecided; its share is 0). The tests may be looked at after every block,
so the stop rule costs nothing: no number of blocks is fixed beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.plan.ab.means import MeansTest
from controller.plan.ab.rules import Margins, Rules
from controller.plan.ab.shares import SharesTest
from controller.plan.ab.values import Arm, Block, Interval, Metric


class State(StrEnum):
    """Where a comparison stands."""

    RUNNING = "running"
    FIT = "fit"
    ROLLED_BACK = "rolled back"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One comparison; `step` gives the next state. variant: name of the shadow, of the router or device
    `primary`. stage: index of the share in force; stage_blocks: blocks at that share. open: counts of the
    block that is not complete; opened_s: when that began. totals: of complete blocks.
    """

    primary: str
    variant: str
    began_s: float
    latency: MeansTest
    loss: SharesTest
    refusals: SharesTest
    state: State = State.RUNNING
    reason: str = "not enough blocks yet"
    decided_s: float | None = None
    stage: int = 0
    stage_blocks: int = 0
    blocks: int = 0
    open: Block | None = None
    opened_s: float | None = None
    totals: tuple[Arm, Arm] = (Arm(), Arm())  # primary, variant


def begin(primary: str, variant: str, now_s: float, rules: Rules) -> Experiment:
    """A comparison that starts now, at the first share."""
    margins = rules.margins
    return Experiment(
        primary,
        variant,
        now_s,
        MeansTest(),
        SharesTest.with_margin(margins.loss),
        SharesTest.with_margin(margins.refusals),
        opened_s=now_s,
    )


def share_pct(experiment: Experiment, rules: Rules) -> float:
    """Of new traffic for the variant: 0 after a roll-back or without a decision; a fit variant keeps its last
    share until someone decides what becomes of it.
    """
    if experiment.state in (State.ROLLED_BACK, State.UNDECIDED):
        return 0.0
    return rules.shares_pct[experiment.stage]


def step(experiment: Experiment, seen: Block, rules: Rules) -> Experiment:
    """The state after one more observation (a cycle, say); a comparison that has ended does not change.

    What was seen at another share than the one in force, as while a change of share is being written, is left
    out: an arm's counts must be of the same time and the same share.
    """
    experiment = _stopped(experiment, seen, rules)
    if experiment.state is not State.RUNNING:
        return experiment
    if not math.isclose(seen.share_pct, rules.shares_pct[experiment.stage], abs_tol=1e-9):
        experiment = replace(experiment, open=None, opened_s=seen.time_s)
    else:
        experiment = _gather(experiment, seen, rules)
    return _in_time(experiment, seen.time_s, rules)


def wait(experiment: Experiment, seen: Block, rules: Rules) -> Experiment:
    """The state while an observation is not complete: what needs no test ends it all the same, and so does time."""
    return _in_time(_stopped(experiment, seen, rules), seen.time_s, rules)


def intervals(experiment: Experiment, alpha: float, rules: Rules) -> Mapping[Metric, Interval]:
    """The effect on each metric, the ratio of latencies and the differences of shares, at level alpha each."""
    logs = experiment.latency.interval(alpha)
    ratio = Interval(_exp(logs.estimate), _exp(logs.low), _exp(logs.high))
    found = {
        Metric.LATENCY: ratio,
        Metric.LOSS: experiment.loss.interval(alpha),
        Metric.REFUSALS: experiment.refusals.interval(alpha),
    }
    return {metric: found[metric] for metric in rules.metrics}


def margin(margins: Margins, metric: Metric) -> float:
    """The largest effect that is still within the margin."""
    return {
        Metric.LATENCY: margins.latency_ratio,
        Metric.LOSS: margins.loss,
        Metric.REFUSALS: margins.refusals,
    }[metric]


def same(metric: Metric) -> float:
    """The effect when there is none."""
    return 1.0 if metric is Metric.LATENCY else 0.0


def _gather(experiment: Experiment, seen: Block, rules: Rules) -> Experiment:
    """Add to the open block; when it is complete, to the tests, and decide."""
    before = experiment.open or Block(seen.time_s, seen.share_pct)
    block = Block(
        seen.time_s, seen.share_pct, before.primary + seen.primary, before.variant + seen.variant
    )
    opened_s = experiment.opened_s if experiment.opened_s is not None else seen.time_s
    experiment = replace(experiment, open=block, opened_s=opened_s)
    fewest = min(block.primary.connections, block.variant.connections)
    if fewest < rules.block_connections or seen.time_s - opened_s < rules.block_s:
        return experiment
    a, b = block.primary, block.variant
    latency = experiment.latency
    if a.timed and b.timed:
        difference = b.log_ms / b.timed - a.log_ms / a.timed
        latency = latency.after(difference, a.timed, b.timed)
    experiment = replace(
        experiment,
        latency=latency,
        loss=experiment.loss.after(a.sent, a.lost, b.sent, b.lost),
        refusals=experiment.refusals.after(a.connections, a.refused, b.connections, b.refused),
        blocks=experiment.blocks + 1,
        stage_blocks=experiment.stage_blocks + 1,
        open=None,
        opened_s=seen.time_s,
        totals=(experiment.totals[0] + a, experiment.totals[1] + b),
    )
    return _decide(experiment, rules, seen.time_s)


def _decide(experiment: Experiment, rules: Rules, now_s: float) -> Experiment:
    worse = intervals(experiment, rules.alpha_rollback / len(rules.metrics), rules)
    for metric, interval in worse.items():
        limit = margin(rules.margins, metric)
        if _missing(experiment, metric, rules) is None and interval.low > limit:
            reason = f"{metric} is worse than the margin: {_said(metric, interval, limit)}"
            return _ended(experiment, State.ROLLED_BACK, reason, now_s)
    last = experiment.stage == len(rules.shares_pct) - 1
    rested = experiment.stage_blocks >= rules.stage_blocks
    open_on = _open_on(experiment, rules)
    if last and rested and open_on is None:
        told = f"within all margins at {1 - rules.alpha:.0%}"
        if rules.better_on is not None:
            told += f", and better on {rules.better_on}"
        return _ended(experiment, State.FIT, told, now_s)
    if rested and not last:
        experiment = replace(experiment, stage=experiment.stage + 1, stage_blocks=0)
    return replace(experiment, reason=open_on or "the share is still rising")


def _open_on(experiment: Experiment, rules: Rules) -> str | None:
    """What has not been shown yet; None when the variant is fit. Every metric must pass at level alpha, so
    together they call an unfit variant fit with a chance of at most alpha: no correction is due.
    """
    for metric, interval in intervals(experiment, rules.alpha, rules).items():
        limit = margin(rules.margins, metric)
        missing = _missing(experiment, metric, rules)
        if missing is not None:
            return f"{metric}: {missing}"
        if not interval.high < limit:
            return f"{metric} may be worse than the margin: {_said(metric, interval, limit)}"
        if metric is rules.better_on and not interval.high < same(metric):
            return f"{metric} is not shown to be better: {_said(metric, interval, same(metric))}"
    return None


def _stopped(experiment: Experiment, seen: Block, rules: Rules) -> Experiment:
    hard = _hard_stop(seen, rules)
    if experiment.state is not State.RUNNING or hard is None:
        return experiment
    return _ended(experiment, State.ROLLED_BACK, hard, seen.time_s)


def _hard_stop(seen: Block, rules: Rules) -> str | None:
    """What needs no test."""
    a, b = seen.primary, seen.variant
    for what, of_a, hits_a, of_b, hits_b in (
        ("refuses", a.connections, a.refused, b.connections, b.refused),
        ("loses", a.sent, a.lost, b.sent, b.lost),
    ):
        if of_b < rules.hard_count:
            continue
        mine, its = 100.0 * hits_a / of_a if of_a else 0.0, 100.0 * hits_b / of_b
        if its >= rules.hard_pct and mine < rules.hard_pct / 2:
            return f"the variant {what} {its:.0f} % of {of_b}, the primary {mine:.0f} % of {of_a}"
    return None


def _in_time(experiment: Experiment, now_s: float, rules: Rules) -> Experiment:
    if experiment.state is not State.RUNNING or now_s - experiment.began_s < rules.longest_s:
        return experiment
    reason = f"not decided within {rules.longest_s:g} s; {experiment.reason}"
    return _ended(experiment, State.UNDECIDED, reason, now_s)


def _ended(experiment: Experiment, state: State, reason: str, now_s: float) -> Experiment:
    return replace(
        experiment, state=state, reason=reason, decided_s=now_s, open=None, opened_s=None
    )


def _missing(experiment: Experiment, metric: Metric, rules: Rules) -> str | None:
    """What a metric lacks before its test decides. The Gaussian one needs some blocks; the exact ones one."""
    seen, least = {
        Metric.LATENCY: (experiment.latency.blocks, rules.least_blocks),
        Metric.LOSS: (experiment.loss.blocks, 1),
        Metric.REFUSALS: (experiment.refusals.blocks, 1),
    }[metric]
    return None if seen >= least else f"{seen} of {least} blocks counted"


def _said(metric: Metric, interval: Interval, limit: float) -> str:
    """The interval and the limit, in the metric's unit."""
    low, high, at = interval.low, interval.high, limit
    if metric is Metric.LATENCY:
        return f"{low:.3g} to {high:.3g} times the primary's, {at:.3g} is allowed"
    return f"{100 * low:+.3g} to {100 * high:+.3g} points, {100 * at:+.3g} is allowed"


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0)) if not math.isnan(value) else value
