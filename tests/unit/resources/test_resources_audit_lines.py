"""What the audit log is told of decisions about resources: all that changed, and what every cycle came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from unit.resources.resources_worlds import PERIOD_S, START_S, device, policy

from controller.audit.canonical import plain
from controller.plan.resources import (
    DeviceDecision,
    ManagerSettings,
    ManagerState,
    ManagerView,
    update_shadow_resources,
)
from controller.resources.audit_lines import AGAIN_CYCLES, AuditLines

SETTINGS = ManagerSettings(PERIOD_S)
RISE, FALL = 60, 90  # cycles


def load(cycle: int) -> float:
    """Utilisation: noise around a level, which is higher for a while."""
    return (0.6 if RISE <= cycle < FALL else 0.2) + 0.001 * math.sin(cycle)


def day(cycles: int) -> list[Sequence[DeviceDecision]]:
    """The decisions about one device."""
    state, found = ManagerState(), []
    own = policy(step=policy().base * 0.1)
    for cycle in range(cycles):
        now_s = START_S + PERIOD_S * cycle
        view = ManagerView((device(load(cycle), now_s, load(cycle)),), (own,))
        plan, state = update_shadow_resources(view, state, now_s, SETTINGS)
        found.append(plan.decisions)
    return found


def lines(told: list[tuple[str, dict[str, Any]]], subject: str) -> list[dict[str, Any]]:
    return [what for one, what in told if one == subject]


def test_only_what_changed_is_told_and_the_last_line_is_what_holds() -> None:
    log, told, held = AuditLines(), [], {}
    for cycle, decisions in enumerate(day(100)):
        new = log.of(decisions, START_S + PERIOD_S * cycle, dry=False)
        told += new
        for one in lines(new, "allocation"):
            held = one
        (decided,) = decisions
        assert held["amounts"] == plain(decided.amounts)
        assert held["placed"] == plain(decided.placed)
        assert held["share_pct"] == decided.transition.share.share_pct
        assert held["reasons"] == list(decided.reasons)
    assert 2 < len(lines(told, "allocation")) < 20


def test_results_add_up_to_what_every_cycle_came_to() -> None:
    log, told, decided = AuditLines(), [], day(100)
    for cycle, decisions in enumerate(decided):
        told += log.of(decisions, START_S + PERIOD_S * cycle, dry=False)
    made, results = lines(told, "allocation"), lines(told, "result")
    assert [one["of"] for one in results] == [one["id"] for one in made[:-1]]
    over = sum(one["cycles"] for one in results)
    regrets = [one.regret for (one,) in decided[1 : over + 1] if one.regret is not None]
    assert sum(one["cost"] for one in results) == pytest.approx(sum(one.cost for one in regrets))
    assert sum(one["regret"] for one in results) == pytest.approx(
        sum(one.regret for one in regrets)
    )
    assert all(one["regret"] >= 0 for one in results)


def test_a_decision_that_stands_is_told_again_after_a_while() -> None:
    log, told = AuditLines(), []
    for cycle, decisions in enumerate(day(RISE)[-1:] * (2 * AGAIN_CYCLES + 1)):
        told += log.of(decisions, START_S + PERIOD_S * cycle, dry=False)
    assert len(lines(told, "allocation")) == 3
    assert [one["cycles"] for one in lines(told, "result")] == [AGAIN_CYCLES] * 2


def test_a_dry_run_is_told_apart() -> None:
    log, (decisions,) = AuditLines(), day(1)
    told = [log.of(decisions, START_S, dry=dry) for dry in (False, True, True)]
    assert [[one["dry_run"] for one in lines(own, "allocation")] for own in told] == [
        [False],
        [True],
        [],
    ]
