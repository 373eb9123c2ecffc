"""The evaluation of breaches on small generated data: protocol, not performance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.breaches.claims import joined
from ml.evaluation.breaches import limits as breach_limits
from ml.evaluation.breaches.ramp_injection import calm, injected
from ml.evaluation.breaches.ratios import ratio_interval
from ml.evaluation.breaches.summary import as_json, natural, on_testbed, ramps, summary
from ml.evaluation.breaches.testbed import LIMIT, simulated_runs
from ml.evaluation.dataset import DataSet
from ml.evaluation.generated import generated

SMALL = 1500


@pytest.fixture(scope="module")
def data() -> DataSet:
    return generated(days=12, series=2)


def test_a_limit_is_made_of_the_day_before_and_of_nothing_later(
    data: DataSet,
) -> None:
    split = data.split
    watches = breach_limits.daily(data, split.test_start_s, split.test_end_s, training=False)
    day = round(86_400 / data.step_s)
    assert watches
    for one in watches:
        before = data.values[one.row, one.first - day : one.first]
        assert one.threshold in {
            float(np.nanquantile(before, level)) for level in breach_limits.LEVELS
        }
        assert data.times_s[one.first] >= split.test_start_s


def test_every_method_is_compared_at_the_same_realised_rates(data: DataSet) -> None:
    found = natural(data, (0, 1), max_rows=SMALL, renewals=2)
    assert [one.method for one in found.methods][:2] == ["crossing", "logistic"]
    assert {one.method for one in found.methods} >= {
        "threshold",
        "linear",
        "seasonal_naive",
        "holt",
    }
    for one in found.methods:
        assert one.matched
        assert one.forecasts
        assert all(at.false_rate <= at.rate + 1e-9 for at in one.matched)
        assert all(at.false_rate <= at.rate + 1e-9 for at in one.forecasts)
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert len(found.seed_ratios) == 2
    means = {one.method: one.mean_f1 for one in found.methods}
    assert found.seed_ratios[0] == pytest.approx(means["crossing"] / means[found.best])
    assert sum(one.cases for one in found.reliability.bins) > 0
    assert found.reliability.brier < found.reliability.brier_rate
    assert json.loads(json.dumps(as_json(found)))["data_set"] == "generated"


def test_it_is_the_ramp_that_crosses_the_limit(data: DataSet) -> None:
    split = data.split
    made = injected(data, split.test_start_s, split.test_end_s, 10, 5, (1.0, 2.0))
    assert made
    for one in made:
        values = one.series.values
        assert one.crossing > one.begin + 1
        assert values[one.crossing] > one.limit
        assert np.nanmax(values[one.begin - data.horizon_steps[-1] : one.crossing]) <= one.limit


def test_calm_days_stay_below_a_limit_made_of_the_day_before(data: DataSet) -> None:
    split = data.split
    day = round(86_400 / data.step_s)
    days = calm(data, split.test_start_s, split.test_end_s)
    assert days
    for one in days:
        before = data.values[one.row, one.first - day : one.first + 1]
        high, low = np.nanmax(before), np.nanmin(before)
        assert one.threshold == pytest.approx(high + 0.25 * (high - low))
    later = calm(data, split.test_start_s, split.test_end_s, later_s=21_600.0)
    assert later[0].first == days[0].first + day // 4


def test_most_ramps_are_warned_of_and_the_figures_agree(data: DataSet) -> None:
    found = ramps(data, number=36, max_rows=SMALL, lessons=60, trials=6)
    assert found.ramps == sum(one.ramps for one in found.shapes)
    assert found.warned_pct > 60
    assert found.early_pct <= found.warned_pct
    assert 0 < found.lead_p10_s <= found.lead_p50_s <= found.lead_p90_s <= found.horizon_s
    assert 0 <= found.climbed_share <= 1
    total = summary([], [found])
    assert total.ramps_warned_pct == pytest.approx(found.warned_pct)


def test_a_simulated_run_is_the_same_for_a_seed_and_sometimes_breaches() -> None:
    first, second = simulated_runs((3,), 0.5, 1), simulated_runs((3,), 0.5, 1)
    np.testing.assert_array_equal(first.values, second.values)
    assert not np.array_equal(first.values, simulated_runs((4,), 0.5, 1).values)
    many = simulated_runs((1, 2, 3, 4), 1.0, 2).values
    assert 0.0 < (many > LIMIT).mean() < 0.2
    assert (many >= 0).all()


def test_the_testbed_compares_with_the_present_value() -> None:
    found = on_testbed((0, 1, 2), hours=1.0, routers=2, max_rows=SMALL, seeds=(0,))
    assert found.hours == 3.0
    assert found.judged_hours == pytest.approx(3.0 * 0.45, rel=0.01)
    assert found.ours.method == "crossing"
    assert found.threshold.method == "threshold"
    assert found.over_threshold.low <= found.over_threshold.value <= found.over_threshold.high


def test_a_test_part_of_a_run_comes_after_what_is_learnt_from() -> None:
    split = simulated_runs((0,), 1.0, 1).split
    assert split.begin_s < split.train_end_s < split.calibration_start_s
    assert split.calibration_end_s < split.test_start_s < split.test_end_s
    assert split.test_start_s - split.calibration_end_s >= 30.0


def test_equal_scores_have_the_same_f1_in_every_draw(data: DataSet) -> None:
    split = data.split
    watches = breach_limits.daily(data, split.test_start_s, split.test_end_s, training=False)
    field = joined(watches)
    score = field.spread(
        [data.values[one.row, one.first : one.last] - one.threshold for one in watches]
    )
    found = ratio_interval([score, score], score, field, (1.0, 4.0), 0)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
