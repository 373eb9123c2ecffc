"""Champion or challenger: who serves, decided by what came.

Per block (`ml.life.scoreboard`) and per target and horizon: r = (champion's loss - challenger's) / (their sum),
clipped to a quarter on either side, so that neither a loud target nor a wild block decides; the mean
over targets and horizons is the block's observation. The challenger is promoted when the
betting test (`ml.life.sequential`) refutes "the mean is not above 0", and rejected when it refutes the
contrary, or when it has had its time. After a promotion the champion before goes on predicting in the
dark for `watch_s`, and the same test, the other way round and with a more lenient level, takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from ml.life.scoreboard import Block
from ml.life.sequential import BettingTest

BOUND = 0.25  # of an observation: one loss is 5/3 of the other


class What(StrEnum):
    """A decision about models."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled back"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Rules:
    """When to decide. alpha: chance of promoting a challenger that is not better. alpha_back: of
    going back although the new champion is as good. least_blocks, least_outcomes: before any
    decision. longest_s: that a challenger is tried. watch_s: that the champion before keeps predicting.
    """

    alpha: float = 0.05
    alpha_back: float = 0.2
    least_blocks: int = 6
    least_outcomes: int = 200
    longest_s: float = 172_800.0
    watch_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, in words and figures."""

    what: What
    reason: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two models compared; `after` gives the next state. serving, rival: names on the scoreboard.
    began_s: Unix time. rival_better, serving_better: the tests of each. outcomes: compared so far.
    serving_loss, rival_loss: of the latest block, relative to persistence's error.
    """

    serving: str
    rival: str
    began_s: float
    rival_better: BettingTest = field(default_factory=lambda: BettingTest(BOUND))
    serving_better: BettingTest = field(default_factory=lambda: BettingTest(BOUND))
    outcomes: int = 0
    serving_loss: float = float("nan")
    rival_loss: float = float("nan")

    def after(self, block: Block) -> Contest:
        """The state after one more block; a block without these two, or without outcomes, is skipped."""
        if self.serving not in block.loss or self.rival not in block.loss:
            return self
        observation = difference(block, self.serving, self.rival)
        if observation is None:
            return self
        return Contest(
            self.serving,
            self.rival,
            self.began_s,
            self.rival_better.after(observation),
            self.serving_better.after(-observation),
            self.outcomes + block.compared,
            relative_loss(block, self.serving),
            relative_loss(block, self.rival),
        )

    def figures(self) -> dict[str, Any]:
        """The state in numbers: for logs and the API."""
        return {
            "serving": self.serving,
            "rival": self.rival,
            "blocks": self.rival_better.seen,
            "outcomes": self.outcomes,
            "rival_better_pct": 100.0 * self.rival_better.mean,
            "wealth_rival_better": self.rival_better.wealth,
            "wealth_serving_better": self.serving_better.wealth,
            "serving_loss": self.serving_loss,
            "rival_loss": self.rival_loss,
        }

    def ripe(self, rules: Rules) -> bool:
        """Whether there is enough to decide on."""
        seen = self.rival_better.seen
        return seen >= rules.least_blocks and self.outcomes >= rules.least_outcomes


def difference(block: Block, serving: str, rival: str) -> float | None:
    """A block's observation in [-BOUND, BOUND], above 0 when the rival was better; None without any."""
    mine, its = block.loss[serving], block.loss[rival]
    known = np.isfinite(mine) & np.isfinite(its)
    if not known.any():
        return None
    total = mine[known] + its[known]
    ratio = np.divide(mine[known] - its[known], total, out=np.zeros(len(total)), where=total > 0)
    return float(np.clip(ratio, -BOUND, BOUND).mean())


def relative_loss(block: Block, model: str) -> float:
    """Pinball loss relative to persistence's absolute error, the geometric mean over targets and
    horizons where both are above 0; NaN when nowhere.
    """
    known = np.isfinite(block.loss[model]) & (block.loss[model] > 0) & (block.still > 0)
    if not known.any():
        return float("nan")
    return float(np.exp(np.mean(np.log(block.loss[model][known] / block.still[known]))))


def trial(contest: Contest, rules: Rules, now_s: float) -> Verdict | None:
    """A challenger's fate; None while it is open."""
    figures = contest.figures()
    if contest.ripe(rules):
        if contest.rival_better.rejects(rules.alpha):
            return Verdict(What.PROMOTED, _said(contest, "better than", rules.alpha), figures)
        if contest.serving_better.rejects(rules.alpha):
            return Verdict(What.REJECTED, _said(contest, "worse than", rules.alpha), figures)
    if now_s - contest.began_s >= rules.longest_s:
        reason = (
            f"{contest.rival} was not shown to be better than {contest.serving} within "
            f"{rules.longest_s / 3600:.3g} h: {_measured(contest)}"
        )
        return Verdict(What.REJECTED, reason, figures)
    return None


def watch(contest: Contest, rules: Rules, now_s: float, until_s: float) -> Verdict | None:
    """Whether the champion before takes over again; None while it is open."""
    figures = contest.figures()
    if contest.ripe(rules) and contest.rival_better.rejects(rules.alpha_back):
        reason = _said(contest, "better than", rules.alpha_back)
        return Verdict(What.ROLLED_BACK, reason, figures)
    if now_s >= until_s:
        reason = f"{contest.serving} stays: {_measured(contest)}"
        return Verdict(What.CONFIRMED, reason, figures)
    return None


def _said(contest: Contest, how: str, alpha: float) -> str:
    test = contest.serving_better if how == "worse than" else contest.rival_better
    return (
        f"{contest.rival} is {how} {contest.serving}: {_measured(contest)}; "
        f"evidence {test.wealth:.3g}, {1 / alpha:.3g} is enough"
    )


def _measured(contest: Contest) -> str:
    seen = contest.rival_better.seen
    if not seen:
        return "no block could be compared"
    return (
        f"its loss is {_percent(contest.rival_better.mean):+.1f} % of the other's, "
        f"{contest.outcomes} outcomes in {seen} blocks"
    )


def _percent(mean: float) -> float:
    """(a - b) / (a + b) as the change from a to b in percent."""
    return 100.0 * ((1.0 - mean) / (1.0 + mean) - 1.0)
