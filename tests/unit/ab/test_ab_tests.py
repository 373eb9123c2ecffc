"""The sequential tests: wrong no more often than they say, however often one looks, and quick when it matters.

The limits are those of a binomial with the stated rate: a test that were wrong at its full level would pass them in
all but one of a thousand runs. Seeds are fixed, so a run does not depend on chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.plan.ab.means import MeansTest
from controller.plan.ab.rules import Rules
from controller.plan.ab.shares import BOLDEST, SharesTest, _gain

ALPHA = 0.05
RUNS = 200
BEFORE = Rules().least_blocks
MOST_WRONG = 21  # of 200 at 5 %: exceeded once in a thousand


def differences(
    chance: np.random.Generator, blocks: int, kind: str
) -> Iterator[tuple[float, int, int]]:
    """Differences without an effect, in noise of 1 (for 20 connections): (difference, primary's, variant's)."""
    before = 0.0
    for block in range(blocks):
        noise = float(chance.normal())
        if kind == "dependent":
            before = noise = 0.5 * before + math.sqrt(0.75) * noise
        elif kind == "skewed":
            noise = (float(chance.gamma(4.0)) - 4.0) / 2.0
        count = 20 * (1 + block // 25) if kind == "rising share" else 20
        yield noise / math.sqrt(count / 20), 1000, count


@pytest.mark.parametrize("kind", ["steady", "rising share", "skewed", "dependent"])
def test_equal_latencies_are_told_apart_no_more_often_than_stated(kind: str) -> None:
    wrong = 0
    for seed in range(RUNS):
        test = MeansTest()
        for one in differences(np.random.default_rng(seed), 200, kind):
            test = test.after(*one)
            interval = test.interval(ALPHA)
            if test.blocks >= BEFORE and not interval.low <= 0.0 <= interval.high:
                wrong += 1
                break
    assert wrong <= MOST_WRONG


def test_slower_latency_is_found_within_few_blocks() -> None:
    for effect, most in ((1.5, 20), (0.5, 70)):
        after = []
        for seed in range(60):
            test = MeansTest()
            for noise, a, b in differences(np.random.default_rng(seed), 400, "steady"):
                test = test.after(noise + effect, a, b)
                if test.blocks >= BEFORE and test.interval(0.05).low > 0.0:
                    break
            after.append(test.blocks)
        assert np.median(after) <= most, (effect, np.median(after))
        assert max(after) < 400


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 500), st.integers(1, 500)), min_size=3, max_size=40),
    st.sampled_from([0.5, 0.05, 0.001]),
)  # fmt: skip
def test_the_interval_is_where_the_likelihood_ratio_stays_below_one_over_alpha(
    rows: list[tuple[float, int, int]], alpha: float
) -> None:
    test = MeansTest()
    for row in rows:
        test = test.after(*row)
    interval = test.interval(alpha)
    if not math.isfinite(interval.low) or interval.high - interval.low < 1e-6:
        return
    factor = (1 + test.dependence) / (1 - test.dependence)
    squares = (test.x2 - test.zx**2 / test.z2) * factor
    for edge in (interval.low, interval.high):
        away = test.z2 * (test.mean - edge)
        total = squares + away**2 / test.z2
        log_ratio = 0.5 * math.log(4 / (test.z2 + 4)) + 0.5 * test.blocks * math.log(
            total / (total - away**2 / (test.z2 + 4))
        )
        assert log_ratio == pytest.approx(-math.log(alpha), rel=1e-3, abs=1e-6)


@given(
    st.floats(-0.9, 0.9), st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0, 1),
    st.integers(1, 12), st.integers(1, 12), st.sampled_from([1.0, -1.0]), st.floats(1, 9),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_bet_has_an_edge_when_the_difference_is_as_doubted(
    d: float,
    p_a: float,
    p_b: float,
    at: float,
    of_a: int,
    of_b: int,
    sign: float,
    dispersion: float,
) -> None:
    """Exact expectation over all outcomes of a block: never above 1, for any share of the primary."""
    share = max(0.0, -d) + at * (min(1.0, 1.0 - d) - max(0.0, -d))
    expected = 0.0
    for x in range(of_a + 1):
        for y in range(of_b + 1):
            chance = (
                math.comb(of_a, x) * share**x * (1 - share) ** (of_a - x)
                * math.comb(of_b, y) * (share + d) ** y * max(0.0, 1 - share - d) ** (of_b - y)
            )  # fmt: skip
            gain = _gain(np.array([d]), (p_a, p_b), dispersion, sign, of_a, x, of_b, y)
            expected += chance * math.exp(float(gain[0]))
    assert expected <= 1.0 + 1e-9
    assert BOLDEST < 1


@pytest.mark.parametrize(
    ("share", "margin", "of_b", "bursts"),
    [
        (0.01, 0.0, 20, "none"),
        (0.3, 0.0, 50, "none"),
        (0.05, 0.0, 100, "common"),
        (0.05, 0.0, 100, "of one arm"),
        (0.01, 0.005, 100, "none"),
    ],
)
def test_equal_shares_are_told_apart_no_more_often_than_stated(
    share: float, margin: float, of_b: int, bursts: str
) -> None:
    wrong = 0
    for seed in range(RUNS):
        chance = np.random.default_rng(seed)
        test = SharesTest(grid=(margin,))
        for _ in range(80):
            factor = {
                "none": np.ones(2),
                "common": np.full(2, chance.choice([0.1, 4.0])),
                "of one arm": chance.gamma(2.0, 0.5, 2),
            }[bursts]
            a = int(chance.binomial(100, share * factor[0]))
            b = int(chance.binomial(of_b, share * factor[1] + margin))
            test = test.after(100, a, of_b, b)
        interval = test.interval(ALPHA)  # its bounds keep the most extreme of all looks
        wrong += interval.low >= margin or interval.high <= margin
    assert wrong <= MOST_WRONG


def test_a_higher_share_is_found_within_few_blocks() -> None:
    for p_a, p_b, of_b, most in ((0.0, 0.2, 20, 6), (0.01, 0.05, 20, 35), (0.01, 0.03, 100, 25)):
        after = []
        for seed in range(40):
            chance = np.random.default_rng(seed)
            test = SharesTest(grid=(0.0,))
            for _ in range(200):
                a, b = int(chance.binomial(100, p_a)), int(chance.binomial(of_b, p_b))
                test = test.after(100, a, of_b, b)
                if test.interval(0.05).low >= 0.0:
                    break
            after.append(test.blocks)
        assert np.median(after) <= most, (p_a, p_b, np.median(after))


def test_the_interval_of_a_difference_narrows_around_it() -> None:
    chance = np.random.default_rng(3)
    test = SharesTest()
    for _ in range(300):
        a, b = int(chance.binomial(100, 0.02)), int(chance.binomial(100, 0.06))
        test = test.after(100, a, 100, b)
    interval = test.interval(0.05)
    assert 0.02 < interval.low < 0.04 < interval.high < 0.06
    assert interval.estimate == pytest.approx(0.04, abs=0.01)


def test_blocks_with_only_one_arm_say_nothing() -> None:
    test = SharesTest().after(100, 5, 0, 0)
    assert (test.interval(0.05).low, test.interval(0.05).high, test.blocks) == (-1.0, 1.0, 0)
    assert math.isnan(test.interval(0.05).estimate)
    assert MeansTest().after(3.0, 0, 5) == MeansTest()
    assert math.isnan(MeansTest().mean)
