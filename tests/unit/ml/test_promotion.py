"""Which model serves is decided by what came, not by chance and not by impatience."""

from __future__ import annotations

import numpy as np
import pytest

from ml.forecasting.forecast import Forecast
from ml.life.promotion import BOUND, Contest, Rules, Verdict, What, difference, trial, watch
from ml.life.scoreboard import Block, Scoreboard
from ml.life.sequential import BettingTest

HORIZONS_S = (5.0, 10.0)
LEVELS = (0.05, 0.5, 0.95)
RULES = Rules(longest_s=1e6, watch_s=5000.0)


def block(champion: float, challenger: float, targets: int = 4, outcomes: int = 20) -> Block:
    """A block in which both had these losses everywhere."""
    shape = (targets, len(HORIZONS_S))
    losses = {"old": np.full(shape, champion), "new": np.full(shape, challenger)}
    number = np.full(shape, float(outcomes))
    names = tuple(f"r{n}" for n in range(targets))
    return Block(0.0, 30.0, names, losses, losses, losses, np.ones(shape), number)


def fought(pairs: list[tuple[float, float]], rules: Rules = RULES) -> tuple[Verdict | None, int]:
    """The first verdict on a challenger, and after how many blocks."""
    contest = Contest("old", "new", 0.0)
    for number, (champion, challenger) in enumerate(pairs, 1):
        contest = contest.after(block(champion, challenger))
        verdict = trial(contest, rules, 30.0 * number)
        if verdict is not None:
            return verdict, number
    return None, len(pairs)


def noisy(champion: float, challenger: float, blocks: int, seed: int) -> list[tuple[float, float]]:
    chance = np.random.default_rng(seed)
    spread = np.exp(chance.normal(0, 0.1, (blocks, 2)))
    return [(champion * float(a), challenger * float(b)) for a, b in spread]


def test_a_better_challenger_is_promoted_and_a_worse_one_rejected() -> None:
    promoted, blocks = fought(noisy(1.0, 0.85, 200, 1))
    assert promoted is not None
    assert promoted.what is What.PROMOTED
    assert 6 <= blocks < 60
    assert promoted.figures["wealth_rival_better"] >= 20
    assert "better than old" in promoted.reason
    rejected, _ = fought(noisy(0.85, 1.0, 200, 1))
    assert rejected is not None
    assert rejected.what is What.REJECTED


def test_no_challenger_wins_before_there_are_enough_outcomes() -> None:
    verdict, blocks = fought([(1.0, 0.1)] * 50, Rules(alpha=0.4))
    assert verdict is not None
    assert blocks == RULES.least_blocks
    few = Contest("old", "new", 0.0)
    for _ in range(20):
        few = few.after(block(1.0, 0.1, targets=1, outcomes=1))
    assert trial(few, RULES, 100.0) is None


def test_a_challenger_that_is_no_better_is_promoted_in_one_of_twenty_cases_at_most() -> None:
    promoted = 0
    for seed in range(200):
        verdict, _ = fought(noisy(1.0, 1.0, 150, seed))
        promoted += verdict is not None and verdict.what is What.PROMOTED
    assert promoted <= 15  # 10 expected at most, however often one looks


def test_a_challenger_that_proves_nothing_is_given_up() -> None:
    verdict, blocks = fought(noisy(1.0, 1.0, 100, 3), Rules(longest_s=900.0))
    assert verdict is not None
    assert verdict.what is What.REJECTED
    assert blocks == 30
    assert "not shown to be better" in verdict.reason


def test_a_new_champion_that_turns_out_worse_is_rolled_back_and_a_good_one_confirmed() -> None:
    contest = Contest("new", "old", 0.0)
    for number in range(1, 100):
        contest = contest.after(block(0.9, 1.0))  # the champion before loses less
        verdict = watch(contest, RULES, 30.0 * number, 5000.0)
        if verdict is not None:
            break
    assert verdict is not None
    assert verdict.what is What.ROLLED_BACK
    fine = Contest("new", "old", 0.0)
    for number in range(1, 100):
        fine = fine.after(block(1.0, 0.9))
        assert watch(fine, RULES, 30.0 * number, 5000.0) is None
    confirmed = watch(fine, RULES, 5000.0, 5000.0)
    assert confirmed is not None
    assert confirmed.what is What.CONFIRMED


def test_one_loud_target_does_not_decide() -> None:
    mixed = block(1.0, 1.1, targets=10)
    mixed.loss["old"][0], mixed.loss["new"][0] = 1e6, 1e3
    found = difference(mixed, "old", "new")
    assert found is not None
    assert found < 0  # nine targets say worse, one says a thousand times better


def test_the_wealth_of_a_gambler_without_an_edge_does_not_grow() -> None:
    chance = np.random.default_rng(5)
    rich = 0
    for _ in range(300):
        test = BettingTest(BOUND)
        for value in chance.uniform(-BOUND, BOUND, 200):
            test = test.after(float(value))
            if test.rejects(0.05):
                rich += 1
                break
    assert rich <= 21


def forecast(target: str, made_s: float, low: float, middle: float, high: float) -> Forecast:
    rows = ((low, middle, high),) * len(HORIZONS_S)
    return Forecast(target, made_s, HORIZONS_S, LEVELS, rows, "test", middle)


def play(seconds: int, drop: frozenset[int] = frozenset()) -> list[Block]:
    """Two models for a value that rises by 1 each second: "old" says that it stays, "new" that it
    rises by 7.5, between the two horizons' rises.
    """
    board = Scoreboard(HORIZONS_S, LEVELS, 1.0)
    blocks = []
    for second in range(seconds):
        values = {"a": float(second)} if second not in drop else {}
        done = board.observe(float(second), values)
        if done is not None:
            blocks.append(done)
        now = float(second)
        made = {
            "old": {"a": forecast("a", now, now - 1, now, now + 1)},
            "new": {"a": forecast("a", now, now, now + 7.5, now + 15)},
        }
        board.add(now, values, made)
    return blocks


def test_forecasts_are_compared_with_what_came_at_their_own_moment() -> None:
    (found,) = play(60)[:1]
    assert found.targets == ("a",)
    assert np.allclose(found.still, [[5.0, 10.0]])
    assert np.allclose(found.error["old"], [[5.0, 10.0]])
    assert np.allclose(found.error["new"], [[2.5, 2.5]])
    assert np.allclose(found.inside["old"], 0.0)
    assert np.allclose(found.inside["new"], 1.0)
    assert (found.loss["new"] < found.loss["old"]).all()
    assert found.compared == 2 * 20


def test_blocks_share_no_outcomes() -> None:
    first, second = play(80)[:2]
    assert first.begin_s + 20.0 + 10.0 <= second.begin_s  # forecasts, and their outcomes
    assert first.end_s <= second.begin_s


def test_a_missing_outcome_is_left_out_and_not_made_up() -> None:
    (found,) = play(60, drop=frozenset({10, 11, 12}))[:1]
    assert found.compared < 2 * 20
    assert np.allclose(found.error["new"], [[2.5, 2.5]])


def test_a_change_of_models_begins_a_new_block() -> None:
    board = Scoreboard(HORIZONS_S, LEVELS, 1.0)
    for second in range(15):
        now = float(second)
        board.observe(now, {"a": now})
        board.add(now, {"a": now}, {"old": {"a": forecast("a", now, 0, now, 99)}})
    blocks = []
    for second in range(15, 60):
        now = float(second)
        done = board.observe(now, {"a": now})
        if done is not None:
            blocks.append(done)
        made = {name: {"a": forecast("a", now, 0, now, 99)} for name in ("old", "new")}
        board.add(now, {"a": now}, made)
    assert blocks[0].begin_s == 15.0
    assert set(blocks[0].loss) == {"old", "new"}


def test_equal_models_differ_by_nothing() -> None:
    assert difference(block(1.0, 1.0), "old", "new") == pytest.approx(0.0)
    assert difference(block(0.0, 0.0), "old", "new") == pytest.approx(0.0)
